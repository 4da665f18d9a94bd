"""Whether the files of an image's layers are there: the engine looks only once it needs them."""

import os
from typing import Any

from containai.engine.client import Engine
from containai.images import build, rootfs
from containai.images.recipe import Recipe
from containai.work.ui import Progress


def lost(engine: Engine, reference: str) -> list[str]:
    """Return the directories of an image's layers that are gone; root is asked where need be.

    Of the storage driver overlay2; others do not say where they are. Raises ContainAIError where
    root is needed and cannot be had.
    """
    paths = _directories(engine.inspect("image", reference) or {})
    below = os.path.join(engine.layout.engine_data, "")
    paths = [path for path in paths if path.startswith(below)]
    if not paths:
        return []
    try:
        return [path for path in paths if not _is_there(path)]
    except PermissionError:
        said = engine.host.run(["stat", "--format", "%n", "--", *paths], ok=None, root=True)
        there = said.out.splitlines()
        return [path for path in paths if path not in there]


def build_anew(engine: Engine, recipe: Recipe, progress: Progress) -> None:
    """Build what of an image has lost layers, from the first one on, and take nothing from before.

    Boxes that were made from it keep what they have of it. Raises as `build.ensure` does.
    """
    root = rootfs.bootstrapped_reference()
    if engine.image(root) is not None and lost(engine, root):
        # Its name goes; what containers are made of stays.
        engine.docker("rmi", "--force", root)
    for layer in recipe.chain:
        if engine.image(layer.reference) is not None and not lost(engine, layer.reference):
            continue
        if layer.is_pulled:
            engine.docker("rmi", "--force", layer.reference, ok=(0, 1))
        build.ensure(engine, layer, progress, anew=True)


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _directories(inspected: dict[str, Any]) -> list[str]:
    driver = inspected.get("GraphDriver") or {}
    said = driver.get("Data") or {}
    if driver.get("Name") != "overlay2":
        return []
    lower = str(said.get("LowerDir") or "").split(":")
    return [path for path in [*lower, str(said.get("UpperDir") or "")] if path]
