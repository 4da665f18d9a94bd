"""Shuts a box down through its systemd."""

import signal
import time
from collections.abc import Sequence

from containai.boxes import spec
from containai.engine.client import Engine

#: systemd's request for an orderly halt is SIGRTMIN+3. The kernel throws a signal to the first
#: process of a pid namespace away until that has a handler for it or blocks it (pid_namespaces(7)),
#: and Docker sends it once and then waits for its whole time-out.
_HALT = 1 << (signal.SIGRTMIN + 3 - 1)
#: How long systemd may take from its start until it listens, in seconds.
PATIENCE = 10.0


def stop(engine: Engine, container: str, ok: Sequence[int] | None = (0,)) -> None:
    """Stop a container that is a box. Raises as `Engine.docker` does."""
    _await_init(engine, container)
    engine.docker("stop", container, ok=ok, timeout=spec.STOP_TIMEOUT + 30)


def _await_init(engine: Engine, container: str) -> None:
    """Wait until a box's systemd listens to signals, if it runs and has just begun."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        state = engine.container(container)
        if state is None or not state.pid or _listens(state.pid):
            return
        time.sleep(0.05)


def _listens(pid: int) -> bool:
    """Whether a process catches the signal or blocks it; also where nobody may look."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            masks = [line.split() for line in file if line.startswith(("SigBlk:", "SigCgt:"))]
    except OSError:
        return True
    return any(int(mask, 16) & _HALT for _, mask in masks)
