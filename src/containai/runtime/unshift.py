"""Puts right the trees of a container that Sysbox left with the ids of its own range.

Sysbox, on its own, adds the first id of its range to the ids of a container's writable layer when
that starts, and takes it off when that stops. A power cut or a killed sysbox-mgr leaves some or all
of them added, or added twice, or taken off once too often (sysbox-mgr, register and unregister;
sysbox-libs, idShiftUtils). Each of those is a window of ids that nothing in a container has
otherwise, so where an id belongs is seen from the id alone, and any order of crashes ends the same.

The tree was written by the container: see owners.py for how it is walked. Set-id bits and
capabilities go when a file changes its owner (chown(2)); until they are put back, they are written
on the file itself, where a container cannot write and the next try finds them.
"""

import os
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from . import owners, syscalls
from .owners import Changed, Rule
from .ranges import SIZE, Ranges

#: How many ids a container has under Sysbox (sysbox-mgr, subidRangeSize).
COUNT = 65_536
#: The attribute that has a file's mode and capabilities while its owner changes. Only the host's
#: root can write it (xattr(7), trusted extended attributes).
KEPT = "trusted.containai.unshift"
_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
#: An access control list (linux/posix_acl_xattr.h): its version, then entries of tag, rights, id;
#: the id counts where the tag is ACL_USER or ACL_GROUP.
_VERSION, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_USER, _GROUP = 0x02, 0x08
_IDS = 1 << 32


class Rules(NamedTuple):
    """Where the ids of users and those of groups belong."""

    uid: Rule
    gid: Rule


def called(ranges: Ranges, uid: str, gid: str, container: str, *paths: str, act: bool) -> Changed:
    """Put right all trees of a container; `uid` and `gid` are the first ones of Sysbox's range."""
    wide = ranges.get(container) is not None
    rules = Rules(*(rule(int(first), wide=wide) for first in (uid, gid)))
    done = [unshift(path, rules, act=act) for path in paths]
    problems = [problem for each in done for problem in each.problems]
    return Changed(sum(each.changed for each in done), tuple(problems))


def rule(first: int, *, wide: bool = False) -> Rule:
    """Return where an id belongs, if Sysbox's range begins at `first`.

    `wide` is for a container that has had a range of ours, and with it ids of its own that a low
    range of Sysbox's overlaps: those stay.
    """
    begins = [(first * times) % _IDS for times in (1, 2, -1)]
    least = SIZE if wide else COUNT
    windows = [begin for begin in begins if begin >= least and begin + COUNT <= _IDS]

    def belongs(number: int) -> int:
        for begin in windows:
            if begin <= number < begin + COUNT:
                return number - begin
        return number

    return belongs


def unshift(path: str, rules: Rules, *, act: bool) -> Changed:
    """Put right the tree at a path; without `act`, only look whether anything is wrong in it.

    Then at most one is counted.
    """
    top = syscalls.open_without_links(path)
    count = 0
    problems: list[str] = []
    try:
        for fd, name in owners.inodes(top, lambda _: True, problems):
            try:
                if _is_wrong(fd, rules):
                    count += 1
                    if not act:
                        break
                    _mend(f"/proc/self/fd/{fd}", os.fstat(fd), rules)
            except OSError as wrong:
                problems.append(f"{name}: {wrong.strerror}")
    finally:
        os.close(top)
    return Changed(count, tuple(problems))


def _is_wrong(fd: int, rules: Rules) -> bool:
    seen = os.fstat(fd)
    if (rules.uid(seen.st_uid), rules.gid(seen.st_gid)) != (seen.st_uid, seen.st_gid):
        return True
    if stat.S_ISLNK(seen.st_mode):
        return False
    path = f"/proc/self/fd/{fd}"
    names = os.listxattr(path)
    if KEPT in names:
        return True
    if owners.CAPABILITIES in names:
        rights = owners.capabilities(path)
        if owners.moved_root(rights, rules.uid) != rights:
            return True
    return any(True for _ in _lists(path, names, rules))


def _mend(path: str, seen: os.stat_result, rules: Rules) -> None:
    """Put right what is at a path, which is that of a descriptor."""
    loses = not (stat.S_ISLNK(seen.st_mode) or stat.S_ISDIR(seen.st_mode))
    kept = _keep(path, seen) if loses else None
    os.chown(path, rules.uid(seen.st_uid), rules.gid(seen.st_gid))
    if stat.S_ISLNK(seen.st_mode):
        return
    for name, new in _lists(path, os.listxattr(path), rules):
        os.setxattr(path, name, new)
    if kept is None:
        return
    mode, rights = kept
    os.chmod(path, mode)
    if rights:
        os.setxattr(path, owners.CAPABILITIES, owners.moved_root(rights, rules.uid))
    os.removexattr(path, KEPT)


def _keep(path: str, seen: os.stat_result) -> tuple[int, bytes] | None:
    """Return the mode and the capabilities that a file is to have, once they are written on it.

    None where it has nothing that it could lose. What an earlier try has written counts.
    """
    try:
        said, _, others = os.getxattr(path, KEPT).decode("ascii").partition(" ")
        return int(said, 8) & 0o7777, bytes.fromhex(others)
    except (OSError, ValueError):
        pass
    mode = stat.S_IMODE(seen.st_mode)
    rights = owners.capabilities(path) if stat.S_ISREG(seen.st_mode) else b""
    if not rights and not mode & (stat.S_ISUID | stat.S_ISGID):
        return None
    os.setxattr(path, KEPT, f"{mode:o} {rights.hex()}".encode())
    return mode, rights


def _lists(path: str, names: list[str], rules: Rules) -> Iterator[tuple[str, bytes]]:
    """Yield the access control lists that name ids which belong elsewhere, as they are to be."""
    for name in _LISTS:
        if name not in names:
            continue
        raw = os.getxattr(path, name)
        body = raw[_VERSION.size :]
        if len(body) % _ENTRY.size:
            continue
        new = raw[: _VERSION.size] + b"".join(
            _ENTRY.pack(tag, rights, _belongs(tag, number, rules))
            for tag, rights, number in _ENTRY.iter_unpack(body)
        )
        if new != raw:
            yield name, new


def _belongs(tag: int, number: int, rules: Rules) -> int:
    if tag == _USER:
        return rules.uid(number)
    return rules.gid(number) if tag == _GROUP else number
