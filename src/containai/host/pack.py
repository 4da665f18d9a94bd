"""Packs a tree that the agent changes meanwhile: nothing outside it is read.

Each name is opened from the directory above without following a link; links go in as links.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import IO

from containai.errors import CopyError
from containai.host import below
from containai.host.below import DIRECTORY, STANDS_FOR
from containai.host.tar import BLOCK, CHUNK, END, Entry, Kind, Piece, header
from containai.host.unpack import LeftOut, unheard

#: How deep a tree may be: a descriptor is open for each.
_DEPTH = 256
#: How many pieces a sparse file is sent in.
_PIECES = 1 << 16
#: What is said of what became another while it was looked at.
_CHANGED = {errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.ENXIO}


class Packer:
    """Writes entries to a stream."""

    def __init__(self, out: IO[bytes], tell: Callable[[int], None] = unheard) -> None:
        """`tell` gets the number of bytes as they go."""
        self._out = out
        self._tell = tell
        self.files = 0
        self.left_out: list[LeftOut] = []

    def add(self, directory: int, name: bytes, shown: bytes, depth: int = 0) -> None:
        """Pack what a name in a directory is, a tree or a file; in the archive it is `shown`."""
        try:
            fd = os.open(name, STANDS_FOR, dir_fd=directory)
        except OSError as wrong:
            self._failed(shown, wrong)
            return
        try:
            self._add(fd, os.fstat(fd), shown, depth)
        except BrokenPipeError:
            raise
        except OSError as wrong:
            self._failed(shown, wrong)
        finally:
            os.close(fd)

    def finish(self) -> None:
        """End the archive."""
        self._out.write(END)
        self._out.flush()

    def _failed(self, shown: bytes, wrong: OSError) -> None:
        changed = wrong.errno in _CHANGED
        self._leave_out(shown, "it changed meanwhile" if changed else str(wrong.strerror))

    def _leave_out(self, shown: bytes, why: str) -> None:
        self.left_out.append(LeftOut(os.fsdecode(shown), why))

    def _add(self, fd: int, seen: os.stat_result, shown: bytes, depth: int) -> None:
        entry = Entry(shown, Kind.FILE, seen.st_mode & 0o777, max(0, seen.st_mtime_ns))
        if stat.S_ISDIR(seen.st_mode):
            self._add_directory(fd, entry, depth)
        elif stat.S_ISREG(seen.st_mode):
            self._add_file(fd, entry)
        elif stat.S_ISLNK(seen.st_mode):
            target = os.readlink(b"", dir_fd=fd)
            self._out.write(header(entry._replace(kind=Kind.LINK, target=target)))
            self.files += 1
        else:
            self._leave_out(shown, f"a {Kind.OTHER.value}")

    def _add_directory(self, fd: int, entry: Entry, depth: int) -> None:
        if depth == _DEPTH:
            raise CopyError(f"{below.named(entry.name)} is more than {_DEPTH} directories deep")
        opened = os.open(b".", DIRECTORY, dir_fd=fd)
        try:
            self._out.write(header(entry._replace(kind=Kind.DIRECTORY)))
            for name in sorted(os.listdir(opened)):
                part = os.fsencode(name)
                self.add(opened, part, entry.name + b"/" + part, depth + 1)
        finally:
            os.close(opened)

    def _add_file(self, fd: int, entry: Entry) -> None:
        # The very file that was looked at; one that somebody holds a lease on is not waited for.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(f"/proc/self/fd/{fd}", flags), "rb", buffering=0) as file:
            seen = os.fstat(file.fileno())
            holes = seen.st_blocks * 512 < seen.st_size
            pieces = _pieces(file.fileno(), seen.st_size) if holes else None
            if pieces is None:
                pieces = [Piece(0, seen.st_size)] if seen.st_size else []
            entry = entry._replace(size=seen.st_size, pieces=pieces)
            self._out.write(header(entry))
            # All are sent, also behind one that is not there any more.
            missing = [piece for piece in pieces if not self._send(file.fileno(), piece)]
        self._out.write(bytes(-sum(piece.length for piece in pieces) % BLOCK))
        self.files += 1
        if missing:
            self._leave_out(entry.name, "it became shorter meanwhile, and ends with zeros")

    def _send(self, fd: int, piece: Piece) -> bool:
        """Send a piece of a file; return whether it was there to its end."""
        offset, end, whole = piece.offset, piece.offset + piece.length, True
        while offset < end:
            data = os.pread(fd, min(CHUNK, end - offset), offset) if whole else b""
            if not data:
                whole = False
                data = bytes(min(CHUNK, end - offset))
            self._out.write(data)
            self._tell(len(data))
            offset += len(data)
        return whole


def _pieces(fd: int, size: int) -> list[Piece] | None:
    """Return where a file has data, or None where that cannot be said."""
    pieces: list[Piece] = []
    end = 0
    with contextlib.suppress(OSError):
        while end < size:
            try:
                begin = os.lseek(fd, end, os.SEEK_DATA)
            except OSError as wrong:
                if wrong.errno != errno.ENXIO:
                    raise
                return pieces
            end = os.lseek(fd, begin, os.SEEK_HOLE)
            if begin >= size or len(pieces) == _PIECES:
                break
            pieces.append(Piece(begin, min(end, size) - begin))
        else:
            return pieces
    return None
