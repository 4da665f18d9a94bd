"""Containers of Sysbox that ran before they had ranges of ours: made ready for the first one.

Then Sysbox showed ids of the host one to one, from a range that all of its containers shared. It
added the first id of that to the ids of the writable layer for as long as a container ran, and the
agent of a box had the ids of the workspace's owner, which a file in it names.
"""

import os
import stat

from . import placed, syscalls, unshift
from .config import Config
from .errors import RuntimeRefusal

#: Where sysbox-mgr says which process it is.
PID_FILE = "/run/sysbox/sysmgr.pid"
#: With this option it is started since containers have ranges of ours (engine/sysbox.py).
OPTION = "--disable-shiftfs"
#: Who has subordinate ids, and so the range that is shared, unless there is no such line.
_NAME, _FIRST = "sysbox", 2147221504
_FILES = ("/etc/subuid", "/etc/subgid")
#: Read by the program `init` of an image of then, which changes passwd and what is the agent's.
AGENT_ID = "etc/containai/agent-id"
AGENT = "1000 1000\n"


def prepare(config: Config, container: str, upper: str) -> None:
    """Make a container ready for its first start with a range of ours; one that never ran is.

    `upper` is its writable layer, or "". Raises RuntimeRefusal while sysbox-mgr, started before,
    holds it to its earlier ids.
    """
    if os.path.lexists(os.path.join(config.given, container)):
        return
    if config.ranges.get(container) is None and _is_old(config.sysbox):
        raise RuntimeRefusal(
            "sysbox-mgr was started by an earlier version and holds its containers to the ids that "
            "they had: stop all boxes on Sysbox, then: cai doctor --fix"
        )
    if not upper:
        return
    first = [_first(path) for path in _FILES]
    if os.lstat(upper).st_uid != unshift.rule(first[0])(os.lstat(upper).st_uid):
        done = unshift.called(
            config.ranges, str(first[0]), str(first[1]), container, upper, act=True
        )
        if done.problems:
            raise RuntimeRefusal(f"its files have ids of Sysbox's range: {done.problems[0]}")


def give_back(root: str, owner: int) -> None:
    """Have the agent of a box be the image's again, when that boots."""
    path = os.path.dirname(AGENT_ID)
    try:
        fd = syscalls.open_without_links(os.path.join(root, path))
    except OSError:
        return
    try:
        seen = os.stat(os.path.basename(AGENT_ID), dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    finally:
        os.close(fd)
    if stat.S_ISREG(seen.st_mode):
        syscalls.set_fs_ids(owner, owner)
        try:
            placed.write(root, {AGENT_ID: (AGENT, 0o644)})
        finally:
            syscalls.set_fs_ids(0, 0)


def _is_old(sysbox: str) -> bool:
    """Whether the sysbox-mgr that runs is ours, and was started before."""
    try:
        with open(PID_FILE, encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
    except (OSError, ValueError):
        return False
    program = os.path.join(os.path.dirname(sysbox), "sysbox-mgr")
    return program in words and OPTION not in words


def _first(path: str) -> int:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, first, *_ = [*line.split(":"), "", ""]
        if name == _NAME and first.isdigit():
            return int(first)
    return _FIRST
