"""The shims of containers: processes that outlive dockerd and containerd, as they should.

One whose containerd was killed at the wrong moment, or whose runtime was, is forgotten: the engine
has no container of that id any more, and nobody will ever end it.

A containerd that is killed while it removes a shim's directory, the bundle, leaves it under a
hidden name (containerd 1.6, runtime/v2/bundle.go, atomicDelete). From then on it can remove no
bundle of that container, and "mkdir …: file exists" is all that a start of it says.
"""

import os
import signal
import time
from collections.abc import Iterable

from containai.engine.client import Engine
from containai.errors import EngineError
from containai.host import processes
from containai.host.machine import Machine
from containai.host.processes import Process
from containai.layout import Layout

#: How long killed processes may take to be gone, in seconds.
PATIENCE = 5.0
#: How long a container may take from its shim to "running", in seconds.
STARTING = 60.0
#: States of a container whose shim has something to do.
_ALIVE = ("running", "paused", "restarting")
#: The programs that a containerd has as shims.
_PROGRAMS = ("containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim")


def end_all(host: Machine) -> None:
    """End every shim of a stopped engine, and what it holds. Raises EngineError where one stays."""
    deadline = time.monotonic() + PATIENCE
    while shims := alive(host.layout):
        if time.monotonic() > deadline:
            pids = " ".join(str(shim.pid) for shim in shims)
            raise EngineError(f"these processes of the engine do not end: {pids}")
        _kill(host, shims)
        time.sleep(0.05)


def end_lost(host: Machine) -> None:
    """End the shims whose bundle is gone, as by who cleaned /run, while no engine runs.

    Nobody can tell them anything any more, and a start of their container would be led to them.
    """
    lost = []
    for shim, container in alive(host.layout).items():
        # As root: to anybody else a bundle that is there looks as if it were not.
        bundle = os.path.join(host.layout.engine_bundles, container)
        if host.run(["test", "-d", bundle], root=True, ok=(0, 1)).code == 1:
            lost.append(shim)
    _kill(host, lost)
    deadline = time.monotonic() + PATIENCE
    while any(map(processes.runs, lost)) and time.monotonic() < deadline:
        time.sleep(0.02)


def end_forgotten(engine: Engine) -> None:
    """End the shims of containers that a running engine does not have, or not running.

    containerd removes their files.
    """
    # In this order: a container is known to the engine before it has a shim.
    shims = alive(engine.layout)
    if not shims:
        return
    rows = engine.docker("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}}").out
    states = dict(row.split() for row in rows.splitlines())
    forgotten = []
    for shim, container in shims.items():
        state = states.get(container)
        # One that starts right now is not running yet.
        if state is None or (state not in _ALIVE and _age(shim) > STARTING):
            forgotten.append(shim)
    _kill(engine.host, forgotten)


def end(host: Machine, container: str) -> None:
    """End the shims of one container, which the engine takes for stopped."""
    _kill(host, (shim for shim, owner in alive(host.layout).items() if owner == container))


def discard_bundles(host: Machine) -> None:
    """Remove the bundles that a killed containerd left: half removed, or without a shim.

    Only root sees them; for anyone else this does nothing, and a start of the engine does it.
    """
    layout = host.layout
    directory = layout.engine_bundles
    try:
        # In this order: a shim's bundle is there before the shim.
        names = os.listdir(directory)
        busy = set(alive(layout).values())
        left = [
            os.path.join(directory, name)
            for name in names
            if name not in busy and _untouched(os.path.join(directory, name)) > STARTING
        ]
    except (PermissionError, FileNotFoundError):
        return
    _remove(host, left)


def discard_bundle(host: Machine, container: str) -> None:
    """Remove the bundle of a container that the engine could not start because of it."""
    names = (container, f".{container}")
    _remove(host, [os.path.join(host.layout.engine_bundles, name) for name in names])


def _untouched(path: str) -> float:
    return time.time() - os.lstat(path).st_ctime


def _remove(host: Machine, bundles: list[str]) -> None:
    if bundles:
        host.run(["rm", "-rf", "--one-file-system", *bundles], root=True, ok=None)


def _kill(host: Machine, shims: Iterable[Process]) -> None:
    # A shim's child is its container's first process.
    processes.send(host, signal.SIGKILL, list(shims), children=True)


def alive(layout: Layout) -> dict[Process, str]:
    """Return this engine's shims, with the container of each."""
    address = os.path.join(layout.engine_exec, "containerd/containerd.sock")
    shims = {}
    for shim in processes.find(*_PROGRAMS):
        if address in shim.words and "-id" in shim.words[:-1]:
            shims[shim] = shim.words[shim.words.index("-id") + 1]
    return shims


def _age(shim: Process) -> float:
    """Return how old a process is, in seconds."""
    begun = shim.started / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begun
