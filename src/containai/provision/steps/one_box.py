"""One box, from outside: what doctor looks at where it is named.

What a box says itself (names of its processes) is shown, and decides nothing.
"""

import os
import time

from containai.boxes import kills, limits, ports
from containai.boxes.box import Box, Status
from containai.engine import runtimes
from containai.engine.client import Engine
from containai.engine.container import Container
from containai.host import cgroups
from containai.host.machine import Machine
from containai.provision.step import Area, Fact
from containai.work.actions import Finding, unknown

#: From which share of a limit on it is said that there is little left.
NEAR = 0.95
#: How many of those are shown.
SHOWN = 3


class OfBox(Fact):
    """A look at one box."""

    area = Area.BOXES

    def __init__(self, box: Box) -> None:
        self.box = box

    def container(self, host: Machine) -> Container | None:
        """Return its container as it is now."""
        return Engine(host).container(self.box.container)


class Standing(OfBox):
    """What the engine has of it."""

    title = "state"
    holds = "its container is whole, its workspace is there, and it does not end over and over"
    otherwise = "`cai logs --name NAME` says why; `cai rm --name NAME` removes what is broken"
    looks = "the engine is asked for its container"
    means = "it cannot be entered"

    def check(self, host: Machine) -> Finding[None]:
        """Judge what the engine said just before."""
        box = self.box
        seen = f"{box.status}, {box.name}, of {box.workspace}"
        if box.problems:
            hint = f"remove it: cai rm --name {box.name}"
            return Finding(False, f"{seen}: {', '.join(box.problems)}", hint=hint)
        if box.status is Status.RESTARTING:
            return Finding(False, seen, hint=f"see why it ends: cai logs --name {box.name}")
        return Finding(True, seen)


class Made(OfBox):
    """What it was made of."""

    area = Area.RUNTIME
    title = "container"
    holds = "the engine has the runtime and the image that it was made with"
    otherwise = "`cai run --fresh --name NAME` makes it anew; its workspace and data stay"
    looks = "its container is compared with what the engine is configured with"
    means = "it does not start again"

    def check(self, host: Machine) -> Finding[None]:
        """Compare it with what the engine has."""
        container = self.container(host)
        if container is None:
            return unknown("it is gone by now")
        seen = f"{container.runtime}, {container.image}, made {container.created[:10]}"
        anew = f"make it anew: cai run --fresh --name {self.box.name}"
        known = runtimes.programs(host.layout)
        if container.runtime not in known:
            wrong = f"{seen}: the engine has no such runtime, but {', '.join(sorted(known))}"
            return Finding(False, wrong, hint=anew)
        if container.image_id and Engine(host).image(container.image_id) is None:
            return Finding(False, f"{seen}: its image is gone", hint=anew)
        return Finding(True, seen)


class Port(OfBox):
    """Its port of this machine."""

    area = Area.SSH
    title = "port"
    holds = "somebody listens on its port while it runs, and nobody else while it does not"
    otherwise = "`cai restart --name NAME` takes the port again, or another where it is taken"
    looks = "the port is bound for a moment"
    means = "it cannot be entered over ssh"

    def check(self, host: Machine) -> Finding[None]:
        """Try to have the port."""
        box = self.box
        if not box.ssh_port:
            return Finding(False, "it has none", hint=f"remove it: cai rm --name {box.name}")
        seen, free = f"127.0.0.1:{box.ssh_port}", ports.is_free(box.ssh_port)
        if box.status is Status.RUNNING and free:
            hint = f"cai restart --name {box.name}"
            return Finding(False, f"{seen}: nobody listens", hint=hint)
        if box.status.is_off and not free:
            hint = "its next start gives it another"
            return Finding(False, f"{seen}: another has it", optional=True, hint=hint)
        return Finding(True, seen)


class Memory(OfBox):
    """What it uses of its limits."""

    title = "limits"
    holds = f"it uses less than {NEAR:.0%} of its memory and of its processes"
    otherwise = "`cai limit --name NAME --memory SIZE` gives it more"
    looks = "the kernel's own count, of its cgroup"
    means = "what it starts next is ended, or does not start"

    def check(self, host: Machine) -> Finding[None]:
        """Compare what is used with its limits."""
        box = self.box
        most = {"memory": box.limits.memory or 0, "processes": box.limits.pids or 0}
        container = self.container(host)
        reading = cgroups.read(container.pid, container.id) if container else None
        if reading is None:
            shown = ", ".join(f"{_amount(what, n)} of {what}" for what, n in most.items())
            return Finding(True, f"{shown}; it does not run")
        used = {"memory": reading.memory, "processes": reading.processes}
        if None in used.values():
            return unknown("the kernel does not say what it uses")
        parts = [
            f"{_amount(what, n or 0)} of {_amount(what, most[what])}" for what, n in used.items()
        ]
        near = [what for what, n in used.items() if most[what] and (n or 0) > NEAR * most[what]]
        seen = f"memory {parts[0]}, processes {parts[1]}"
        if near:
            more = f"cai limit --name {box.name} --pids {2 * most['processes']}"
            if "memory" in near:
                more = limits.giving_more(box.name, most["memory"])
            hint = f"give it more: {more}; or see what it runs: cai status --processes"
            return Finding(False, seen, hint=f"{hint} --name {box.name}")
        return Finding(True, seen)


def _amount(what: str, count: int) -> str:
    if what == "memory":
        return limits.size(count) if count else "no limit"
    return str(count) if count else "no limit"


class Ended(OfBox):
    """What the kernel ended in it for want of memory."""

    title = "out of memory"
    holds = "nothing was ended in it for want of memory in the last 24 hours"
    otherwise = "`cai limit --name NAME --memory SIZE` gives it more"
    looks = "the notes of the keeper of lxcfs; the kernel's own count"
    means = "processes vanish: builds and agents end without a word"

    def check(self, host: Machine) -> Finding[None]:
        """Read the notes."""
        noted = kills.of(host.layout, self.box)
        if not noted:
            return self._counted(host)
        shown = "; ".join(kill.described() for kill in noted[-SHOWN:])
        seen = f"{len(noted)} processes were ended, at last: {shown}"
        is_recent = noted[-1].time > time.time() - kills.RECENT
        return Finding(not is_recent, seen, hint=noted[-1].hint)

    def _counted(self, host: Machine) -> Finding[None]:
        """Judge by the kernel's count: without lxcfs nobody notes what was ended."""
        container = self.container(host)
        reading = cgroups.read(container.pid, container.id) if container else None
        count = reading.kills if reading else None
        if count:
            more = limits.giving_more(self.box.name, self.box.limits.memory or 0)
            seen = f"{count} processes were ended since its start"
            return Finding(False, seen, hint=f"give it more: {more}")
        if count is None and not os.path.isdir(host.layout.kills):
            return unknown("nobody notes it here, and the box does not run")
        return Finding(True, "nothing was ended")
