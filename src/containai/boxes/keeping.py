"""Which boxes are never pruned: a file each, as a label of a container cannot be changed.

It is of a box's name, and has its workspace in it: another box of that name is not meant.
"""

import contextlib
import os

from containai.boxes.box import Box
from containai.host import files
from containai.layout import Layout


def _file(layout: Layout, name: str) -> str:
    return os.path.join(layout.state_dir, "keep", name)


def keep(layout: Layout, box: Box) -> None:
    """Mark a box."""
    os.makedirs(os.path.dirname(_file(layout, box.name)), mode=0o700, exist_ok=True)
    files.write(_file(layout, box.name), box.workspace + "\n", 0o600)


def forget(layout: Layout, name: str) -> None:
    """Take the mark of a name away."""
    files.remove(_file(layout, name))


def move(layout: Layout, old: str, new: str) -> None:
    """Have the mark of a box that got another name."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(_file(layout, old), _file(layout, new))


def is_kept(layout: Layout, box: Box) -> bool:
    """Whether a box is marked."""
    return files.read_if_whole(_file(layout, box.name)) == box.workspace + "\n"
