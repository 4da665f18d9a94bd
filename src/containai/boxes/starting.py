"""Starts a box's container, whatever an engine that was killed has left in its way."""

import contextlib
import re
import time
from collections.abc import Callable

from containai.boxes import console, holding, ports
from containai.boxes.box import Box
from containai.engine import daemon, shims
from containai.engine.client import Engine
from containai.engine.container import Container
from containai.errors import BoxStartError, EngineError, PrivilegeError
from containai.host import locks

#: How long containerd and runc may take to notice that a shim has ended, in seconds.
SHIM_GONE = 20.0
#: What is said where, killed at the wrong moment, dockerd takes a container for stopped that lives
#: on, or containerd or runc does not know yet that it is gone.
_FORGOTTEN = re.compile(
    r"task [0-9a-f]{64}: already exists|id already in use|mkdir \S+: file exists"
    r"|container with given ID already exists|cai-(?:sysbox-)?runc: create: its bundle is gone"
)
#: How long an engine may take to start a containerd that was killed again, in seconds: it looks
#: after it every half second, and gives a new one fifteen to answer.
CONTAINERD_BACK = 40.0
#: What is said meanwhile: the code by which gRPC says that nobody answers.
_AWAY = re.compile(r"connection (closed|error\b.*): unavailable$")
#: How often a box is tried to be made, where somebody takes its port first or a cai that was killed
#: left a request to the engine that is done only now.
ATTEMPTS = 5
#: How long to wait after the first of them, in seconds.
PAUSE = 0.1


def start(engine: Engine, container: str) -> None:
    """Start a container. Raises as `Engine.docker` does."""
    deadline = time.monotonic() + CONTAINERD_BACK + SHIM_GONE
    while True:
        try:
            return _start_once_heard(engine, container)
        except EngineError as failed:
            late = time.monotonic() > deadline or not _FORGOTTEN.search(str(failed))
            if late or engine.container(container) is None:
                raise
            deadline = min(deadline, time.monotonic() + SHIM_GONE)
        # Who may not be root leaves it to the engine to notice, until the deadline.
        with contextlib.suppress(PrivilegeError):
            shims.end(engine.host, container)
            shims.discard_bundle(engine.host, container)
        time.sleep(SHIM_GONE / 20)


def _start_once_heard(engine: Engine, container: str) -> None:
    deadline, is_said = time.monotonic() + CONTAINERD_BACK, False
    while True:
        try:
            return engine.start(container)
        except EngineError as failed:
            if not _AWAY.search(str(failed)) or time.monotonic() > deadline:
                raise
        if not is_said:
            engine.host.say("waiting for the engine, which starts its containerd again")
        is_said = True
        time.sleep(PAUSE * 5)


def with_a_port(
    engine: Engine, box: Box, another: Callable[[set[int]], int], say: Callable[[str], None]
) -> int:
    """Start a box that was started before; return its port: `another` where somebody has its own.

    An engine that keeps that for nobody is exchanged; another port takes that, too. `another` is
    asked with the ports that proved to be taken. Raises BoxStartError where that cannot be had,
    UnsupportedError on a machine without 127.0.0.1, and else as `Engine.docker` does.
    """
    holding.mend(engine, box.container)
    port, tried = box.ssh_port, {box.ssh_port}
    if _starts(engine, box.container):
        return port
    try:
        is_freed = daemon.free_ports(engine.host, port)
    except PrivilegeError as refused:
        raise _taken(box.name, port, str(refused)) from None
    if is_freed:
        say(f"exchanged the engine, which kept port {port} since a start was interrupted")
        if _starts(engine, box.container):
            return port
    for _ in range(ATTEMPTS):
        with locks.hold(engine.host, locks.CHOICE, wait=60, what="choosing a port"):
            new = another(tried)
            say(f"port {port} of {box.name} is taken: it gets {new}, and the engine is exchanged")
            try:
                daemon.move_port(engine.host, box.container, port, new)
            except PrivilegeError as refused:
                raise _taken(box.name, port, str(refused)) from None
        state = engine.container(box.container)
        if state is None or Box.from_container(state).ssh_port != new:
            break
        port = new
        tried.add(new)
        if _starts(engine, box.container):
            return port
    raise _taken(box.name, port)


def _starts(engine: Engine, container: str) -> bool:
    """Start a container; return whether it could have its port. Raises as `with_a_port`."""
    try:
        start(engine, container)
    except EngineError as failed:
        if "cannot assign requested address" in str(failed).lower():
            raise ports.no_loopback() from None
        if not _is_port_conflict(failed):
            raise
        return False
    return True


def _taken(name: str, port: int, why: str = "") -> BoxStartError:
    return BoxStartError(
        f"port {port}, which the box {name!r} has, is taken{why and ': '}{why}",
        hint=f"end who has it: ss -tlnp sport = :{port}; or make the box anew: cai run --fresh",
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


def wait_out(failed: EngineError, attempt: int) -> None:
    """Wait after an attempt that failed; raise what does not pass, or has not by the last."""
    if not may_pass(failed) or attempt == ATTEMPTS:
        raise failed
    time.sleep(PAUSE * attempt)


def _is_port_conflict(failed: EngineError) -> bool:
    said = str(failed).lower()
    return "address already in use" in said or "port is already allocated" in said
