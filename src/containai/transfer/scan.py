"""What is in a workspace here, where there is no git; an agent may change it meanwhile."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from containai.host import files
from containai.host.below import DIRECTORY as OPEN_DIRECTORY
from containai.host.tar import CHUNK
from containai.host.unpack import LeftOut
from containai.transfer.checks import is_git
from containai.transfer.facts import DIRECTORY, FILE, LINK, Facts, from_list
from containai.transfer.tree import Tree

#: How deep a tree may be, as in host/pack.py.
_DEPTH = 256


class Mark(NamedTuple):
    """What tells that a file is as it was when it was read; times are in nanoseconds."""

    inode: int
    changed: int
    modified: int
    size: int

    @classmethod
    def of(cls, seen: os.stat_result) -> "Mark":
        """Return it of what was seen."""
        return cls(seen.st_ino, seen.st_ctime_ns, seen.st_mtime_ns, seen.st_size)


class Scan(NamedTuple):
    """What is there, how to know that it still is, and what does not go along."""

    facts: dict[str, Facts]
    marks: dict[str, Mark]
    left_out: tuple[LeftOut, ...] = ()


class Known(NamedTuple):
    """What is kept between two exchanges: what both had, and what is known of files here."""

    base: dict[str, Facts]
    facts: Mapping[str, Facts] = {}
    marks: Mapping[str, Mark] = {}


def scan(tree: Tree, known: Known) -> Scan:
    """Return what is in a directory. What has the same mark as before is not read again."""
    found = Scan({}, {})
    left: list[LeftOut] = []
    _walk(tree, b"", found, known, left, 0)
    return found._replace(left_out=tuple(left))


def _walk(
    tree: Tree, path: bytes, found: Scan, known: Known, left: list[LeftOut], depth: int
) -> None:
    if depth == _DEPTH:
        left.append(LeftOut(os.fsdecode(path), f"more than {_DEPTH} directories deep"))
        return
    with tree.above(path + b"/." if path else b".") as (directory, _), _listed(directory) as names:
        for part in names:
            name = path + b"/" + part if path else part
            try:
                if is_git(part):
                    why = "a repository of its own: a box of its own takes it along"
                    left.append(LeftOut(os.fsdecode(name), why))
                elif _note(tree, name, found, known, left):
                    _walk(tree, name, found, known, left, depth + 1)
            except OSError as wrong:
                left.append(LeftOut(os.fsdecode(name), str(wrong.strerror)))


@contextlib.contextmanager
def _listed(directory: int):  # type: ignore[no-untyped-def]
    fd = os.open(b".", OPEN_DIRECTORY, dir_fd=directory)
    try:
        yield sorted(map(os.fsencode, os.listdir(fd)))
    finally:
        os.close(fd)


def _note(tree: Tree, path: bytes, found: Scan, known: Known, left: list[LeftOut]) -> bool:
    """Note what is at a path; return whether it is a directory."""
    name, seen = os.fsdecode(path), tree.look(path)
    if seen is None:
        return False
    mode, mark = seen.st_mode & 0o777, Mark.of(seen)
    if stat.S_ISDIR(seen.st_mode):
        found.facts[name] = Facts(DIRECTORY, mode)
        return True
    if stat.S_ISLNK(seen.st_mode):
        found.facts[name] = Facts(LINK, target=os.fsdecode(tree.target(path)))
    elif stat.S_ISREG(seen.st_mode):
        before = known.facts.get(name)
        same = before is not None and known.marks.get(name) == mark
        total = before.sum if before and same else _sum(tree, path)
        found.facts[name] = Facts(FILE, mode, seen.st_size, total)
    else:
        left.append(LeftOut(name, "a device, pipe or socket"))
        return False
    found.marks[name] = mark
    return False


def _sum(tree: Tree, path: bytes) -> str:
    total = hashlib.sha256()
    with tree.file(path) as file:
        while part := file.read(CHUNK):
            total.update(part)
    return total.hexdigest()


def load(path: str) -> Known:
    """Return what is kept in a file, nothing where there is none. Raises DamagedError."""
    text = files.read(path)
    if text is None:
        return Known({})
    try:
        said = files.from_json(text)
        return Known(
            {name: from_list(each) for name, each in said["base"].items()},
            {name: from_list(each) for name, each in said["facts"].items()},
            {name: Mark(*each) for name, each in said["marks"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise files.damaged(path, "is none of cai's") from None


def save(path: str, base: Mapping[str, Facts], found: Scan) -> None:
    """Keep what both sides have, and what is known of files here."""
    kept = {"base": base, "facts": found.facts, "marks": found.marks}
    files.write(path, json.dumps(kept) + "\n", 0o600)
