"""What has to be so around a running engine: its socket, lxcfs, and boxes that are not frozen."""

import os
import stat
from typing import NamedTuple

from containai.engine import daemon, lxcfs
from containai.engine.client import Engine
from containai.engine.container import State
from containai.host import cgroups, services
from containai.host.machine import Machine
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Do, Finding, Run, unknown

#: dockerd's own (daemon/listeners of moby).
SOCKET_MODE = 0o660


class Socket(Described):
    """The engine's socket is for root and the engine's group, and for nobody else."""

    area = Area.ENGINE
    title = "engine socket"
    holds = "it is root's and the socket group's (mode 660): whoever may use it is root here"
    otherwise = "it is given back to them"
    looks = "its owner, group and mode"
    means = "who should not can become root here, or whoever may use boxes cannot"

    def check(self, host: Machine) -> Finding[str]:
        """Look at its owner, group and mode."""
        path, group = host.layout.engine_socket, host.layout.engine_group
        try:
            seen = os.lstat(path)
        except OSError:
            return Finding(True, "none: the engine does not run")
        wanted = host.group_id(group)
        if not stat.S_ISSOCK(seen.st_mode) or wanted is None:
            return Finding(True, "none of the engine's")
        mode = stat.S_IMODE(seen.st_mode)
        wrong = []
        if not host.is_roots(seen.st_uid):
            wrong.append(f"it is {host.user_name(seen.st_uid)}'s, not root's")
        if seen.st_gid != wanted:
            wrong.append(f"its group is {seen.st_gid}, not {group} ({wanted})")
        if mode != SOCKET_MODE:
            wrong.append(f"its mode is {mode:o}, not {SOCKET_MODE:o}")
        if wrong:
            return Finding(False, "; ".join(wrong), data=group)
        return Finding(True, f"root's and {group}'s")

    def plan(self, host: Machine, finding: Finding[str]) -> list[Action]:
        """Give it back."""
        if finding.data is None:
            return []
        path = host.layout.engine_socket
        owner = ["chown", "--no-dereference", f"root:{finding.data}", path]
        return [Run(["chmod", f"{SOCKET_MODE:o}", path]), Run(owner)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """It goes with the engine."""
        return []


class LxcfsRunning(Described):
    """lxcfs runs beside the engine."""

    area = Area.ENGINE
    title = "lxcfs service"
    holds = "lxcfs, where there is one, runs while the engine does: boxes see their own limits"
    otherwise = "it is started, and boxes that run have it again"
    looks = "who holds the lock of the process that keeps it alive"
    means = "free, top and what reads `/proc/meminfo` fail in boxes, or show this machine's"

    def check(self, host: Machine) -> Finding[str]:
        """Ask who holds its lock."""
        layout = host.layout
        if lxcfs.missing():
            return Finding(True, "none: boxes see this machine's memory and processors")
        if not os.path.exists(layout.runtime_program) or not daemon.answering(host):
            return Finding(True, f"{lxcfs.PROGRAM}, started with the engine")
        if not lxcfs.keeper(layout):
            return Finding(False, "it does not run", optional=True, data=lxcfs.PROGRAM)
        return Finding(True, lxcfs.PROGRAM)

    def plan(self, host: Machine, finding: Finding[str]) -> list[Action]:
        """Start it."""
        if finding.data is None:
            return []
        manager, wanted = services.manager(host), lxcfs.service(host.layout)
        details = tuple(manager.start_shown(wanted))
        return [Do("start lxcfs for boxes", lambda _: manager.start(wanted), details)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """It ends with the engine."""
        return []


class Frozen(NamedTuple):
    """Files of cgroups, and what thaws each."""

    thaws: dict[str, str]


class Thawed(Described):
    """No box is frozen that the engine takes for running."""

    area = Area.BOXES
    title = "frozen boxes"
    holds = "no box is held by the kernel's freezer behind the engine's back"
    otherwise = "it is let go on"
    looks = "the state of the freezer of each running box's cgroup"
    means = "nothing in that box moves, and the engine says that it runs"

    def check(self, host: Machine) -> Finding[Frozen]:
        """Read the freezer of each box's cgroup."""
        if not daemon.reachable(host):
            return unknown("not looked at: the engine does not answer")
        thaws, names = {}, []
        for container in Engine(host).containers():
            if container.state is not State.RUNNING:
                continue
            if (thaw := cgroups.thaw(container.pid, container.id)) is not None:
                thaws[thaw[0]] = thaw[1]
                names.append(container.name)
        if names:
            seen = f"held by the kernel's freezer: {', '.join(names)}"
            return Finding(False, seen, data=Frozen(thaws))
        return Finding(True, "none")

    def plan(self, host: Machine, finding: Finding[Frozen]) -> list[Action]:
        """Write what thaws each."""
        if finding.data is None:
            return []
        script = 'echo "$2" >"$1"'
        return [
            Run(["sh", "-c", script, "sh", path, word], title=f"thaw {path}")
            for path, word in finding.data.thaws.items()
        ]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Boxes are none of setup's."""
        return []
