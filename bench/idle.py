"""What idle boxes take of the whole machine, awake and with their Docker asleep."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.measure import Row, run, timed
from containai.boxes.workspace import box_name

if TYPE_CHECKING:
    from bench.__main__ import Bench

BOXES = 25
#: Awake boxes are idle so long after the last one's start, in seconds.
SETTLE_SECONDS = 45
#: How long a box may take to fall asleep once it looks all the time, in seconds.
ASLEEP_WITHIN = 60
GIB_OF_AWAKE, GIB_OF_ASLEEP, SECONDS_TO_WAKE = 1.2, 0.7, 1.5

#: In place of ten minutes: a look every 200 milliseconds.
_LOOK_ALL_THE_TIME = """
mkdir -p /run/systemd/system/containai-docker-idle.timer.d
cat >/run/systemd/system/containai-docker-idle.timer.d/bench.conf <<'END'
[Timer]
OnActiveSec=
OnActiveSec=200ms
OnUnitInactiveSec=200ms
AccuracySec=1ms
END
systemctl daemon-reload
systemctl restart containai-docker-idle.timer
"""
#: As at first, so that a box that was woken stays awake.
_LOOK_SELDOM = """
rm -r /run/systemd/system/containai-docker-idle.timer.d
systemctl daemon-reload
"""


def idle(bench: "Bench", runs: int) -> Iterator[Row]:
    """Many boxes with nothing to do: the difference of MemAvailable; `runs` does not matter.

    Whatever else begins or ends on the machine meanwhile counts, too.
    """
    bench.remove_box()
    with ExitStack() as made:
        before = available()
        boxes = [_box(bench, number, made) for number in range(BOXES)]
        time.sleep(SETTLE_SECONDS)
        awake = before - available()
        for box in boxes:
            bench.docker_run("exec", box, "sh", "-c", _LOOK_ALL_THE_TIME)
        for box in boxes:
            _wait_until_asleep(bench, box)
        for box in boxes:
            bench.docker_run("exec", box, "sh", "-c", _LOOK_SELDOM)
        asleep = before - available()
        wakes = [timed(bench.docker("exec", box, "docker", "ps")) for box in boxes]
    yield _memory(f"memory of {BOXES} idle boxes", awake, GIB_OF_AWAKE)
    yield _memory(f"memory of {BOXES} idle boxes, Docker asleep", asleep, GIB_OF_ASLEEP)
    median = statistics.median(wakes)
    said = f"{median:.2f} s ({min(wakes):.2f} to {max(wakes):.2f} s)"
    yield Row("docker ps that wakes Docker", said, "", median, "s", SECONDS_TO_WAKE)


def available() -> int:
    """Return the bytes that the machine could still give to programs.

    MemAvailable leaves out the free pages that each processor keeps for itself: hundreds of MiB
    after much was freed, and fewer as programs start (percpu_pagelist_high_fraction in the kernel's
    Documentation/admin-guide/sysctl/vm.rst).
    """
    with open("/proc/meminfo", encoding="ascii") as file:
        shown = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    with open("/proc/zoneinfo", encoding="ascii") as file:
        pages = sum(int(line.split()[1]) for line in file if line.strip().startswith("count:"))
    return (shown << 10) + pages * os.sysconf("SC_PAGE_SIZE")


def _box(bench: "Bench", number: int, made: ExitStack) -> str:
    workspace = os.path.join(bench.directory, f"idle-{number}")
    os.mkdir(workspace)
    made.callback(run, [bench.cai, "rm", workspace])
    run([bench.cai, "run", workspace, "--", "true"])
    return box_name(workspace, bench.layout.uid)


def _wait_until_asleep(bench: "Bench", box: str) -> None:
    script = "! systemctl --quiet is-active docker.service containerd.service; echo $?"
    deadline = time.monotonic() + ASLEEP_WITHIN
    while bench.docker_run("exec", box, "sh", "-c", script).strip() != "0":
        if time.monotonic() > deadline:
            raise RuntimeError(f"Docker in {box} does not fall asleep")
        time.sleep(0.2)


def _memory(name: str, taken: int, aim: float) -> Row:
    return Row(name, f"{taken / BOXES / (1 << 20):.0f} MiB each", "", taken / (1 << 30), "GiB", aim)
