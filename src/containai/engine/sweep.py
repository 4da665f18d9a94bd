"""What killed programs of the engine leave: processes, mounts, pid files; ended and removed."""

import contextlib
import os
import time
from collections.abc import Container

from containai.engine import shims
from containai.engine.client import Engine
from containai.host import files, processes
from containai.host.machine import Machine


def forgotten(host: Machine) -> None:
    """End, unmount and remove what a running engine has forgotten because something was killed."""
    engine = Engine(host)
    shims.end_forgotten(engine)
    shims.discard_bundles(host)
    names = engine.docker("ps", "--quiet").out.split()
    form = "{{.NetworkSettings.SandboxKey}}"
    keys = engine.docker("inspect", "--format", form, *names, ok=(0, 1)).out if names else ""
    unmount_networks(host, {os.path.basename(key) for key in keys.split()}, shims.STARTING)


def unmount_networks(host: Machine, used: Container[str] = (), age: float = 0) -> None:
    """Unmount the network namespaces that a dockerd leaves, but those in use or younger than `age`.

    The host's, after `--network host`; those of containers that it forgot when it was killed. Their
    files go too: dockerd removes those of its own containers only, and a minute late.
    """
    directory = os.path.realpath(os.path.join(host.layout.engine_exec, "netns"))
    with contextlib.suppress(FileNotFoundError):
        names = set(os.listdir(directory))
        if age:
            # Of a running engine: its host's namespace is kept, and what a container starts with.
            then = time.time() - age
            names -= {"default"}
            names = {name for name in names if _changed(os.path.join(directory, name)) < then}
        left = [os.path.join(directory, name) for name in sorted(names) if name not in used]
        lines = (files.read("/proc/self/mountinfo") or "").splitlines()
        mounted = {line.split(" ")[4] for line in lines}.intersection(left)
        if mounted:
            host.run(["umount", *mounted], root=True, ok=None)
        if left:
            host.run(["rm", "-f", *left], root=True, ok=None)


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except FileNotFoundError:
        return time.time()


def unmount_data(host: Machine) -> None:
    """Unmount the data of a stopped engine from themselves.

    dockerd mounts them so where mounts are private; after a kill its successor does not undo it.
    """
    layout = host.layout
    if binds_itself(files.read("/proc/self/mountinfo") or "", layout.engine_data):
        host.run(["umount", layout.engine_data], root=True, ok=None)


def binds_itself(mountinfo: str, path: str) -> bool:
    """Whether a path is a mount of the very directory that it covers. `mountinfo` as in proc(5)."""
    rows = [line.split(" ")[:5] for line in mountinfo.splitlines()]
    at = {row[0]: (row[3], row[4]) for row in rows}
    for _, parent, _, source, target in rows:
        if target == path and parent in at:
            above, where = at[parent]
            return source == os.path.normpath(os.path.join(above, os.path.relpath(path, where)))
    return False


def clear(host: Machine) -> None:
    """Remove what a killed dockerd left: its successor takes any process of that pid for alive.

    A zombie counts for it too, and where PID 1 reaps late there is one.
    """
    layout = host.layout
    containerd = os.path.join(layout.engine_exec, "containerd", "containerd")
    deadline = time.monotonic() + 2
    words = (containerd + ".pid", "containerd", containerd + ".toml")
    # It dies with its dockerd, but a moment later.
    while processes.of_file(*words) and time.monotonic() < deadline:
        time.sleep(0.02)
    stale = [layout.engine_pidfile]
    if not processes.of_file(*words):
        stale.append(containerd + ".pid")
    host.run(["rm", "-f", *stale], root=True)
