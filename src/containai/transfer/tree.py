"""A directory of the user's that an agent may change meanwhile.

Each name is opened from the one above, no link is followed: nothing outside is read or removed.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import IO

from containai.host.below import DIRECTORY, STANDS_FOR
from containai.host.tar import CHUNK


class Tree:
    """A directory that stays open."""

    def __init__(self, path: str) -> None:
        """Raises OSError where a link leads there."""
        self.fd = os.open(path, DIRECTORY)

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)

    @contextlib.contextmanager
    def above(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Open the directory that a path is in; give the last name. Raises OSError."""
        *parents, name = path.split(b"/")
        at = os.dup(self.fd)
        try:
            for parent in parents:
                following = os.open(parent, DIRECTORY, dir_fd=at)
                os.close(at)
                at = following
            yield at, name
        finally:
            os.close(at)

    def look(self, path: bytes) -> os.stat_result | None:
        """Return what is at a path, or None where there is nothing, or a link on the way."""
        with contextlib.suppress(OSError), self.above(path) as (directory, name):
            return os.stat(name, dir_fd=directory, follow_symlinks=False)
        return None

    def target(self, path: bytes) -> bytes:
        """Return where a link leads. Raises OSError."""
        with self.above(path) as (directory, name):
            return os.readlink(name, dir_fd=directory)

    @contextlib.contextmanager
    def file(self, path: bytes) -> Iterator[IO[bytes]]:
        """Open a regular file for reading; nothing is waited for. Raises OSError."""
        with self.above(path) as (directory, name):
            stands = os.open(name, STANDS_FOR, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(stands).st_mode):
                raise OSError(22, "it is no file any more")
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(f"/proc/self/fd/{stands}", flags), "rb", buffering=0) as file:
                yield file
        finally:
            os.close(stands)

    def remove(self, path: bytes) -> None:
        """Remove a file or a link, and the directories above that are empty then."""
        with self.above(path) as (directory, name):
            os.unlink(name, dir_fd=directory)
        self.prune(path.rpartition(b"/")[0])

    def prune(self, path: bytes) -> None:
        """Remove a directory that is empty, and those above it that are empty then."""
        while path:
            try:
                with self.above(path) as (directory, name):
                    os.rmdir(name, dir_fd=directory)
            except OSError:
                return
            path = path.rpartition(b"/")[0]


def copy_exactly(file: IO[bytes], size: int, write: Callable[[bytes], object]) -> bool:
    """Write so many bytes of a file, zeros where it ended before; return whether it did not."""
    whole = True
    while size:
        part = file.read(min(CHUNK, size)) if whole else b""
        if not part:
            whole, part = False, bytes(min(CHUNK, size))
        write(part)
        size -= len(part)
    return whole
