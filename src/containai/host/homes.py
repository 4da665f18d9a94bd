"""Reads files of a home: by descriptors, so that nothing else is read than what was looked at.

A home is its user's, and has links where whoever keeps dotfiles puts them. A workspace is its
agent's: no link that lies in one, or leads into one, is followed.
"""

import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

#: As in path_resolution(7).
_LINKS = 40
#: How deep directories may lie in each other, and how many names are looked at below one.
_DEPTH, _ENTRIES = 32, 200_000
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: What tells a directory from all others: device and inode.
Identity = tuple[int, int]


class File(NamedTuple):
    """A file that can be read while its tree is being walked."""

    #: Below the home.
    path: str
    size: int
    executable: bool
    #: When it was changed, in seconds.
    changed: int
    read: Callable[[], bytes]


class Left(NamedTuple):
    """Something that was not read, and why."""

    path: str
    why: str


class _Place(NamedTuple):
    """A directory on the way, and whether it is a workspace or in one."""

    fd: int
    identity: Identity
    theirs: bool


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Something is not read."""


class Tree:
    """A directory of which files are read."""

    def __init__(
        self,
        home: str,
        uid: int,
        *,
        follows: bool = True,
        workspaces: Collection[Identity] = (),
        top: int | None = None,
    ) -> None:
        """`follows` is for a home: its user `uid` made the links in it, or root.

        Where none is followed, `top` is the directory, which is open. Raises OSError for one that
        cannot be read.
        """
        #: Its real path.
        self.home = os.path.realpath(home, strict=True)
        self._fd = top
        self._uid = uid
        self._follows = follows
        self._workspaces = frozenset(workspaces)
        os.close(os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def files(
        self, path: str, passed: Callable[[str], str] = lambda _: ""
    ) -> Iterator[File | Left]:
        """Return the file at a path below, or all files below that directory.

        `passed` says of a path why it is passed over, if it is.
        """
        with ExitStack() as stack:
            try:
                places, last = self._resolved(stack, self._top(stack), path)
            except (FileNotFoundError, NotADirectoryError):
                return
            except (_Refused, OSError) as wrong:
                yield Left(path, _why(wrong))
                return
            if last is None:
                yield from self._below(places, path, passed, (), itertools.count())
            else:
                yield _file(path, last)

    def read(self, path: str, limit: int) -> bytes | None:
        """Return what is in a file below, or None where it is none that is read."""
        for found in self.files(path, lambda below: "" if below == path else "other"):
            if isinstance(found, File) and found.path == path and found.size <= limit:
                with suppress(OSError):
                    return found.read()
        return None

    def _top(self, stack: ExitStack) -> list[_Place]:
        if self._fd is not None:
            return [self._place(self._fd, theirs=False)]
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        places = [self._place(root, theirs=False)]
        for name in filter(None, self.home.split("/")):
            fd = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=places[-1].fd)
            stack.callback(os.close, fd)
            places.append(self._place(fd, theirs=places[-1].theirs))
        return places

    def _place(self, fd: int, *, theirs: bool) -> _Place:
        seen = os.fstat(fd)
        identity = (seen.st_dev, seen.st_ino)
        return _Place(fd, identity, theirs or identity in self._workspaces)

    def _resolved(
        self, stack: ExitStack, places: list[_Place], path: str
    ) -> tuple[list[_Place], int | None]:
        """Return the directories that lead to a path, and the file there; None for a directory."""
        left, links = path.split("/")[::-1], 0
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                places = places[:-1] or places
                continue
            fd = os.open(name, _LOOK, dir_fd=places[-1].fd)
            stack.callback(os.close, fd)
            seen = os.fstat(fd)
            if stat.S_ISLNK(seen.st_mode):
                links += 1
                self._check_link(seen, places[-1], links)
                target = os.readlink("", dir_fd=fd)
                left += target.split("/")[::-1]
                places = places[:1] if target.startswith("/") else places
            elif stat.S_ISDIR(seen.st_mode):
                places = [*places, self._place(fd, theirs=places[-1].theirs)]
            elif any(part not in ("", ".") for part in left):
                raise NotADirectoryError
            else:
                self._check_end(seen, places[-1], linked=links > 0)
                return places, fd
        self._check_end(os.fstat(places[-1].fd), places[-1], linked=links > 0)
        return places, None

    def _check_link(self, seen: os.stat_result, place: _Place, links: int) -> None:
        if not self._follows:
            raise _Refused("a link, which is not followed here")
        if place.theirs:
            raise _Refused("a link in the workspace of a box, where its agent makes links")
        if seen.st_uid not in (self._uid, 0):
            raise _Refused("a link of another user's")
        if links > _LINKS:
            raise _Refused("too many links")

    def _check_end(self, seen: os.stat_result, place: _Place, *, linked: bool) -> None:
        if linked and place.theirs:
            raise _Refused("a link into the workspace of a box, where its agent writes")
        if linked and seen.st_uid not in (self._uid, 0):
            raise _Refused("a link to what is another user's")

    def _below(
        self,
        places: list[_Place],
        path: str,
        passed: Callable[[str], str],
        above: tuple[Identity, ...],
        counted: Iterator[int],
    ) -> Iterator[File | Left]:
        """Return what is below a directory; `above` are those that it was come to through."""
        here = places[-1]
        if here.identity in above:
            yield Left(path, "a link to a directory that it is in")
            return
        if len(above) >= _DEPTH:
            yield Left(path, f"more than {_DEPTH} directories deep")
            return
        try:
            names = sorted(_names(here.fd))
        except OSError as wrong:
            yield Left(path, _why(wrong))
            return
        for name in names:
            below = f"{path}/{name}"
            if next(counted) >= _ENTRIES:
                yield Left(below, f"more than {_ENTRIES} names")
                return
            if not name.isprintable():
                yield Left(below, "its name has odd characters")
            elif why := passed(below):
                yield Left(below, why)
            else:
                yield from self._entry(places, name, below, passed, above, counted)

    def _entry(
        self,
        places: list[_Place],
        name: str,
        path: str,
        passed: Callable[[str], str],
        above: tuple[Identity, ...],
        counted: Iterator[int],
    ) -> Iterator[File | Left]:
        with ExitStack() as stack:
            try:
                inner, last = self._resolved(stack, places, name)
            except FileNotFoundError:
                yield Left(path, "a link to nothing")
                return
            except (_Refused, OSError) as wrong:
                yield Left(path, _why(wrong))
                return
            if last is None:
                above = (*above, places[-1].identity)
                yield from self._below(inner, path, passed, above, counted)
            else:
                yield _file(path, last)


def _names(fd: int) -> list[str]:
    again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        return os.listdir(again)
    finally:
        os.close(again)


def _file(path: str, fd: int) -> File | Left:
    seen = os.fstat(fd)
    if not stat.S_ISREG(seen.st_mode):
        return Left(path, "no file")
    executable = bool(seen.st_mode & stat.S_IXUSR)
    size = seen.st_size
    return File(path, size, executable, int(seen.st_mtime), lambda: _content(fd, size))


def _content(fd: int, size: int) -> bytes:
    """Return what is in a file, and no more than it had when it was looked at."""
    # The same file: what its name stands for by now does not count.
    with open(os.open(f"/proc/self/fd/{fd}", _READ), "rb") as file:
        return file.read(size)


def _why(wrong: Exception) -> str:
    if isinstance(wrong, OSError):
        return f"it cannot be read: {wrong.strerror or wrong}"
    return str(wrong)
