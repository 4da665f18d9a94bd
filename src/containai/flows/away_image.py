"""The image of a box on a remote place: found there by its fingerprint, or brought there once.

A name there may be a colleague's doing, and is believed only where the user says so.
"""

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from containai.app import App
from containai.away.place import Place
from containai.errors import ImageError
from containai.host import files
from containai.images import incus
from containai.images.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containai.engine.container import Image


def fingerprint(app: App, place: Place, recipe: Recipe) -> str:
    """Return the fingerprint of a recipe's image on a place; have it there.

    It is packed from the image of this machine's engine, which is built where there is none on
    either side. Raises ImageError where nobody agrees to what is there.
    """
    key = incus.key(recipe)
    known = _known(app).get(key, "")
    if known and place.has_image(known):
        return known
    image = _here(app, recipe)
    if image is None:
        there = place.named_image(incus.alias(recipe))
        if there:
            _agreed(app, place, recipe, there)
            _remember(app, key, there)
            return there
        app.ui.say(f"{place.name} has no image {recipe.name}: it is made here, and brought there")
        image = _built(app, recipe)
    return _brought(app, place, recipe, image)


def previewed(app: App, place: Place, recipe: Recipe) -> list[str]:
    """Return what `fingerprint` would do, a line each; the place is asked, and not changed."""
    known = _known(app).get(incus.key(recipe), "")
    if known and place.has_image(known):
        return []
    there = place.named_image(incus.alias(recipe))
    bring = f"bring it to {place.name}, unless that has it by its fingerprint"
    if _here(app, recipe) is not None:
        return [f"pack the image {recipe.name} of this machine, and {bring}"]
    if there:
        return [f"ask whether what {place.name} calls {incus.alias(recipe)} is to be the image"]
    return [f"make the image {recipe.name} on this machine, pack it, and {bring}"]


def _here(app: App, recipe: Recipe) -> "Image | None":
    """Return the image of this machine's engine, which is not started for that."""
    from containai.engine import daemon
    from containai.flows import enter

    if not enter.has_engine(app) or not daemon.reachable(app.host):
        return None
    return app.engine.image(recipe.reference)


def _built(app: App, recipe: Recipe) -> "Image":
    from containai.flows import enter

    enter.have(app, recipe, is_new=not enter.has_engine(app))
    image = app.engine.image(recipe.reference)
    if image is None:
        raise ImageError(f"there is no image {recipe.name}", hint="try: cai image build")
    return image


def _agreed(app: App, place: Place, recipe: Recipe, there: str) -> None:
    """Raise ImageError where the user does not want boxes of what somebody put there."""
    question = (
        f"{place.name} has an image that is called {incus.alias(recipe)!r}, with the fingerprint "
        f"{there[:12]}; who put it there is not known here, and this machine has none to compare. "
        "Make boxes from it?"
    )
    if not app.ui.ask(question):
        raise ImageError(
            f"the image on {place.name} is not to be used",
            hint="agree to it with --yes; or have it made here and brought there: cai image build",
        )


def _brought(app: App, place: Place, recipe: Recipe, image: "Image") -> str:
    from containai.engine import daemon

    daemon.start(app.host)
    progress = app.ui.step(f"image {recipe.name} for {place.name}", 1, 1)
    with _directory(app) as directory:
        split = incus.pack(app.engine, image, recipe, directory, progress)
        if not place.has_image(split.fingerprint):
            place.add_image(split.metadata, split.rootfs, split.fingerprint, progress)
        place.name_image(split.fingerprint, split.alias)
    _remember(app, incus.key(recipe), split.fingerprint)
    return split.fingerprint


@contextmanager
def _directory(app: App) -> "Iterator[str]":
    """Have a directory for two large files: /tmp may be in memory."""
    import tempfile

    os.makedirs(app.layout.state_dir, mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="image-", dir=app.layout.state_dir) as directory:
        yield directory


def _known(app: App) -> dict[str, str]:
    """Return the fingerprints of images that were brought somewhere, or agreed to, by their key."""
    try:
        said = files.from_json(files.read_if_whole(app.layout.away_images) or "{}")
        return {str(key): str(each) for key, each in said.items()}
    except (ValueError, AttributeError):
        # It can be found out again.
        return {}


def _remember(app: App, key: str, found: str) -> None:
    lock = os.path.join(app.layout.state_dir, "away.lock")
    with files.lock(lock, wait=30, what="images of remote places"):
        text = json.dumps(_known(app) | {key: found}, indent=2) + "\n"
        files.write(app.layout.away_images, text, 0o600)
