"""Unpacks a tar that an adversary made below a directory that the adversary changes meanwhile.

All is done by descriptors of directories, each opened from the one above without following a link:
whatever is renamed or replaced in between, nothing outside is written. A file gets its name when it
is whole.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from containai.errors import CopyError, NoSpaceError
from containai.host import below
from containai.host.below import DIRECTORY, STANDS_FOR, Identity
from containai.host.tar import CHUNK, Entry, Kind, Reader

#: How long a name may be in all, in bytes (PATH_MAX), and how many directories are made.
_NAME = 4096
_DIRECTORIES = 1 << 20
#: How many of those that are left out are remembered by name.
_NAMED = 100
#: How often it is looked whether there is room: after so many bytes or entries.
_BYTES, _ENTRIES = 16 << 20, 256
#: What is left free at least, in bytes; less where the file system is small or nearly full.
_FREE = 1 << 30

Parts = tuple[bytes, ...]


def unheard(count: int) -> None:
    """Nobody is told how much it was."""


class LeftOut(NamedTuple):
    """What was not copied, by its name, and why."""

    name: str
    why: str


class Unpacker:
    """Puts entries below an open directory, which stays open."""

    def __init__(
        self, root: int, tell: Callable[[int], None] = unheard, *, hard_links: bool
    ) -> None:
        """`tell` gets the number of bytes as they come. `hard_links` to own files may be made."""
        self._root = root
        self._tell = tell
        self._room = _Room(root)
        self._files: dict[Parts, Identity] | None = {} if hard_links else None
        self._directories: list[tuple[Parts, Entry]] = []
        #: The directory that was written to last.
        self._at: tuple[Parts, int] | None = None
        self.files = 0
        self.left_out: list[LeftOut] = []
        #: How many were left out in all.
        self.missing = 0

    def add(self, entry: Entry, reader: Reader, name: bytes | None = None) -> None:
        """Make an entry, by another name if one is given.

        Raises CopyError for one that only an adversary makes, NoSpaceError where there is no room.
        """
        with _told(entry):
            path = parts(name if name is not None else entry.name)
            self._room.count()
            if entry.kind is Kind.DIRECTORY:
                self._add_directory(path, entry)
            elif not path:
                raise CopyError(f"{below.named(entry.name)} is no name of a file")
            elif entry.kind is Kind.FILE:
                self._add_file(path, entry, reader)
            elif entry.kind is Kind.LINK:
                self._add_link(path, entry)
            elif entry.kind is Kind.HARD_LINK:
                self._add_hard_link(path, parts(entry.target))
            else:
                self._leave_out(path, f"a {entry.kind.value}")

    def finish(self) -> None:
        """Give the directories that were made their modes and times, and close what is open."""
        for path, entry in reversed(self._directories):
            # One that is another's by now is not ours to change.
            with contextlib.suppress(OSError, CopyError), self._opened(path) as fd:
                os.utime(fd, ns=(entry.time, entry.time))
                os.fchmod(fd, entry.mode & 0o777)
        self.close()

    def close(self) -> None:
        """Close what is open."""
        if self._at is not None:
            os.close(self._at[1])
            self._at = None

    def _leave_out(self, path: Parts, why: str) -> None:
        self.missing += 1
        if len(self.left_out) < _NAMED:
            self.left_out.append(LeftOut(os.fsdecode(b"/".join(path)), why))

    def _parent(self, path: Parts) -> int:
        """Return the directory that an entry belongs in, made where it is missing."""
        above = path[:-1]
        if self._at is None or self._at[0] != above:
            self.close()
            with self._opened(above, make=True) as fd:
                self._at = above, os.dup(fd)
        return self._at[1]

    @contextlib.contextmanager
    def _opened(self, path: Parts, *, make: bool = False) -> Iterator[int]:
        at = os.dup(self._root)
        try:
            for part in path:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=at)
                try:
                    following = os.open(part, DIRECTORY, dir_fd=at)
                except OSError as wrong:
                    if wrong.errno not in (errno.ELOOP, errno.ENOTDIR):
                        raise
                    shown = below.named(b"/".join(path))
                    why = f"{shown} leads through {below.named(part)}, which is no directory"
                    raise CopyError(why, hint="remove that, or copy to another place") from None
                os.close(at)
                at = following
            yield at
        finally:
            os.close(at)

    def _add_directory(self, path: Parts, entry: Entry) -> None:
        if not path:
            return
        with contextlib.suppress(FileExistsError):
            os.mkdir(path[-1], 0o700, dir_fd=self._parent(path))
            if len(self._directories) == _DIRECTORIES:
                raise CopyError(f"it has more than {_DIRECTORIES} directories")
            self._directories.append((path, entry))
        with self._opened(path):
            pass

    def _add_file(self, path: Parts, entry: Entry, reader: Reader) -> None:
        directory = self._parent(path)
        self._room.require(sum(piece.length for piece in entry.pieces))
        with _nameless(directory) as (fd, temporary):
            for piece in entry.pieces:
                offset = piece.offset
                for part in reader.data(piece.length):
                    _write(fd, part, offset)
                    offset += len(part)
                    self._room.count(len(part))
                    self._tell(len(part))
            if entry.size:
                os.ftruncate(fd, entry.size)
            os.fchmod(fd, entry.mode & 0o777)
            os.utime(fd, ns=(entry.time, entry.time))
            if temporary:
                os.rename(temporary, path[-1], src_dir_fd=directory, dst_dir_fd=directory)
            else:
                _place(directory, path[-1], fd)
            self.files += 1
            if self._files is not None:
                self._files[path] = below.identity(fd)

    def _add_link(self, path: Parts, entry: Entry) -> None:
        if not stays(path, entry.target):
            self._leave_out(path, f"a link to {below.named(entry.target)}, which leads out of it")
            return
        directory = self._parent(path)
        try:
            os.symlink(entry.target, path[-1], dir_fd=directory)
        except FileExistsError:
            temporary = _unguessable()
            os.symlink(entry.target, temporary, dir_fd=directory)
            with _gone_on_failure(directory, temporary):
                os.rename(temporary, path[-1], src_dir_fd=directory, dst_dir_fd=directory)
        times = (entry.time, entry.time)
        with contextlib.suppress(OSError):
            os.utime(path[-1], ns=times, dir_fd=directory, follow_symlinks=False)
        self.files += 1

    def _add_hard_link(self, path: Parts, first: Parts) -> None:
        known = (self._files or {}).get(first)
        if known is None:
            shown = below.named(b"/".join(path))
            raise CopyError(f"{shown} is a hard link to what is not in it", hint="refused")
        with self._opened(first[:-1]) as above:
            fd = os.open(first[-1], STANDS_FOR, dir_fd=above)
        try:
            if below.identity(fd) != known:
                raise CopyError(f"{below.named(b'/'.join(first))} was replaced meanwhile")
            _place(self._parent(path), path[-1], fd)
        finally:
            os.close(fd)
        self.files += 1


def parts(name: bytes) -> Parts:
    """Return the parts of an entry's name. Raises CopyError for one that leads out."""
    every = name.split(b"/")
    if len(name) > _NAME or b"\0" in name or not name or b".." in every or not every[0]:
        raise CopyError(
            f"{below.named(name[:_NAME])} is no name below a directory",
            hint="an archive that has such a name is not unpacked",
        )
    return tuple(part for part in every if part not in (b"", b"."))


