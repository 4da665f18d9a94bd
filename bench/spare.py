"""A new workspace that takes a spare box, against one whose box is made; what spares cost."""

import contextlib
import os
import re
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.cgroups import memory_of, processor_time_of
from bench.idle import SETTLE_SECONDS, available
from bench.made import Bench
from bench.measure import Row, interleaved, ratio, run
from containai.boxes import claims, spares
from containai.boxes.workspace import box_name
from containai.config.settings import Settings
from containai.flows import keeper
from containai.layout import LABEL_SPARE

#: So many workspaces begin at once, and so many spares wait for nobody.
MANY = 10
#: How long nothing is made or removed before it is measured, in seconds: a box that has just booted
#: is still at it.
QUIET = 5.0
MIB = 1 << 20


def spare(bench: Bench, runs: int) -> Iterator[Row]:
    """`cai run` in a workspace without a box, with a spare and without, one and many at once;
    and what a spare costs that nobody takes.
    """
    for count, rounds, name, aim in (
        (1, runs, "new workspace: cai run with a spare / without", 0.2),
        (MANY, -(-runs // 3), f"{MANY} new workspaces at once: with spares / without", None),
    ):
        ours, theirs = interleaved(
            rounds, partial(_claimed, bench, count), partial(_entered, bench, count)
        )
        yield ratio(name, ours, theirs, aim)
    yield from _at_rest(bench)


def _claimed(bench: Bench, count: int) -> float:
    with _spares(bench, count):
        return _entered(bench, count, label=LABEL_SPARE)


def _entered(bench: Bench, count: int, label: str = "") -> float:
    """Have new workspaces run `true`; return how long it took until the last one has.

    Each box has to have a label, where one is said.
    """
    workspaces = [_new(bench) for _ in range(count)]
    try:
        time.sleep(QUIET)
        with ThreadPoolExecutor(count) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda each: run([bench.cai, "run", each, "--", "true"]), workspaces))
            took = time.perf_counter() - begun
        names = [box_name(each, bench.layout.uid) for each in workspaces]
        form = f'{{{{index .Config.Labels "{label}"}}}}'
        said = bench.docker_run("inspect", "--format", form, *names).split()
        if label and len(said) < count:
            raise RuntimeError(f"{count - len(said)} of {count} workspaces got no spare box")
        return took
    finally:
        for each in workspaces:
            _remove(bench, each)


@contextlib.contextmanager
def _spares(bench: Bench, count: int) -> Iterator[None]:
    """Have so many spares, and the process that gives them away; none afterwards."""
    variable = Settings.box_spares.variable
    before = os.environ[variable]
    os.environ[variable] = str(count)
    first = _new(bench)
    try:
        # It starts that process, which waits before it makes any: so that we do, with no haste.
        run([bench.cai, "run", first, "--", "true"])
        keeper.have(bench.app())
        yield
    finally:
        os.environ[variable] = before
        bench.end_spares()
        _remove(bench, first)


def _at_rest(bench: Bench) -> Iterator[Row]:
    before = available()
    with _spares(bench, MANY):
        time.sleep(SETTLE_SECONDS)
        taken = (before - available()) / (MANY + 1)
        form = "{{.State.Pid}} {{.Id}}"
        found = spares.unclaimed(bench.app().engine)
        there = [bench.docker_run("inspect", "--format", form, each.id).split() for each in found]
        process = _keeper(bench)
        had = [_processor_time(process), *(processor_time_of(*each) for each in there)]
        time.sleep(bench.rest)
        has = [_processor_time(process), *(processor_time_of(*each) for each in there)]
        whole, without = zip(*(memory_of(*each) for each in there), strict=True)
        keeps = _memory(process)
    ours, *used = [new - old for new, old in zip(has, had, strict=True)]
    yield _each("memory of a spare, by its cgroup", whole, MIB, "MiB")
    yield _each("... without page cache", without, MIB, "MiB")
    yield _each("... of all that the machine has less of", [taken], MIB, "MiB")
    yield _each("memory of the process that keeps them", [keeps], MIB, "MiB")
    yield _each(f"processor time of a spare in {bench.rest:g} s", used, 1, "s")
    yield _each("... of the process that keeps them", [ours], 1, "s")


def _each(name: str, values: Sequence[float], unit: float, word: str) -> Row:
    median, low, high = (f(values) / unit for f in (statistics.median, min, max))
    digits = 2 if word == "s" else 0
    said = f"{median:.{digits}f} {word}"
    if len(values) > 1:
        said += f" ({low:.{digits}f} to {high:.{digits}f})"
    return Row(name, said, "", median, word, None)


def _keeper(bench: Bench) -> int:
    """Return the process that gives spares away: who listens (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(claims.socket_path(bench.layout))
        said = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process: int = struct.unpack("3i", said)[0]
    return process


def _memory(process: int) -> int:
    """Return the bytes that are a process's share of memory (proc(5), smaps_rollup)."""
    with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        return sum(int(each) << 10 for each in re.findall(r"^Pss: +(\d+)", file.read(), re.M))


def _processor_time(process: int) -> float:
    """Return the seconds that a process has had, and those of its that have ended (proc(5))."""
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _new(bench: Bench) -> str:
    return tempfile.mkdtemp(prefix="new-", dir=bench.directory)


def _remove(bench: Bench, workspace: str) -> None:
    with contextlib.suppress(RuntimeError):
        run([bench.cai, "rm", "--data", "--yes", workspace])
