"""Images that come and go: from and to registries and files, and those that nobody needs."""

import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from containai.app import App
from containai.config import references
from containai.config.references import Reference
from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import EngineError, ImageError, UsageError
from containai.flows import images
from containai.flows.images import Listed
from containai.host import space
from containai.images import archive, recipe, registry
from containai.images.recipe import Recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE


class Moved(NamedTuple):
    """An image that was pulled or pushed: its name here, where, and its digest there."""

    name: str
    reference: str
    digest: str


class Exported(NamedTuple):
    """A file, its size in bytes, and what is in it."""

    file: str
    size: int
    references: list[str]


class Imported(NamedTuple):
    """A layer that was in a file, and its name here."""

    name: str
    reference: str


class Pruned(NamedTuple):
    """What was removed, or would be, and what could not be: names, and why."""

    removed: list[Listed]
    kept: dict[str, str]


def pull(app: App, text: str) -> Moved:
    """Pull a layer as this version makes it, or any image that is made from one.

    Raises ImageError where it cannot be had, or is something else: it is not kept then.
    """
    layer, given = _asked(app, text)
    engine = images.engine_of(app)
    space.require(engine.host, engine.layout.engine_data, space.FOR_IMAGE, f"pulling {given}")
    progress = app.ui.step(f"pull {given}", 1, 1)
    check = partial(_check, layer)
    image = registry.ensure(engine, str(given), progress, check)
    name = str(given)
    if layer is not None:
        name = layer.reference
        engine.docker("tag", image.id, layer.reference)
        engine.docker("tag", image.id, f"{IMAGE_REPOSITORY}/{layer.name}:latest")
    return Moved(name, str(given), _digest(engine.image(image.id), given.repository))


def _asked(app: App, text: str) -> tuple[Recipe | None, Reference]:
    """Return the recipe of the layer that is asked for, if it is one, and where it is.

    A layer's name alone, or with a digest, is of the registry that the settings say.
    """
    given = _reference(text)
    if given.repository not in recipe.PARENTS:
        return None, given
    layer = images.recipe_of(app, given.repository)
    tag = "" if given.tag or given.digest else layer.reference.rpartition(":")[2]
    where = f"{app.settings.image_registry}/{given.repository}"
    return layer, given._replace(repository=where, tag=given.tag or tag)


def _reference(text: str) -> Reference:
    try:
        return references.reference(text)
    except ValueError as wrong:
        raise UsageError(f"{text!r} is no name of an image", hint=str(wrong)) from None


def _check(layer: Recipe | None, image: Image, given: str) -> None:
    """Raise ImageError for an image that is not the layer, or that no box can start from."""
    registry.refuse_strange(image, given)
    if layer is not None and image.label(LABEL_RECIPE) != layer.digest:
        raise ImageError(
            f"{given} is not {layer.name} as this version of cai makes it with your settings",
            hint=f"build it: cai image build {layer.name}; or have new boxes start from that one: "
            f'image.name = "{given}" in config.toml',
        )


def _digest(image: Image | None, repository: str) -> str:
    digests = image.digests if image is not None else ()
    return next(
        (digest.partition("@")[2] for digest in digests if digest.startswith(f"{repository}@")), ""
    )


def push(app: App, text: str, source: str | None) -> Moved:
    """Push an image under a reference. Raises ImageError where that does not work."""
    target = _reference(text)
    if target.digest:
        raise UsageError(f"{target}: a digest follows from what is pushed", hint="give a tag")
    name = source or _of_target(app, target)
    reference = images.recipe_of(app, name).reference if name in recipe.PARENTS else name
    engine = images.engine_of(app)
    image = engine.image(reference)
    if image is None:
        raise ImageError(f"there is no image {reference} here", hint=f"cai image build {name}")
    target = target._replace(tag=target.tag or "latest")
    before = engine.image(str(target))
    progress = app.ui.step(f"push {target}", 1, 1)
    engine.docker("tag", image.id, str(target))
    try:
        digest = registry.push(engine, str(target), progress)
    finally:
        _untag(engine, str(target), before)
    return Moved(reference, str(target), digest)


def _of_target(app: App, target: Reference) -> str:
    last = target.repository.rpartition("/")[2]
    return last if last in recipe.PARENTS else app.settings.image_name


def _untag(engine: Engine, reference: str, before: Image | None) -> None:
    """Have a name again be of what it was of."""
    if before is not None:
        engine.docker("tag", before.id, reference)
    else:
        engine.docker("rmi", "--no-prune", reference, ok=(0, 1))


def export(app: App, path: str) -> Exported:
    """Write the image of new boxes, with all its layers, to a file.

    Raises ImageError where it is not there, NoSpaceError before anything is written.
    """
    engine = images.engine_of(app)
    layers = images.recipe_of(app, app.settings.image_name).chain
    there = [(layer, engine.image(layer.reference)) for layer in layers]
    image = there[-1][1]
    if image is None:
        name = layers[-1].name
        raise ImageError(f"image {name} is not built here", hint=f"cai image build {name}")
    references = [layer.reference for layer, image in there if image is not None]
    progress = app.ui.step(f"export {layers[-1].name}", 1, 1)
    size = archive.save(engine, references, image.size, os.path.abspath(path), progress)
    return Exported(os.path.abspath(path), size, references)


def import_(app: App, path: str) -> list[Imported]:
    """Take the layers that a file has, as this version makes them.

    Raises ImageError where it has none or is damaged; nothing of it is taken then.
    """
    engine = images.engine_of(app)
    progress = app.ui.step(f"import {os.path.basename(path)}", 1, 1)
    taken = archive.load(engine, images.layers(app), os.path.abspath(path), progress)
    return [Imported(layer.name, layer.reference) for layer in taken]


def unneeded(app: App) -> list[Listed]:
    """Return the images of ours that no container uses and no new box would, the last built first.

    What an interrupted build left is among them: a build goes on from there.
    """
    engine = images.engine_of(app)
    used = {container.image_id for container in engine.containers()}
    rows = images.listed(app)
    ours = [row for row in rows if row.status == images.OLDER and row.id not in used]
    known = {row.id for row in rows}
    left = [image for image in engine.images("dangling=true") if image.id not in known | used]
    parts = [images.described(image, {}, ()) for image in left]
    order = recipe.NAMES
    ours.sort(key=lambda row: -order.index(row.name) if row.name in order else 1)
    return [*ours, *parts]


def prune(app: App, rows: Sequence[Listed]) -> Pruned:
    """Remove images."""
    removed, kept = [], {}
    for row in rows:
        app.ui.say(f"removing {row.name} {row.recipe or row.id[7:19]}")
        try:
            for name in row.tags or (row.id,):
                app.engine.docker("rmi", name)
            removed.append(row)
        except EngineError as failed:
            kept[row.tags[0] if row.tags else row.id] = str(failed).splitlines()[-1].strip()
    return Pruned(removed, kept)
