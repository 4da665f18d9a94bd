"""The images that boxes start from: which there are, how one is made, what one holds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from containai.app import App
from containai.boxes.box import is_box
from containai.engine import configuration, daemon
from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import ImageError, NotSetUpError
from containai.flows import workspace_image
from containai.images import build, manifest, recipe
from containai.images.labels import LABEL_IMAGE, LABEL_SOURCE
from containai.images.recipe import Recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE

#: What an image is to this version and these settings.
CURRENT, OLDER, OTHER = "current", "older", "other"


class Listed(NamedTuple):
    """An image of ours. `size` is in bytes, of all it is made of; `boxes` are the names of those.

    `status` is "current" for one that new boxes would get or are built on, "older" for one of
    another recipe of that name, and "other".
    """

    name: str
    status: str
    source: str
    recipe: str
    size: int
    created: str
    id: str
    tags: tuple[str, ...]
    boxes: tuple[str, ...]


class Shown(NamedTuple):
    """An image of ours, what registries call it, its labels, and what its layers say."""

    listed: Listed
    digests: tuple[str, ...]
    labels: dict[str, str]
    manifests: list[dict[str, Any]]


class Built(NamedTuple):
    """A layer, its reference, and whether it had to be built."""

    name: str
    reference: str
    built: bool


def engine_of(app: App) -> Engine:
    """Return the engine, running. Raises NotSetUpError where there is none."""
    if configuration.read(app.layout) is None:
        raise NotSetUpError(
            "this machine is not set up, so there are no images", hint="run: cai setup"
        )
    daemon.start(app.host)
    return app.engine


def layers(app: App) -> list[Recipe]:
    """Return the recipes of all layers with the user's settings, each after what it begins with."""
    return [recipe_of(app, name) for name in recipe.PARENTS]


def recipe_of(app: App, name: str) -> Recipe:
    """Return the recipe of a layer with the user's settings. Raises ImageError for no layer."""
    return recipe.wanted(app.settings.over({"image.name": name}))


def listed(app: App) -> list[Listed]:
    """Return all images of ours, the current first."""
    engine = engine_of(app)
    wanted = [*layers(app), recipe.wanted(app.settings), *workspace_image.current(app)]
    current = {layer.reference: layer.name for layer in wanted}
    used: dict[str, list[str]] = {}
    for container in engine.containers():
        if is_box(container):
            used.setdefault(container.image_id, []).append(container.name)
    every = [*engine.images(f"label={LABEL_RECIPE}"), *engine.images(_OURS)]
    rows = [
        described(image, current, sorted(used.get(image.id, ())))
        for image in {image.id: image for image in every}.values()
    ]
    order = [CURRENT, OLDER, OTHER]
    known = recipe.NAMES
    return sorted(
        rows,
        key=lambda row: (
            order.index(row.status),
            known.index(row.name) if row.name in known else len(known),
            row.name,
            row.created,
        ),
    )


_OURS = f"reference={IMAGE_REPOSITORY}/*"


def described(image: Image, current: dict[str, str], used: Sequence[str]) -> Listed:
    """Return an image; `current` are the names of layers by their references."""
    # Labels are also those of the image that it was made from.
    name = _name(image.tags) if image.tags else image.label(LABEL_IMAGE) or image.id[7:19]
    is_current = [tag for tag in image.tags if tag in current]
    if is_current:
        name, status = current[is_current[0]], CURRENT
    else:
        status = OLDER if name in recipe.NAMES else OTHER
    return Listed(
        name=name,
        status=status,
        source=image.label(LABEL_SOURCE) or "",
        recipe=(image.label(LABEL_RECIPE) or "")[:16],
        size=image.size,
        created=image.created,
        id=image.id,
        tags=image.tags,
        boxes=tuple(used),
    )


def _name(tags: Sequence[str]) -> str:
    """Return the name of an image by its tags, which end with a tag: a port is followed by "/"."""
    for tag in tags:
        repository = tag.rpartition(":")[0]
        if repository.startswith(f"{IMAGE_REPOSITORY}/"):
            return repository.removeprefix(f"{IMAGE_REPOSITORY}/")
    return tags[0]


def make(app: App, name: str, *, anew: bool) -> list[Built]:
    """Build a layer and those below it where they are missing, or all of them `anew`.

    Raises ImageError, and NoSpaceError before anything is written.
    """
    wanted = recipe_of(app, name)
    engine = engine_of(app)
    missing = list(wanted.chain) if anew else build.missing(engine, wanted)
    for number, layer in enumerate(missing, 1):
        progress = app.ui.step(f"image {layer.name}", number, len(missing))
        build.ensure(engine, layer, progress, anew=anew)
    return [Built(layer.name, layer.reference, layer in missing) for layer in wanted.chain]


def shown(app: App, name: str) -> Shown:
    """Return what there is to know of a layer, or of an image by its reference.

    Raises ImageError where it is not there.
    """
    engine = engine_of(app)
    reference = recipe_of(app, name).reference if name in recipe.PARENTS else name
    image = engine.image(reference)
    if image is None:
        what = f"cai image build {name}" if name in recipe.PARENTS else "cai image ls"
        raise ImageError(f"there is no image {reference} here", hint=f"see: {what}")
    row = next((row for row in listed(app) if row.id == image.id), None)
    return Shown(
        row or described(image, {}, ()),
        image.digests,
        dict(image.labels),
        [entry.content for entry in manifest.read(engine, image)],
    )
