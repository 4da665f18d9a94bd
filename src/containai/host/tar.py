"""Tar as a stream, read strictly: who wrote it may be an adversary.

Nothing of a header is believed before it is checked, and nothing is held in memory but one header.
pax and GNU's long names are understood, and GNU's sparse format 1.0.
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html,
https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import IO, NamedTuple

from containai.errors import CopyError

BLOCK = 512
#: How much is read and written at a time, in bytes.
CHUNK = 1 << 20
#: The longest extended header: names of 4096 bytes and what else stands there.
_HEADER = 1 << 18
#: How many pieces of data a sparse file may have.
_PIECES = 1 << 18
#: The largest file there can be (off_t).
_LARGEST = (1 << 63) - 1
#: Times that every file system takes, in seconds.
_TIMES = 1 << 40


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    HARD_LINK = "hard link"
    OTHER = "device, pipe or socket"


_KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"1": Kind.HARD_LINK}
_KINDS |= {b"2": Kind.LINK, b"5": Kind.DIRECTORY}
_KINDS |= dict.fromkeys((b"3", b"4", b"6"), Kind.OTHER)


class Piece(NamedTuple):
    """Bytes of a file that are in the archive: all others are zero."""

    offset: int
    length: int


class Entry(NamedTuple):
    """A file, directory or link of an archive. Its time is in nanoseconds."""

    name: bytes
    kind: Kind
    mode: int = 0o644
    time: int = 0
    size: int = 0
    target: bytes = b""
    pieces: Sequence[Piece] = ()


class Reader:
    """The entries of an archive, one after the other. Raises CopyError where it is none, or ends.

    What is not read of one is passed over when the next is asked for.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        #: Of the entry: bytes that were not read yet, and what fills its last block.
        self._left = self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        while True:
            self._pass_over()
            entry = self._next()
            if entry is None:
                return
            yield entry

    def data(self, length: int) -> Iterator[bytes]:
        """Read so many bytes of the entry's data."""
        while length:
            part = self._exactly(min(CHUNK, length))
            self._left -= len(part)
            length -= len(part)
            yield part

    def _pass_over(self) -> None:
        for _ in self.data(self._left):
            pass
        self._exactly(self._padding)
        self._padding = 0

    def _next(self) -> Entry | None:
        long: dict[str, bytes] = {}
        while True:
            block = self._exactly(BLOCK)
            if not block.strip(b"\0"):
                # Whoever wrote it fills a record, and is not to fail for that.
                self._stream.read(1 << 16)
                return None
            _check_sum(block)
            size, kind = _number(block[124:136]), block[156:157]
            if kind not in b"xgLK":
                return self._entry(block, kind, long)
            if size > _HEADER:
                raise _strange("a header of it is too large")
            text = self._exactly(-(-size // BLOCK) * BLOCK)[:size]
            if kind == b"x":
                long |= _records(text)
            elif kind != b"g":
                long["path" if kind == b"L" else "linkpath"] = text.rstrip(b"\0")

    def _entry(self, block: bytes, kind: bytes, long: dict[str, bytes]) -> Entry:
        name = long.get("GNU.sparse.name") or long.get("path") or _name(block)
        size = _decimal(long["size"]) if "size" in long else _number(block[124:136])
        if kind not in _KINDS:
            raise _strange(f"{name!r} is of the unknown kind {kind!r}")
        what = _KINDS[kind]
        if what is Kind.FILE and name.endswith(b"/"):
            what = Kind.DIRECTORY
        time = _time(long["mtime"]) if "mtime" in long else _number(block[136:148]) * 10**9
        target = long.get("linkpath") or block[157:257].split(b"\0")[0]
        # GNU tar leaves what hard links and others would have to their first.
        self._left = size if what is Kind.FILE else 0
        self._padding = -self._left % BLOCK
        mode = _number(block[100:108]) & 0o7777
        entry = Entry(name, what, mode, min(time, _TIMES * 10**9), self._left, target)
        if what is not Kind.FILE:
            return entry
        if any(key.startswith("GNU.sparse.") for key in long):
            return self._sparse(entry, long)
        return entry._replace(pieces=[Piece(0, size)] if size else ())

    def _sparse(self, entry: Entry, long: dict[str, bytes]) -> Entry:
        if long.get("GNU.sparse.major") != b"1" or long.get("GNU.sparse.minor") != b"0":
            raise _strange(f"{entry.name!r} is sparse in another way than GNU's 1.0")
        size = _decimal(long.get("GNU.sparse.realsize", b""))
        numbers = self._numbers()
        count = next(numbers)
        if count > _PIECES:
            raise _strange(f"{entry.name!r} has too many pieces")
        pieces, end = [], 0
        for _ in range(count):
            piece = Piece(next(numbers), next(numbers))
            if piece.offset < end or piece.offset + piece.length > size:
                raise _strange(f"{entry.name!r} has pieces in no order")
            end = piece.offset + piece.length
            pieces.append(piece)
        if sum(piece.length for piece in pieces) != self._left:
            raise _strange(f"{entry.name!r} has more or less data than it says")
        return entry._replace(size=size, pieces=[piece for piece in pieces if piece.length])

    def _numbers(self) -> Iterator[int]:
        """Read the numbers before a sparse file's data, block by block."""
        text = b""
        while True:
            line, separator, rest = text.partition(b"\n")
            if separator:
                text = rest
                yield _decimal(line)
            elif len(text) > 20 or self._left < BLOCK:
                raise _strange("a sparse file has no map")
            else:
                text += b"".join(self.data(BLOCK))

    def _exactly(self, count: int) -> bytes:
        read = self._stream.read(count) if count else b""
        if len(read) != count:
            raise CopyError("it ended in the middle", hint="try again")
        return read


def _strange(why: str) -> CopyError:
    return CopyError(f"no archive as it should be: {why}", hint="is it whole, and made by tar?")


def _check_sum(block: bytes) -> None:
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 32:
        raise _strange("a header has another sum")


def _number(field: bytes) -> int:
    """Parse a number of a header: octal digits, or 256 as the base."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    else:
        digits = field.strip(b" \0") or b"0"
        if not digits.isdigit() or b"8" in digits or b"9" in digits:
            raise _strange("a header has no number where one belongs")
        number = int(digits, 8)
    if number > _LARGEST:
        raise _strange("a header has too large a number")
    return number


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19 or int(text) > _LARGEST:
        raise _strange("a number of it is none")
    return int(text)


def _time(text: bytes) -> int:
    """Parse seconds with a fraction; those before 1970 become 1970."""
    whole, _, fraction = text.partition(b".")
    if whole.startswith(b"-"):
        return 0
    return _decimal(whole) * 10**9 + (_decimal(fraction[:9].ljust(9, b"0")) if fraction else 0)


def _name(block: bytes) -> bytes:
    name, prefix = block[:100].split(b"\0")[0], b""
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0")[0]
    return b"/".join(filter(None, [prefix, name]))


def _records(text: bytes) -> dict[str, bytes]:
    """Parse the records of a pax header: its length, a blank, KEY=VALUE, a line feed."""
    records = {}
    while text:
        digits, _, _ = text[:8].partition(b" ")
        length = _decimal(digits)
        record = text[len(digits) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        if not equals or text[length - 1 : length] != b"\n":
            raise _strange("a pax record is none")
        records[key.decode("utf-8", "replace")] = value
        text = text[length:]
    return records


def header(entry: Entry) -> bytes:
    """Return the blocks before an entry's data, the map of a sparse file included."""
    import tarfile

    types = {Kind.DIRECTORY: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}
    info = tarfile.TarInfo(_text(entry.name))
    info.type = types.get(entry.kind, tarfile.REGTYPE)
    info.mode = entry.mode
    info.linkname = _text(entry.target)
    info.pax_headers = {"mtime": f"{entry.time // 10**9}.{entry.time % 10**9:09}"}
    info.size = sum(piece.length for piece in entry.pieces)
    pieces = b""
    if info.size != entry.size:
        # As GNU's tar does it: the last piece says where the file ends.
        mapped = [*entry.pieces, Piece(entry.size, 0)]
        pieces = b"".join(b"%d\n" % number for piece in mapped for number in piece)
        pieces = b"%d\n" % len(mapped) + pieces
        pieces += bytes(-len(pieces) % BLOCK)
        info.size += len(pieces)
        info.pax_headers |= {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": info.name,
            "GNU.sparse.realsize": str(entry.size),
        }
        info.name = "GNUSparseFile.0"
    blocks = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return blocks + pieces


#: What is at the end of an archive.
END = bytes(2 * BLOCK)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
