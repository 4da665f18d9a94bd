"""What a container uses of the machine: the kernel's own count, from its cgroups, without root."""

import os
import time
from typing import NamedTuple

from containai.host import files

#: Where cgroups are.
ROOT = "/sys/fs/cgroup"


class Reading(NamedTuple):
    """What has been counted until a time, in seconds of a steady clock; None is not known.

    Bytes of memory without what can be given back at once, seconds of processors, processes, and
    how many were ended for want of memory.
    """

    at: float
    memory: int | None
    processors: float | None
    processes: int | None
    kills: int | None


def read(pid: int, container: str) -> Reading | None:
    """Return what is counted for a container, by its first process; None where it has ended."""
    own = groups(pid, container)
    if not own:
        return None

    def number(controller: str, name: str, key: str = "") -> int | None:
        group = own.get(controller, own.get(""))
        text = files.read(os.path.join(group, name)) if group else None
        lines = [line.split() for line in (text or "").splitlines()]
        said = {line[0]: line[-1] for line in lines if line}
        value = said.get(key, "") if key else next(iter(said), "")
        return int(value) if value.isdigit() else None

    old = "memory" in own
    used = number("memory", "memory.usage_in_bytes" if old else "memory.current")
    idle = number("memory", "memory.stat", "total_inactive_file" if old else "inactive_file")
    nanoseconds = number("cpuacct", "cpuacct.usage")
    microseconds = number("", "cpu.stat", "usage_usec")
    seconds = microseconds / 1e6 if microseconds is not None else None
    return Reading(
        time.monotonic(),
        None if used is None else max(used - (idle or 0), 0),
        seconds if nanoseconds is None else nanoseconds / 1e9,
        number("pids", "pids.current"),
        number("memory", "memory.oom_control" if old else "memory.events", "oom_kill"),
    )


def thaw(pid: int, container: str) -> tuple[str, str] | None:
    """Return the file and the word that let a frozen container go on; None where it is not."""
    own = groups(pid, container)
    for controller, name, frozen, word in (
        ("freezer", "freezer.state", ("FROZEN", "FREEZING"), "THAWED"),
        ("", "cgroup.freeze", ("1",), "0"),
    ):
        group = own.get(controller)
        path = os.path.join(group, name) if group else ""
        if path and (files.read(path) or "").strip() in frozen:
            return path, word
    return None


def groups(pid: int, container: str) -> dict[str, str]:
    """Return the container's cgroup in each hierarchy, by controller; "" is that of cgroup v2.

    `pid` is that of its first process; nothing where that has ended.
    """
    found = {}
    text = files.read(f"/proc/{pid}/cgroup") if pid > 0 else None
    for line in (text or "").splitlines():
        _, controllers, path = line.split(":", 2)
        parts = path.split("/")
        own = [at for at, part in enumerate(parts) if container in part]
        if not own:
            continue
        # Below it are those that the container has made.
        group = "/".join(parts[: own[0] + 1])
        for controller in controllers.split(","):
            top = os.path.join(ROOT, controller) if controller else ROOT
            if not controller and os.path.exists(os.path.join(ROOT, "unified")):
                top = os.path.join(ROOT, "unified")
            found[controller] = top + group
    return found
