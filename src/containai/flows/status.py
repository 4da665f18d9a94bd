"""How boxes are: what they use of the machine, what they take on disk, who is in them."""

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from containai.app import App
from containai.boxes import kills
from containai.boxes.box import Box, Status
from containai.boxes.kills import Kill
from containai.boxes.spec import DOCKER_IN_BOX
from containai.engine import sizes
from containai.host import cgroups
from containai.host.cgroups import Reading

#: How long use of processors is watched to say how much it is, in seconds.
INTERVAL = 0.25
#: How many boxes are measured at once.
AT_ONCE = 4
#: How long sizes are counted before that is said, in seconds.
SILENT = 2.0
#: What is asked of ps(1) on the host, and what it is called.
_COLUMNS = {"pid": "PID", "pcpu": "%CPU", "rss": "KIB", "etime": "FOR", "args": "COMMAND"}


class Load(NamedTuple):
    """What a box uses: bytes, percent of one processor, processes; None is not known."""

    memory: int | None
    cpu_percent: float | None
    processes: int | None
    #: How many processes were ended for want of memory since it was started.
    killed: int | None = None


class Sizes(NamedTuple):
    """Bytes on disk: of what it changed of its image, of its own Docker, of its data volume."""

    root: int | None
    docker: int | None
    data: int | None


class Seen(NamedTuple):
    """All that is said of a box. `since` is when it was started or has ended, as Docker says it."""

    box: Box
    since: str
    load: Load | None
    sessions: int
    kills: list[Kill]
    sizes: Sizes | None = None
    processes: list[list[str]] | None = None


def look(app: App, box: Box, *, with_sizes: bool, with_processes: bool) -> Seen:
    """Return how a box is now."""
    container = app.engine.container(box.container)
    since = ""
    if container is not None:
        since = container.started if container.running else container.finished
    return Seen(
        box,
        since,
        loads(app, [box]).get(box.container),
        _sessions(app, box.name),
        kills.of(app.layout, box),
        measured(app, [box]).get(box.container) if with_sizes else None,
        _processes(app, box) if with_processes else None,
    )


def loads(app: App, boxes: Sequence[Box]) -> dict[str, Load]:
    """Return what those of the boxes use that run, by container. All are watched at once."""
    running = [box for box in boxes if box.status is Status.RUNNING]
    found = [app.engine.container(box.container) for box in running]
    containers = [container for container in found if container is not None]
    before = {each.id: cgroups.read(each.pid, each.id) for each in containers}
    if any(before.values()):
        time.sleep(INTERVAL)
    after = {each.id: cgroups.read(each.pid, each.id) for each in containers}
    return {name: _load(now, before[name]) for name, now in after.items() if now is not None}


def _load(now: Reading, before: Reading | None) -> Load:
    percent = None
    if before is not None and now.processors is not None and before.processors is not None:
        used, passed = now.processors - before.processors, now.at - before.at
        percent = round(max(used, 0.0) / max(passed, 1e-3) * 100, 1)
    return Load(now.memory, percent, now.processes, now.kills)


def measured(app: App, boxes: Sequence[Box]) -> dict[str, Sizes]:
    """Return what boxes take on disk, by container; the engine counts files for it."""
    from concurrent import futures

    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        own = [pool.submit(sizes.written, app.engine, box.container) for box in boxes]
        volumes = pool.submit(sizes.volumes, app.engine)
        everything: list[futures.Future[Any]] = [*own, volumes]
        _, left = futures.wait(everything, timeout=SILENT)
        if left:
            progress = app.ui.step("counting what is on disk", 1, 1)
            for number, _ in enumerate(futures.as_completed(left), 1):
                progress("", 1 - (len(left) - number) / len(everything))
    of_volume = volumes.result()
    return {
        box.container: Sizes(
            root.result(), of_volume.get(_volume(app, box)), of_volume.get(box.data)
        )
        for box, root in zip(boxes, own, strict=True)
    }


def _volume(app: App, box: Box) -> str:
    """Return the name of the volume that a box's own Docker has."""
    inspected = app.engine.inspect("container", box.container) or {}
    mounts = inspected.get("Mounts") or []
    return next((str(m.get("Name")) for m in mounts if m.get("Destination") == DOCKER_IN_BOX), "")


def _sessions(app: App, name: str) -> int:
    """Return how many of this user's ssh lead into a box, its control connection left out."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid != app.layout.uid:
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = [os.fsdecode(word) for word in file.read().split(b"\0")]
        except OSError:
            continue
        is_ssh = os.path.basename(words[0]) == "ssh" and name in words[1:]
        count += is_ssh and "ControlMaster=yes" not in words
    return count


def _processes(app: App, box: Box) -> list[list[str]]:
    """Return the processes of a box, as the host's ps sees them, under a heading."""
    if box.status is not Status.RUNNING:
        return []
    words = ("top", box.container, "-eo", ",".join(_COLUMNS))
    lines = app.engine.docker(*words, ok=(0, 1)).out.splitlines()[1:]
    rows = [line.split(None, len(_COLUMNS) - 1) for line in lines]
    whole = [row for row in rows if len(row) == len(_COLUMNS)]
    return [list(_COLUMNS.values()), *whole]
