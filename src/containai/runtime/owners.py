"""Changes whose the files of a tree are, while those who may write the tree are not trusted.

Everything is done by descriptor and no link is followed: what is changed is what was looked at,
whatever takes its name meanwhile. What is mounted in the tree is left alone.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import syscalls
from .ranges import SIZE, Range, Ranges

CAPABILITIES = "security.capability"
#: A file's capabilities that hold in user namespaces whose root is the id in the last four of these
#: bytes (linux/capability.h, struct vfs_ns_cap_data).
_NAMESPACED = 24

#: From an id on disk to the one that is to be in its place; the same one changes nothing.
Rule = Callable[[int], int]


class Rules(NamedTuple):
    """What becomes of the ids of users and of groups.

    With `rights`, set-id bits and capabilities stay what they are; else those of what changes its
    owner go, before it does: nobody gets a program that runs with rights of theirs.
    """

    uid: Rule
    gid: Rule
    rights: bool


class Changed(NamedTuple):
    """How many files and directories were changed, and what was wrong with others."""

    changed: int
    problems: tuple[str, ...]


def upgrade(ranges: Ranges, mine: Range, top: int) -> Changed:
    """Give a tree of the host's the ids on disk that a first version stored at a box's own range.

    What cannot be changed (a tree that is read-only) shows as nobody's.
    """
    rule = ranges.moved(mine)
    return change(top, Rules(rule, rule, rights=True))


def reclaim(ranges: Ranges, path: str, uid: int, gid: int, *, act: bool) -> Changed:
    """Give a user and a group what users of containers made at a path, the owner's own aside."""
    moved = ranges.moved()

    def rule(owner: int) -> Rule:
        end = ranges.stored + SIZE
        return lambda number: owner if ranges.stored <= moved(number) < end else number

    fd = syscalls.open_without_links(path)
    try:
        return change(fd, Rules(rule(uid), rule(gid), rights=False), act=act)
    finally:
        os.close(fd)


def change(top: int, rules: Rules, *, act: bool = True) -> Changed:
    """Apply the rules to the tree at a descriptor; without `act`, only count what they concern."""
    count = 0
    problems: list[str] = []

    def concerned(seen: os.stat_result) -> bool:
        return (rules.uid(seen.st_uid), rules.gid(seen.st_gid)) != (seen.st_uid, seen.st_gid)

    for fd, path in inodes(top, concerned, problems):
        try:
            seen = os.fstat(fd)
            if concerned(seen):
                if act:
                    _change(f"/proc/self/fd/{fd}", seen, rules)
                count += 1
        except OSError as wrong:
            problems.append(f"{path}: {wrong.strerror}")
    return Changed(count, tuple(problems))


def _change(path: str, seen: os.stat_result, rules: Rules) -> None:
    mode = stat.S_IMODE(seen.st_mode)
    plain = stat.S_ISREG(seen.st_mode)
    rights = capabilities(path) if plain else b""
    special = plain and mode & (stat.S_ISUID | stat.S_ISGID)
    if not rules.rights:
        if special:
            os.chmod(path, mode & ~(stat.S_ISUID | stat.S_ISGID))
        if rights:
            os.removexattr(path, CAPABILITIES)
    # The kernel takes both away here too (chown(2), capabilities(7)).
    os.chown(path, rules.uid(seen.st_uid), rules.gid(seen.st_gid))
    if rules.rights:
        if special:
            os.chmod(path, mode)
        if rights:
            os.setxattr(path, CAPABILITIES, moved_root(rights, rules.uid))


def capabilities(path: str) -> bytes:
    """Return the capabilities of a file as they are on disk, or nothing."""
    with contextlib.suppress(OSError):
        return os.getxattr(path, CAPABILITIES)
    return b""


def moved_root(rights: bytes, rule: Rule) -> bytes:
    """Return a file's capabilities for the root that a rule makes of theirs."""
    if len(rights) != _NAMESPACED:
        return rights
    root = int.from_bytes(rights[-4:], "little")
    return rights[:-4] + rule(root).to_bytes(4, "little")


class _Level(NamedTuple):
    """A directory on the way down: what tells it from another, its path, names still to do."""

    identity: tuple[int, int]
    path: str
    names: list[str]


def inodes(
    top: int, concerned: Callable[[os.stat_result], bool], problems: list[str]
) -> Iterator[tuple[int, str]]:
    """Yield an O_PATH descriptor of what may be concerned, closed afterwards, and its path.

    One descriptor is open at a time however deep the tree is: the way up is "..", which has to be
    the directory that the way down came from.
    """
    yield top, "."
    seen = os.fstat(top)
    if not stat.S_ISDIR(seen.st_mode):
        return
    device = seen.st_dev
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    levels = [_Level(_identity(here), ".", os.listdir(here))]
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                levels.pop()
                if levels:
                    here = _ascend(here, levels[-1].identity, level.path)
                continue
            name = level.names.pop()
            path = f"{level.path}/{name}"
            try:
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
                directory = stat.S_ISDIR(seen.st_mode)
                if seen.st_dev != device or not (directory or concerned(seen)):
                    continue
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                try:
                    yield fd, path
                    below = _Level(_identity(fd), path, _names(fd)) if directory else None
                    if below is not None and below.identity[0] == device:
                        here = _replaced(here, fd)
                        levels.append(below)
                finally:
                    os.close(fd)
            except FileNotFoundError:
                continue  # it has gone meanwhile
            except OSError as wrong:
                problems.append(f"{path}: {wrong.strerror}")
    finally:
        os.close(here)


def _identity(fd: int) -> tuple[int, int]:
    seen = os.fstat(fd)
    return seen.st_dev, seen.st_ino


def _opened(fd: int, name: str = ".") -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=fd)


def _names(fd: int) -> list[str]:
    directory = _opened(fd)
    try:
        return os.listdir(directory)
    finally:
        os.close(directory)


def _replaced(here: int, fd: int, name: str = ".") -> int:
    new = _opened(fd, name)
    os.close(here)
    return new


def _ascend(here: int, identity: tuple[int, int], path: str) -> int:
    """Return the directory above, instead of `here`. Raises OSError where it is another one."""
    above = _opened(here, "..")
    if _identity(above) != identity:
        os.close(above)
        raise OSError(f"{path} was moved meanwhile: try again")
    os.close(here)
    return above
