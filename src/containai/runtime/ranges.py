"""Ranges of host ids, one a container, kept for as long as the container exists.

runc's `delete` comes at every stop, so it cannot free a range: a container that is started again
keeps its ids. A range has a witness instead, a path that goes with the container (the writable
layer of its root file system); a range whose witness is gone is free.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .errors import RuntimeRefusal

#: Ids a container: room for the 65,536 of an ordinary system, and above them for subordinate ids
#: of the users inside.
SIZE = 262_144


class Range(NamedTuple):
    """A container's range: its first host id, its witness, and its cgroup on a hybrid host."""

    container: str
    base: int
    witness: str
    cgroup: str = ""


class Ranges:
    """The ranges in use, as files of a state directory that only root reads and writes."""

    def __init__(self, state: str, first: int, count: int) -> None:
        self._directory = os.path.join(state, "ranges")
        self._lock = os.path.join(state, "ranges.lock")
        self.first, self.count = first, count

    def allocate(self, container: str, witness: str, cgroup: str) -> Range:
        """Return the container's range: the one it has, or a free one, which it then has.

        Raises RuntimeRefusal where all are taken.
        """
        with self._locked():
            used = self._pruned()
            for each in used:
                if each.container == container:
                    return each
            taken = [(each.base, each.base + SIZE) for each in used] + foreign()
            base = choose(self.first, self.count, taken)
            mine = Range(container, base, witness, cgroup)
            self._write(mine)
            return mine

    def get(self, container: str) -> Range | None:
        """Return the container's range, or None."""
        with contextlib.suppress(OSError, RuntimeRefusal):
            return self._read(container + ".json")
        return None

    def prune(self) -> list[Range]:
        """Free the ranges of containers that are gone; return those in use, by first id."""
        with self._locked():
            return sorted(self._pruned(), key=lambda each: each.base)

    def _pruned(self) -> list[Range]:
        kept = []
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            if not name.endswith(".json"):
                os.unlink(path)  # a write that was cut short
                continue
            found = self._read(name)
            if os.path.lexists(found.witness):
                kept.append(found)
            else:
                os.unlink(path)
        return kept

    def _read(self, name: str) -> Range:
        path = os.path.join(self._directory, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            said = json.loads(text)
            container = name.removesuffix(".json")
            return Range(container, int(said["base"]), said["witness"], said["cgroup"])
        except (ValueError, KeyError, TypeError) as wrong:
            raise RuntimeRefusal(f"{path} is damaged ({wrong!r}); remove it if unused") from None

    def _write(self, mine: Range) -> None:
        path = os.path.join(self._directory, mine.container + ".json")
        said = {"base": mine.base, "witness": mine.witness, "cgroup": mine.cgroup}
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def choose(first: int, count: int, taken: Iterable[tuple[int, int]]) -> int:
    """Return the first id of the lowest free range. `taken` are pairs (first, one past the last).

    Raises RuntimeRefusal where there is none.
    """
    used = list(taken)
    for base in range(first, first + count - SIZE + 1, SIZE):
        if all(base + SIZE <= start or end <= base for start, end in used):
            return base
    raise RuntimeRefusal(
        f"all {count // SIZE} id ranges from {first} to {first + count - 1} are taken: "
        "remove a container"
    )


def foreign(root: str = "/") -> list[tuple[int, int]]:
    """Return the ids of the host's users and groups, and those delegated to its users."""
    taken = []
    for name, columns in (
        ("subuid", (1, 2)),
        ("subgid", (1, 2)),
        ("passwd", (2, 3)),
        ("group", (2,)),
    ):
        try:
            with open(os.path.join(root, "etc", name), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split(":")
            numbers = [int(fields[c]) for c in columns if c < len(fields) and fields[c].isdigit()]
            if name.startswith("sub") and len(numbers) == 2:
                taken.append((numbers[0], numbers[0] + numbers[1]))
            elif not name.startswith("sub"):
                taken += [(number, number + 1) for number in numbers]
    return taken
