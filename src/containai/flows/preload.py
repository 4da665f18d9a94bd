"""`cai image preload`: what the Docker of new boxes begins with."""

import functools
import os
from collections.abc import Sequence

from containai.app import App
from containai.boxes import preloaded
from containai.boxes.preloaded import Preloaded
from containai.engine.client import Engine
from containai.errors import EngineError, ImageError
from containai.flows import images
from containai.host import space
from containai.work.ui import Progress

#: What loading takes for each byte of images: the layers, and what they are unpacked from.
_TAKEN = 2


def listed(app: App) -> list[Preloaded]:
    """Return this user's preloaded images."""
    engine = images.engine_of(app)
    return preloaded.listed(engine, _box_image(app)) if preloaded.exist(engine) else []


def add(app: App, references: Sequence[str], archive: str = "") -> list[Preloaded]:
    """Add images, pulled where the engine has none of that name; return all.

    Raises ImageError where one cannot be had.
    """
    names = [preloaded.named(reference) for reference in references]
    engine, image = images.engine_of(app), _box_image(app)
    pulled = _pulled(app, engine, names)
    size = sum(there.size for name in names if (there := engine.image(name)))
    if archive and os.path.isfile(archive):
        size += os.path.getsize(archive)
    what = "preloading images"
    space.require(engine.host, app.layout.engine_data, _TAKEN * size, what)
    app.ui.say(f"loading {archive or ', '.join(names)}")
    preloaded.add(engine, image, names, archive and os.path.abspath(archive))
    for name in pulled:
        # A box has it now; here it was only on its way.
        engine.docker("image", "rm", name, ok=(0, 1))
    return preloaded.listed(engine, image)


def remove(app: App, references: Sequence[str]) -> list[Preloaded]:
    """Remove some, or all where none is named; return what is left."""
    engine = images.engine_of(app)
    if references and preloaded.exist(engine):
        names = [preloaded.named(reference) for reference in references]
        image = _box_image(app)
        preloaded.remove(engine, image, names)
        return preloaded.listed(engine, image)
    if references:
        raise ImageError("no image is preloaded", hint="see: cai image preload --list")
    preloaded.remove_all(engine)
    return []


def _box_image(app: App) -> str:
    """Return the image of new boxes, built where it is missing: its Docker does the work."""
    return images.make(app, app.settings.image_name, anew=False)[-1].reference


def _pulled(app: App, engine: Engine, names: Sequence[str]) -> list[str]:
    """Pull what is missing; return the names of that."""
    missing = [name for name in names if engine.image(name) is None]
    for number, name in enumerate(missing, 1):
        progress = app.ui.step(f"pull {name}", number, len(missing))
        try:
            engine.stream("pull", name, on_line=functools.partial(_said, progress))
        except EngineError as failed:
            raise ImageError(
                f"{name} could not be pulled: {failed}",
                hint="an archive of `docker save` does, too: cai image preload --archive FILE",
            ) from None
    return missing


def _said(progress: Progress, line: str) -> None:
    progress(line, None)
