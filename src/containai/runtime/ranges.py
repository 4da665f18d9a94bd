"""Ranges of host ids, one a container, kept for as long as the container exists.

runc's `delete` comes at every stop, so it cannot free a range: a container that is started again
keeps its ids. A range has a witness instead, a path that goes with the container (the writable
layer of its root file system); a range whose witness is gone is free, and so are its cgroups.

A record that cannot be read keeps nobody else from starting. Which range it was of is asked of the
kernel, which knows the mappings of all living processes; where none has it, the record goes.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from . import cgroup
from .errors import RuntimeRefusal

#: Ids a container: room for the 65,536 of an ordinary system, and above them for subordinate ids
#: of the users inside.
SIZE = 262_144


class Range(NamedTuple):
    """A container's range: its first host id, its witness, its cgroup below the root of a tree.

    `stored` is the first of the ids that trees of the host have on disk for its users. The first
    versions had none, 0 here: there, those were the ids of the range.
    """

    container: str
    base: int
    witness: str
    cgroup: str = ""
    stored: int = 0


class Ranges:
    """The ranges in use, as files of a state directory that only root reads and writes."""

    def __init__(self, state: str, first: int, count: int, stored: int = 0) -> None:
        self._directory = os.path.join(state, "ranges")
        self._lock = os.path.join(state, "ranges.lock")
        self.first, self.count, self.stored = first, count, stored

    def allocate(self, container: str, witness: str, cgroup: str) -> Range:
        """Return the container's range: the one it has, or a free one, which it then has.

        One that an id of the host's has got into since is given up: no file holds its ids but what
        the container's root left in its workspace. Raises RuntimeRefusal where all are taken, and
        where the host has given an id away that files of containers have on disk.
        """
        with self._locked():
            used, damaged = self._pruned()
            hosts = foreign()
            if self.stored and not _is_free(self.stored, hosts):
                raise RuntimeRefusal(
                    f"ids from {self.stored} to {self.stored + SIZE - 1}, which files of "
                    "containers have on disk, were given to users of this host, who would own "
                    "them: take them back (/etc/passwd, group, subuid, subgid)"
                )
            if self.stored:
                hosts.append((self.stored, self.stored + SIZE))
            for record in used:
                if record.container == container and _is_free(record.base, hosts):
                    return record
            taken = [(record.base, record.base + SIZE) for record in used] + hosts
            if damaged:
                taken += self._living()
            base = choose(self.first, self.count, taken)
            mine = Range(container, base, witness, cgroup, self.stored)
            self._write(mine)
            return mine

    def settle(self, mine: Range) -> None:
        """Record that nothing in the container's trees has ids of its range on disk any more."""
        with self._locked():
            self._write(mine._replace(stored=self.stored))

    def moved(self, mine: Range | None = None) -> Callable[[int], int]:
        """Return where an id on disk belongs that a first version stored at a container's range.

        That is those of `mine`, and of ranges that no container has any more.
        """
        with self._locked():
            kept = [other for other in self._pruned()[0] if other != mine]
        used = {other.base for other in kept} | {start for start, _ in self._living()}
        used -= {mine.base} if mine else set()

        def rule(number: int) -> int:
            start = number - (number - self.first) % SIZE
            inside = self.first <= number < self.stored
            return self.stored + number - start if inside and start not in used else number

        return rule

    def get(self, container: str) -> Range | None:
        """Return the container's range, or None."""
        return self._read(container + ".json")

    def release(self, container: str) -> None:
        """Free the container's range, which nothing has used."""
        with self._locked(), contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, container + ".json"))

    def prune(self) -> list[Range]:
        """Free the ranges of containers that are gone; return those in use, by first id."""
        with self._locked():
            return sorted(self._pruned()[0], key=lambda record: record.base)

    def _pruned(self) -> tuple[list[Range], bool]:
        """Free what is unused. Return the rest, and whether a damaged record may be in use."""
        kept, damaged = [], []
        for name in os.listdir(self._directory):
            record = None
            # One record, or one container's cgroups, that cannot be looked at are its own loss.
            try:
                record = self._read(name) if name.endswith(".json") else None
                if name.endswith(".json") and record is None:
                    damaged.append(name)
                elif record is None or self._is_over(record):
                    self._discard(name, record)
                else:
                    kept.append(record)
            except (OSError, ValueError):
                if record is not None:
                    kept.append(record)
        recorded = {(record.base, record.base + SIZE) for record in kept}
        if damaged and recorded.issuperset(self._living()):
            for name in damaged:
                with contextlib.suppress(OSError):
                    self._discard(name, None)
            damaged = []
        return kept, bool(damaged)

    @staticmethod
    def _is_over(record: Range) -> bool:
        return not os.path.lexists(record.witness) and not cgroup.is_used(record.cgroup)

    def _discard(self, name: str, record: Range | None) -> None:
        """Remove a record, or what a write that was cut short left."""
        if record is not None:
            cgroup.remove(record.cgroup)
        os.unlink(os.path.join(self._directory, name))

    def _living(self) -> list[tuple[int, int]]:
        return [ids for ids in living() if self.first <= ids[0] < self.first + self.count]

    def _read(self, name: str) -> Range | None:
        """Return what a record says, or None where there is none or it is damaged."""
        try:
            with open(os.path.join(self._directory, name), encoding="utf-8") as file:
                said = json.load(file)
            base, witness, group = said["base"], said["witness"], said["cgroup"]
            stored = said.get("stored", 0)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        if not (type(base) is int and isinstance(witness, str) and isinstance(group, str)):
            return None
        stored = stored if type(stored) is int else 0
        return Range(name.removesuffix(".json"), base, witness, group, stored)

    def _write(self, mine: Range) -> None:
        path = os.path.join(self._directory, mine.container + ".json")
        said = mine._asdict()
        del said["container"]
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        # The name too outlives a power cut: what a box wrote elsewhere has its ids.
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

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
        if _is_free(base, used):
            return base
    raise RuntimeRefusal(
        f"all {count // SIZE} id ranges from {first} to {first + count - 1} are taken: "
        "remove a container"
    )


def _is_free(base: int, taken: Iterable[tuple[int, int]]) -> bool:
    return all(base + SIZE <= start or end <= base for start, end in taken)


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


def living() -> list[tuple[int, int]]:
    """Return the ids of the host that root of some process's user namespace and those after it are.

    From the mappings of all living processes (user_namespaces(7)), without the host's own.
    """
    ids = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
                inside, outside, length = map(int, file.readline().split())
            if inside == 0 and outside != 0:
                ids.add((outside, outside + length))
    return sorted(ids)