def stays(path: Parts, target: bytes) -> bool:
    """Whether a link at a path leads to a place in the same tree, whatever other links are there.

    ".." is counted from where the link is; behind a name, which may be a link, nobody can count it.
    """
    steps = [part for part in target.split(b"/") if part not in (b"", b".")]
    up = 0
    while up < len(steps) and steps[up] == b"..":
        up += 1
    return not target.startswith(b"/") and up < len(path) and b".." not in steps[up:]


@contextlib.contextmanager
def _told(entry: Entry) -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        name = below.named(entry.name)
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(name) from None
        raise CopyError(
            f"{name}: {wrong.strerror}", hint="look what is in its place: ls -ld"
        ) from None


def _full(what: str) -> NoSpaceError:
    return NoSpaceError(f"no room for {what}", hint="free some, or copy to another place")


@contextlib.contextmanager
def _nameless(directory: int) -> Iterator[tuple[int, bytes]]:
    """Make a file that nobody sees, or one of a temporary name where that cannot be."""
    flags, temporary = os.O_WRONLY | os.O_CLOEXEC, b""
    try:
        fd = os.open(".", flags | os.O_TMPFILE, 0o600, dir_fd=directory)
    except OSError as wrong:
        if wrong.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        temporary = _unguessable()
        flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o600, dir_fd=directory)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, fd)
        if temporary:
            stack.enter_context(_gone_on_failure(directory, temporary))
        yield fd, temporary


@contextlib.contextmanager
def _gone_on_failure(directory: int, name: bytes) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise


def _place(directory: int, name: bytes, fd: int) -> None:
    """Give a file that is open a name, in place of what has it."""
    here = f"/proc/self/fd/{fd}"
    try:
        os.link(here, name, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        temporary = _unguessable()
        os.link(here, temporary, dst_dir_fd=directory, follow_symlinks=True)
        with _gone_on_failure(directory, temporary):
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            # Two names of one file stay two (rename(2)).
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)


def _unguessable() -> bytes:
    return b".cai-" + os.urandom(8).hex().encode()


def _write(fd: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data[:CHUNK], offset)
        data, offset = data[written:], offset + written


class _Room:
    """Sees to it that a stream without an end does not fill a file system."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        seen = os.fstatvfs(fd)
        free = seen.f_bavail * seen.f_frsize
        self._keep = min(_FREE, seen.f_blocks * seen.f_frsize // 50, free // 2)
        self._keep_files = min(seen.f_files // 50, seen.f_favail // 2)
        self._bytes = self._entries = 0

    def require(self, count: int) -> None:
        """Raise NoSpaceError where so many bytes would not fit."""
        if count > _BYTES:
            self._look(count)

    def count(self, written: int = 0) -> None:
        """Take note of an entry, or of bytes that were written."""
        self._bytes += written
        self._entries += not written
        if self._bytes >= _BYTES or self._entries >= _ENTRIES:
            self._bytes = self._entries = 0
            self._look(0)

    def _look(self, count: int) -> None:
        seen = os.fstatvfs(self._fd)
        left = seen.f_bavail * seen.f_frsize - count
        if left < self._keep or (seen.f_files and seen.f_favail < self._keep_files):
            raise _full("all of it: the file system would be full")


def unpack(
    reader: Reader,
    root: int,
    tell: Callable[[int], None] = unheard,
    *,
    hard_links: bool = False,
) -> Unpacker:
    """Unpack all of an archive below a directory that is open; return what was done.

    Raises CopyError and NoSpaceError: what was unpacked until then stays.
    """
    unpacker = Unpacker(root, tell, hard_links=hard_links)
    try:
        for entry in reader:
            unpacker.add(entry, reader)
        unpacker.finish()
    finally:
        unpacker.close()
    return unpacker
