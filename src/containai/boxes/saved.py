"""A data volume in one file: what it is of, and a tar archive of what is in it.

The file is a tar archive of two entries, so that tar(1) opens it: `containai.json`, which says what
the other one is, and `data.tar.gz`. Here only the two headers and the JSON are read, within limits;
what is in the data is looked at by whoever unpacks it (boxes/data.py).
"""

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from containai.errors import CopyError

FORMAT, VERSION = "containai-data", 1
MANIFEST, DATA = "containai.json", "data.tar.gz"
#: What there is of the manifest, with blanks after it: it is written when the data has been.
ROOM = 16 << 10
#: The most that is believed of a manifest, and of the size of data, in bytes.
MOST, LARGEST = 64 << 10, 1 << 46
BLOCK = tarfile.BLOCKSIZE
#: How much is handed on at once, in bytes.
CHUNK = 1 << 18
_GZIP = 31
_LEVEL = 3


class Manifest(NamedTuple):
    """What a file says of itself: of the tar archive its `size` in bytes, of the data a checksum.

    `box` is what the box was like: for people, nothing of it is done.
    """

    created: str
    by: str
    volume: str
    workspace: str
    box: dict[str, Any]
    size: int = 0
    sha256: str = ""


class Packer:
    """Takes a tar archive, compresses it into a file. `seen` is told how much there was."""

    def __init__(self, file: IO[bytes], seen: Callable[[int], object]) -> None:
        self._file = file
        self._seen = seen
        self._zip = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._digest = hashlib.sha256()
        self.size = self.stored = 0
        file.write(bytes(BLOCK + ROOM + BLOCK))

    def write(self, content: bytes) -> None:
        """Take some of it."""
        self.size += len(content)
        self._out(self._zip.compress(content))
        self._seen(self.size)

    def _out(self, compressed: bytes) -> None:
        self.stored += len(compressed)
        self._digest.update(compressed)
        self._file.write(compressed)

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the rest; return the manifest with what is known now."""
        self._out(self._zip.flush())
        self._file.write(bytes(-self.stored % BLOCK + 2 * BLOCK))
        manifest = manifest._replace(size=self.size, sha256=self._digest.hexdigest())
        value = {"format": FORMAT, "version": VERSION} | manifest._asdict()
        text = json.dumps(value, indent=1).encode().ljust(ROOM)
        if len(text) > ROOM:
            raise CopyError("what describes the box is too long for the file")
        self._file.seek(0)
        self._file.write(_header(MANIFEST, ROOM) + text + _header(DATA, self.stored))
        return manifest


def _header(name: str, size: int) -> bytes:
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, 0o600
    return made.tobuf(tarfile.GNU_FORMAT)


class Reader:
    """A file that was opened: its manifest, and its tar archive to read.

    What is read can be believed only after `check`. Raises CopyError for what is no such file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        size = _entry(file, MANIFEST)
        if size > MOST:
            raise _no_file(f"{MANIFEST} is too long")
        text = file.read(size + -size % BLOCK)[:size]
        self.manifest = _parsed(text)
        self._left = _entry(file, DATA)
        if os.fstat(file.fileno()).st_size < file.tell() + self._left:
            raise CopyError(
                "the file is cut short: a part of it is missing", hint="copy it once more"
            )
        self._zip = zlib.decompressobj(_GZIP)
        self._digest = hashlib.sha256()
        self._rest = b""
        self.seen = 0

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes of the tar archive, none at its end."""
        while not self._zip.eof:
            if not self._rest and self._left:
                self._rest = self._file.read(min(CHUNK, self._left))
                self._left -= len(self._rest)
                self._digest.update(self._rest)
                if not self._rest:
                    break
            content = self._unzipped(size)
            if content:
                self.seen += len(content)
                if self.seen > self.manifest.size:
                    raise _damaged(f"there is more in it than its {MANIFEST} says")
                return content
            if not self._rest and not self._left:
                break
        return b""

    def _unzipped(self, size: int) -> bytes:
        try:
            content = self._zip.decompress(self._rest, size)
        except zlib.error as wrong:
            raise _damaged(str(wrong)) from None
        self._rest = self._zip.unconsumed_tail
        return content

    def check(self) -> None:
        """Raise CopyError where what was read is not what the manifest says."""
        if not self._zip.eof or self.seen != self.manifest.size:
            raise _damaged("there is less in it than it says")
        if self._left or self._digest.hexdigest() != self.manifest.sha256:
            raise _damaged("its checksum is another")


def _entry(file: IO[bytes], name: str) -> int:
    """Return the size of the entry that comes next, which has to be that one."""
    block = file.read(BLOCK)
    try:
        found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise _no_file(f"{name} is not where it should be") from None
    if found.name != name or not found.isreg() or found.size < 0:
        raise _no_file(f"{name} is not where it should be")
    return found.size


def _parsed(text: bytes) -> Manifest:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _no_file(f"{MANIFEST} cannot be read") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _no_file(f"{MANIFEST} says something else")
    version = value.get("version")
    if version != VERSION or isinstance(version, bool):
        raise CopyError(
            f"the file is of version {str(version)[:20]!r} of this format, and {VERSION} is known",
            hint="use a newer cai: cai update",
        )
    kinds = Manifest.__annotations__
    given: dict[str, Any] = {name: value.get(name) for name in Manifest._fields}
    strings = [name for name, kind in kinds.items() if kind in (str, "str")]
    is_right = all(isinstance(given[name], str) for name in strings)
    size = given["size"]
    if not is_right or not isinstance(given["box"], dict) or not _is_size(size):
        raise _no_file(f"{MANIFEST} lacks something")
    return Manifest(**given)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _no_file(why: str) -> CopyError:
    return CopyError(
        f"it is no file of cai export or cai volume backup: {why}", hint="see: cai restore --help"
    )


def _damaged(why: str) -> CopyError:
    return CopyError(f"the file is damaged: {why}", hint="copy it once more, or take another one")
