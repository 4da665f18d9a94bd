"""Starts a box's container, whatever an engine that was killed has left in its way."""

import re
import time
from collections.abc import Callable

from containai.boxes import console
from containai.engine import daemon, shims
from containai.engine.client import Engine
from containai.engine.container import Container
from containai.errors import BoxStartError, EngineError

#: How long containerd and runc may take to notice that a shim has ended, in seconds.
SHIM_GONE = 20.0
#: What is said where, killed at the wrong moment, dockerd takes a container for stopped that lives
#: on, or containerd or runc does not know yet that it is gone.
_FORGOTTEN = re.compile(
    r"task [0-9a-f]{64}: already exists|id already in use|mkdir \S+: file exists"
    r"|container with given ID already exists|cai-runc: create: its bundle is gone"
)


def start(engine: Engine, container: str) -> None:
    """Start a container. Raises as `Engine.docker` does."""
    deadline = time.monotonic() + SHIM_GONE
    while True:
        try:
            return engine.start(container)
        except EngineError as failed:
            late = time.monotonic() > deadline or not _FORGOTTEN.search(str(failed))
            if late or engine.container(container) is None:
                raise
        shims.end(engine.host, container)
        shims.discard_bundle(engine.host, container)
        time.sleep(SHIM_GONE / 20)


def with_its_port(
    engine: Engine, name: str, container: str, port: int, say: Callable[[str], None]
) -> None:
    """Start a box that was started before, on its port; an engine that keeps it is exchanged.

    Raises BoxStartError where somebody else has it, and else as `Engine.docker` does.
    """
    try:
        return start(engine, container)
    except EngineError as failed:
        if not _is_port_conflict(failed):
            raise
    if daemon.free_ports(engine.host, port):
        say(f"exchanged the engine, which kept port {port} since a start was interrupted")
        return start(engine, container)
    raise BoxStartError(
        f"port {port}, which the box {name!r} has, is taken",
        hint=f"end who has it: ss -tlnp sport = :{port}; "
        "or make the box anew: cai rm, then cai run",
    )


def watch(engine: Engine, name: str, container: str) -> Callable[[], None]:
    """Return what raises BoxStartError once the box died, or is started again and again.

    One restart is forgiven: the box may have been ending when somebody wanted to enter it.
    """
    restarts: set[int] = set()

    def still_alive() -> None:
        state = engine.container(container)
        if state is not None:
            restarts.add(state.restart_count)
            if state.running and len(restarts) <= 2:
                return
        raise _death(engine, name, container, state)

    return still_alive


def _death(engine: Engine, name: str, container: str, state: Container | None) -> BoxStartError:
    if state is None:
        why = "it is gone"
    else:
        why = ", ".join(filter(None, [f"code {state.exit_code}", state.error]))
    last = engine.docker("logs", "--tail", "40", container, ok=None)
    said = "\n  ".join(console.legible(last.out + last.err)[-12:]) or "nothing"
    return BoxStartError(
        f"the box {name!r} died while it booted ({why}); it said last:\n  {said}",
        hint="see: cai engine logs",
    )


def may_pass(failed: EngineError) -> bool:
    """Whether another attempt to make a box may succeed."""
    return _is_port_conflict(failed) or "is already in use by container" in str(failed)


def _is_port_conflict(failed: EngineError) -> bool:
    said = str(failed).lower()
    return "address already in use" in said or "port is already allocated" in said
