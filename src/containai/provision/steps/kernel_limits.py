"""Limits of the kernel that are too small for many boxes, raised by one sysctl file of ours."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.host import files, scripts
from containai.host.machine import Machine
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Finding, Run, WriteFile


class Wanted(NamedTuple):
    """A setting of the kernel, how much it should be at least, and for what."""

    name: str
    least: int
    why: str


#: Of the lists in Incus' and Sysbox' production notes, what a box can run into.
TABLE = (
    Wanted(
        "fs.inotify.max_user_instances", 8192, "for each box; 128 are few for systemd and editors"
    ),
    Wanted("fs.inotify.max_user_watches", 1_048_576, "for each box: a large node_modules"),
    Wanted("fs.inotify.max_queued_events", 65_536, "a build in a watched tree loses events"),
    Wanted("fs.aio-max-nr", 1_048_576, "of the machine: databases take thousands each"),
    Wanted("vm.max_map_count", 262_144, "for each process: Elasticsearch refuses to start below"),
    Wanted("kernel.pid_max", 4_194_304, "of the machine: 32,768 are two boxes at their limit"),
    # Those of cai-runc have no keyrings (runtime/withheld.py); all of Sysbox's share their ids.
    Wanted("kernel.keys.maxkeys", 2000, "for each user: a nested container takes one (Sysbox)"),
    Wanted("kernel.keys.maxbytes", 2_000_000, "as kernel.keys.maxkeys, in bytes"),
    Wanted("net.ipv4.neigh.default.gc_thresh3", 8192, "of the machine: neighbors of all networks"),
    Wanted("net.ipv6.neigh.default.gc_thresh3", 8192, "as for IPv4"),
)


class TooSmall(NamedTuple):
    """The file as it has to be, "" where it is so; and what the running kernel has to raise."""

    text: str
    low: tuple[Wanted, ...]


class KernelLimits(Described):
    """What the kernel counts for the machine or for each user, raised and never lowered.

    At boot, of two files that set one thing the last by name decides (sysctl.d(5)). Ours is the
    first, so it lowers nothing that any other sets, and holds only what was too small here without
    it. With another root the file is below it, and the running kernel is left alone.
    """

    area = Area.HOST
    title = "kernel limits"
    holds = (
        "wanted, not needed: inotify, `kernel.pid_max`, `vm.max_map_count` and others are high "
        "enough for many boxes"
    )
    otherwise = "`00-containai.conf` raises what is too small, and lowers nothing"
    looks = "`/proc/sys`, and our file in `sysctl.d`"
    means = (
        'with many boxes, watching files fails in them ("no space left on device", "too many '
        'open files"), or nothing can be started any more'
    )

    def __init__(self, kernel: str = "/proc/sys") -> None:
        self._kernel = kernel

    def check(self, host: Machine) -> Finding[TooSmall]:
        """Compare the file, and the running kernel, with what is wanted."""
        layout = host.layout
        low = self._low()
        shown = ", ".join(f"{limit.name} {now}, wanted {limit.least}" for limit, now in low)
        before = files.read_if_whole(layout.sysctl_file)
        text = _text(before or "", [limit for limit, _ in low])
        raised = tuple(limit for limit, _ in low) if layout.is_default else ()
        if text and before != text:
            seen = f"too small for many boxes: {shown or 'to write'}"
            return Finding(False, seen, optional=True, data=TooSmall(text, raised))
        if not low:
            return Finding(True, "high enough for many boxes")
        if not layout.is_default:
            return Finding(True, f"not raised for a root of its own: {shown}")
        hint = "it cannot be written here, or another file of sysctl.d sets it"
        seen = f"too small for many boxes: {shown}"
        return Finding(False, seen, optional=True, hint=hint, data=TooSmall("", raised))

    def plan(self, host: Machine, finding: Finding[TooSmall]) -> list[Action]:
        """Write the file; raise what the running kernel has lower."""
        if finding.data is None:
            return []
        text, low = finding.data
        actions: list[Action] = [WriteFile(host.layout.sysctl_file, text)] if text else []
        if low:
            words = [word for limit in low for word in (self._path(limit), str(limit.least))]
            title = "raise " + ", ".join(f"{limit.name} to {limit.least}" for limit in low)
            actions.append(
                Run(scripts.argv("provision/steps/raise-limits.sh", *words), title=title)
            )
        return actions

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove the file. What runs stays as it is until the next boot: others may need it."""
        layout = host.layout
        if not os.path.exists(layout.sysctl_file):
            return []
        actions: list[Action] = [Run(["rm", "-f", layout.sysctl_file])]
        if not layout.is_default:
            directory = os.path.dirname(layout.sysctl_file)
            actions.append(Run(["rmdir", "--ignore-fail-on-non-empty", directory]))
        return actions

    def _path(self, wanted: Wanted) -> str:
        return os.path.join(self._kernel, wanted.name.replace(".", "/"))

    def _low(self) -> list[tuple[Wanted, int]]:
        """Return what the running kernel has lower than wanted, and how much that is."""
        low = []
        for limit in TABLE:
            try:
                now = int(files.read(self._path(limit)) or "")
            except ValueError:
                continue  # a kernel without it
            if now < limit.least:
                low.append((limit, now))
        return low


def _text(before: str, low: Sequence[Wanted]) -> str:
    """Return the file as it has to be: what it has, and what is too small; or nothing."""
    ours = {line.partition("=")[0].strip() for line in before.splitlines()}
    ours |= {limit.name for limit in low}
    lines = [
        line
        for limit in TABLE
        if limit.name in ours
        for line in (f"# {limit.why}", f"{limit.name} = {limit.least}")
    ]
    head = ["# Limits of the kernel for ContainAI's boxes. Written by cai setup."]
    return "\n".join(head + lines) + "\n" if lines else ""
