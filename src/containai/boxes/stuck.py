"""What others of a box left in a workspace, and its owner cannot remove: directories in use.

The agent writes that tree: one name is opened after the other, no link is followed.
"""

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from containai.boxes import owner
from containai.host.below import DIRECTORY
from containai.layout import Layout

#: How deep it is looked, and how many directories may wait.
_DEPTH, _WAITING = 40, 10000

Parts = tuple[str, ...]


def first(layout: Layout, top: str, seconds: float) -> str | None:
    """Return a directory that its owner cannot remove, by its path in a workspace; None for none.

    From the top down, for so many seconds; what is mounted in it is left out. A file alone can go:
    the directory that it is in is its owner's.
    """
    end = time.monotonic() + seconds
    try:
        root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(root)
        if about.st_uid == 0:
            # Who can remove everything.
            return None
        waiting: deque[Parts] = deque([()])
        while waiting and time.monotonic() < end:
            parts = waiting.popleft()
            with contextlib.suppress(OSError), _opened(root, parts) as here:
                found = _look(layout, here, about.st_dev)
                if found.stuck is not None:
                    return os.path.join(*parts, found.stuck)
                if len(parts) < _DEPTH and len(waiting) < _WAITING:
                    waiting.extend((*parts, name) for name in found.below)
    finally:
        os.close(root)
    return None


class _Found(NamedTuple):
    """Of the directories in one: which its owner cannot remove, and those to look into."""

    stuck: str | None
    below: list[str]


def _look(layout: Layout, here: int, device: int) -> _Found:
    below = []
    with os.scandir(here) as entries:
        for entry in entries:
            seen = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(seen.st_mode) or seen.st_dev != device:
                continue
            if _is_of_a_box(layout, seen.st_uid) and not seen.st_mode & stat.S_IWOTH:
                if _has_something(here, entry.name):
                    return _Found(entry.name, [])
            else:
                below.append(entry.name)
    return _Found(None, below)


def _is_of_a_box(layout: Layout, uid: int) -> bool:
    first_id, count = layout.id_window
    return owner.is_stored(layout, uid) or first_id <= uid < first_id + count


def _has_something(here: int, name: str) -> bool:
    """Whether a directory is not empty; one that cannot be looked into is as good as that."""
    try:
        fd = os.open(name, DIRECTORY, dir_fd=here)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        return bool(os.listdir(fd))
    except OSError:
        return True
    finally:
        os.close(fd)


@contextlib.contextmanager
def _opened(root: int, parts: Parts) -> Iterator[int]:
    """Open a directory below another, one name after the other."""
    here = os.dup(root)
    try:
        for part in parts:
            below = os.open(part, DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)
