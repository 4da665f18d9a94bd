"""Directories that are opened one name after the other, no link followed: the agent may swap them.

What it can write is workspaces of boxes, so a path that a user gave may have links until it enters
one, and none from there on.
"""

import contextlib
import errno
import os
from collections.abc import Collection, Iterator

from containai.errors import CopyError

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: What only stands for a file, and opens nothing (open(2), O_PATH).
STANDS_FOR = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
#: As in path_resolution(7).
_LINKS = 40

#: A file system and a number in it.
Identity = tuple[int, int]


def identity(fd: int) -> Identity:
    """Return what tells a file that is open from all others."""
    seen = os.fstat(fd)
    return seen.st_dev, seen.st_ino


def identities(paths: Collection[str]) -> set[Identity]:
    """Return what tells directories from all others; those that are not there have no say."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):
            seen = os.stat(path)
            found.add((seen.st_dev, seen.st_ino))
    return found


def named(name: bytes | str) -> str:
    """Return how a name is shown."""
    return repr(os.fsdecode(name))


@contextlib.contextmanager
def open_directory(path: str, guarded: Collection[Identity]) -> Iterator[int]:
    """Open a directory of the user's: no link is followed in `guarded` directories, nor below.

    Raises CopyError where it leads through one, OSError where there is none.
    """
    at, links, inside = os.open("/", DIRECTORY), 0, False
    try:
        left = [part for part in os.path.abspath(path).split("/") if part][::-1]
        while left:
            part = left.pop()
            inside = inside or identity(at) in guarded
            try:
                following = os.open(part, DIRECTORY, dir_fd=at)
            except OSError as wrong:
                target = _target(at, part) if wrong.errno in (errno.ELOOP, errno.ENOTDIR) else None
                if target is None:
                    raise OSError(wrong.errno, wrong.strerror, path) from None
                links += 1
                if inside or links > _LINKS:
                    raise CopyError(
                        f"{path!r} leads through the link {part!r} of a workspace",
                        hint="an agent can change where that leads: give the path without it",
                    ) from None
                left += [each for each in target.split("/") if each not in ("", ".")][::-1]
                following = os.open("/" if target.startswith("/") else ".", DIRECTORY, dir_fd=at)
            os.close(at)
            at = following
        yield at
    finally:
        os.close(at)


def _target(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None
