"""Gives a box that is there other limits: what boxes/limits.py decides is done here."""

import contextlib
from collections.abc import Callable

from containai.boxes import design, limits, lookup
from containai.boxes.box import Box, Status
from containai.boxes.design import Request
from containai.boxes.limits import Limits
from containai.engine.client import Engine
from containai.errors import EngineError
from containai.host import locks


def requests(engine: Engine, box: Box, asked: Limits) -> list[Request]:
    """Return the requests that give a box the limits that were asked for, where it has others.

    Also those for processors that are there. Raises UsageError for limits that it cannot have.
    """
    online = engine.host.processors()
    new = limits.changes(box.limits, asked, box.cpuset, online)
    whole = new._replace(memory=new.over(box.limits).memory, swap=asked.swap)
    limits.check(whole, engine.host.capacity())
    others = lookup.every(engine) if new.cpus else []
    return design.limiting(box, new, online, others)


def limit(
    engine: Engine, box: Box, asked: Limits, say: Callable[[str], None] = lambda _: None
) -> None:
    """Give a box that is there, running or not, the limits that were asked for; it is locked.

    Raises as `requests` does, and EngineError.
    """
    cpus = limits.changes(box.limits, asked, box.cpuset, engine.host.processors()).cpus
    if cpus and asked.cpus is None:
        say(f"{box.name} gets processors that this machine still has: {cpus:g}")
    # Two that are limited at once are not to get the same processors.
    choosing = locks.hold(engine.host, locks.CHOICE, wait=60, what="choosing processors")
    with choosing if cpus else contextlib.nullcontext():
        for request in requests(engine, box, asked):
            try:
                engine.docker(*request)
            except EngineError:
                # Nobody asked for it, and it runs: with Sysbox and cgroup v1 it cannot be moved to
                # fewer processors meanwhile. Once it is stopped it can.
                if asked != Limits() or box.status is not Status.RUNNING:
                    raise
    memory = asked.memory
    if memory not in (None, box.limits.memory) and box.status is Status.RUNNING:
        # Refused where more is in it, and a box may have no mount(8): its next start does it.
        with contextlib.suppress(EngineError):
            engine.docker("exec", box.container, *limits.shared_memory(memory), timeout=20)
