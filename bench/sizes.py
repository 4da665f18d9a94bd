"""How large the images are, as the engine counts them: each with the layers that it begins with."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.measure import Row
from containai.config.settings import Settings
from containai.images import recipe

if TYPE_CHECKING:
    from bench.__main__ import Bench

#: What an image may have, in GB (10⁹ bytes), without compression.
AIMS = {"base": 0.8, "sdks": 2.5, "full": 4.5}


def sizes(bench: "Bench", _: int) -> Iterator[Row]:
    """Yield the size of every image that is there, as this version of cai makes it."""
    settings = Settings.load(bench.layout.config_file, os.environ)
    known = set(bench.docker_run("images", "--format", "{{.Repository}}:{{.Tag}}").split())
    for name, aim in AIMS.items():
        if name not in recipe.PARENTS:
            continue
        reference = recipe.find(name, settings).reference
        if reference in known:
            size = int(bench.docker_run("image", "inspect", "--format", "{{.Size}}", reference))
            yield row(name, size, _layers(bench, reference), aim)


def row(name: str, size: int, layers: int, aim: float) -> Row:
    """Return what is shown of an image of that many bytes and layers."""
    return Row(
        f"size of {name}", f"{size / 1e6:.0f} MB, {layers} layers", "", size / 1e9, "GB", aim
    )


def _layers(bench: "Bench", reference: str) -> int:
    template = "{{len .RootFS.Layers}}"
    return int(bench.docker_run("image", "inspect", "--format", template, reference))
