"""What differs between two trees of git, and what is in files of one."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from containai.errors import CopyError
from containai.host.piped import piped
from containai.host.tar import CHUNK
from containai.transfer.checks import Item
from containai.transfer.git import Store, ended

LINK, SUBMODULE, NOTHING = "120000", "160000", "000000"
#: The longest way that a link may lead, in bytes (PATH_MAX).
_TARGET = 4096


class Change(NamedTuple):
    """A path with its modes and objects before and after; a mode of zeros is nothing."""

    path: bytes
    before: str
    after: str
    old: str
    new: str


def between(store: Store, old: str, new: str) -> list[Change]:
    """Return what differs between two trees, files only."""
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new)
    parts = store.parts(*words)
    changes = []
    for said, path in zip(parts[::2], parts[1::2], strict=True):
        before, after, first, second, _ = said.decode().lstrip(":").split(" ")
        changes.append(Change(path, before, after, first, second))
    return changes


def items(store: Store, changes: Sequence[Change]) -> list[Item]:
    """Return what is new of changes, with where links lead."""
    links = [each for each in changes if each.after == LINK]
    targets = {}
    for each, size, reading in blobs(store, [link.new for link in links]):
        targets[links[each].path] = reading.exactly(size)[: _TARGET + 1]
    return [
        Item(each.path, each.after, targets.get(each.path, b""))
        for each in changes
        if each.after != NOTHING
    ]


class Reading:
    """The data of one file of many, as it comes; `data` is as that of a tar's reader."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.left = 0

    def data(self, length: int) -> Iterator[bytes]:
        """Read so many bytes."""
        while length:
            part = self.exactly(min(CHUNK, length))
            length -= len(part)
            yield part

    def exactly(self, length: int) -> bytes:
        """Read so many bytes at once."""
        part = self._stream.read(length) if length else b""
        if len(part) != length:
            raise CopyError("git ended in the middle", hint="try again")
        self.left -= length
        return part

    def line(self) -> bytes:
        """Read what is said before a file's data."""
        return self._stream.readline()


def blobs(store: Store, oids: Sequence[str]) -> Iterator[tuple[int, int, Reading]]:
    """Read files by their objects' names: which it is, its size, and what reads it."""
    if not oids:
        return
    argv = ["git", "cat-file", "--batch"]
    given = "".join(f"{oid}\n" for oid in oids).encode()
    with piped(store.programs, argv, writes=False, given=given, env=store.env()) as running:
        reading = Reading(running.stream)
        for at in range(len(oids)):
            said = reading.line().split()
            if len(said) != 3 or said[1] != b"blob":
                raise CopyError("a file of the box's work is missing", hint="try again")
            reading.left = size = int(said[2])
            yield at, size, reading
            for _ in reading.data(reading.left):
                pass
            reading.left = 1
            reading.exactly(1)
        ended(argv, running.done())


def sizes(store: Store, oids: Sequence[str]) -> int:
    """Return how many bytes files have in all."""
    asked = "".join(f"{oid}\n" for oid in oids)
    total = 0
    for line in store.run("cat-file", "--batch-check", stdin=asked).out.splitlines():
        with contextlib.suppress(IndexError, ValueError):
            total += int(line.split()[2])
    return total
