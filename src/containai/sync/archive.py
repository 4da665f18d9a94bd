"""A tar archive of what is like a home: untrusted, so nothing of it is unpacked on the host."""

import contextlib
from collections.abc import Callable, Iterator
from typing import IO

from containai.errors import CopyError
from containai.host.homes import File, Left
from containai.host.tar import Entry, Kind, Reader
from containai.sync.gather import ALL, COUNT, LARGEST

#: How much an archive may be, unpacked, and how many entries it may have.
_SIZE, _ENTRIES = 8 << 30, 1_000_000
#: What compressed files begin with, and the module of Python's that reads them.
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}


class Archive:
    """The files of an archive that are asked for, in memory."""

    home = ""

    def __init__(self, file: IO[bytes], path: str, wanted: Callable[[str], bool]) -> None:
        """`wanted` says of a path below the home whether it will be asked for.

        `path` is what the file is called. Raises CopyError for what is no archive, or one that
        only an adversary makes.
        """
        self._files: dict[str, tuple[Entry, bytes]] = {}
        self._left: dict[str, str] = {}
        try:
            with _decompressed(file) as stream:
                self._read_all(Reader(_Bounded(stream, _SIZE)), wanted)  # type: ignore[arg-type]
        except (CopyError, OSError, EOFError, ValueError) as wrong:
            raise _unreadable(path, str(wrong)) from None
        except Exception as wrong:
            # zlib.error and lzma.LZMAError are Exceptions and no more.
            if type(wrong).__name__ not in ("error", "LZMAError"):
                raise
            raise _unreadable(path, str(wrong)) from None

    def _read_all(self, reader: Reader, wanted: Callable[[str], bool]) -> None:
        size = 0
        for count, entry in enumerate(reader):
            if count > _ENTRIES:
                raise CopyError("it has too many entries")
            name = _name(entry.name)
            if not name or entry.kind is Kind.DIRECTORY or not wanted(name):
                continue
            self._files.pop(name, None)
            self._left.pop(name, None)
            if entry.kind is not Kind.FILE:
                self._left[name] = f"a {entry.kind.value}, which is not taken from an archive"
            elif entry.size > LARGEST:
                self._left[name] = f"larger than {LARGEST >> 20} MiB"
            elif not name.isprintable():
                self._left[name] = "its name has odd characters"
            else:
                size += entry.size
                if size > ALL or len(self._files) >= COUNT:
                    raise CopyError(f"its settings are more than {ALL >> 20} MiB, or {COUNT} files")
                self._files[name] = (entry, _content(entry, reader))

    def files(self, path: str, passed: Callable[[str], str]) -> Iterator[File | Left]:
        """Return the file at a path, or all below that directory, but for what is passed over."""
        for name in sorted({*self._files, *self._left}):
            if name != path and not name.startswith(f"{path}/"):
                continue
            left = _passed_over(name, path, passed)
            if left is None and name in self._left:
                left = Left(name, self._left[name])
            if left is not None:
                yield left
                continue
            entry, content = self._files[name]
            executable = bool(entry.mode & 0o100)
            changed = entry.time // 10**9
            yield File(name, len(content), executable, changed, lambda content=content: content)  # type: ignore[misc]

    def read(self, path: str, limit: int) -> bytes | None:
        """Return what is in a file, or None where it is none that is read."""
        found = self._files.get(path)
        return found[1] if found is not None and len(found[1]) <= limit else None


def _passed_over(name: str, top: str, passed: Callable[[str], str]) -> Left | None:
    """Return the file, or the directory that it is in, which is passed over, or None."""
    parts = name.split("/")
    for count in range(top.count("/") + 2, len(parts) + 1):
        above = "/".join(parts[:count])
        if why := passed(above):
            return Left(above, why)
    return None


def _name(name: bytes) -> str:
    """Return the path of an entry below the home, or "" for one that is not below it."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if name.startswith(b"/") or b".." in parts or b"\0" in name:
        return ""
    return b"/".join(parts).decode("utf-8", "surrogateescape")


def _content(entry: Entry, reader: Reader) -> bytes:
    content = bytearray(entry.size)
    for piece in entry.pieces:
        at = piece.offset
        for part in reader.data(piece.length):
            content[at : at + len(part)] = part
            at += len(part)
    return bytes(content)


@contextlib.contextmanager
def _decompressed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    from importlib import import_module

    begin = file.read(6)
    file.seek(0)
    for magic, module in _COMPRESSED.items():
        if begin.startswith(magic):
            with import_module(module).open(file, "rb") as stream:
                yield stream
            return
    yield file


class _Bounded:
    """A stream of which no more than so many bytes are read."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise CopyError(f"it is more than {_SIZE >> 30} GiB unpacked")
        return self._stream.read(count)


def _unreadable(path: str, why: str) -> CopyError:
    return CopyError(
        f"{path!r} cannot be read: {why}",
        hint="it is a tar archive of a home, or some of it: tar -C ~ -czf FILE .claude .gitconfig",
    )
