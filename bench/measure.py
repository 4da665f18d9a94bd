"""Timing and comparing: interleaved runs, medians, and rows that say what they were held to."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

#: Does something once and returns how many seconds the part that counts took.
Job = Callable[[], float]


class Times(NamedTuple):
    """The seconds of every run of one job."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def __str__(self) -> str:
        low, high = min(self.runs), max(self.runs)
        return f"{_seconds(self.median)} ({_seconds(low)} to {_seconds(high)})"


class Row(NamedTuple):
    """One comparison. `value` is what the aim speaks about; without an aim it is only reported."""

    name: str
    ours: str
    theirs: str
    value: float
    unit: str
    aim: float | None

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.value <= self.aim

    @property
    def compared(self) -> str:
        number = f"{self.value:.2f}" if self.unit == "x" else f"{self.value:+.1f} "
        return f"{number}{self.unit}"

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"met": self.met}


def ratio(name: str, ours: Times, theirs: Times, aim: float | None) -> Row:
    """Compare medians: ours over theirs. Without an aim it is only reported."""
    return Row(name, str(ours), str(theirs), ours.median / theirs.median, "x", aim)


def difference(name: str, ours: Times, theirs: Times, aim_ms: float) -> Row:
    """Compare medians: ours minus theirs, in milliseconds."""
    return Row(name, str(ours), str(theirs), (ours.median - theirs.median) * 1e3, "ms", aim_ms)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as lines for a person."""
    heads = ("", "ours: median (min to max)", "theirs", "compared", "aim", "met")
    words = {True: "yes", False: "NO", None: ""}
    lines = [heads]
    for row in rows:
        aim = "" if row.aim is None else f"<= {row.aim:g} {row.unit}"
        lines.append((row.name, row.ours, row.theirs, row.compared, aim, words[row.met]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def interleaved(runs: int, *jobs: Job) -> list[Times]:
    """Run the jobs in turn, A B A B, after one round that does not count."""
    seen: list[list[float]] = [[] for _ in jobs]
    for number in range(runs + 1):
        for job, times in zip(jobs, seen, strict=True):
            took = job()
            if number > 0:
                times.append(took)
    return [Times(tuple(times)) for times in seen]


def run(argv: Sequence[str], stdin: IO[bytes] | int = subprocess.DEVNULL) -> str:
    """Run a program; return what it printed. Raises RuntimeError where it fails."""
    done = subprocess.run(argv, stdin=stdin, capture_output=True, env=environment(), check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-600:]
        raise RuntimeError(f"{' '.join(argv)}: code {done.returncode}: {said}")
    return done.stdout.decode(errors="replace")


def timed(argv: Sequence[str]) -> float:
    """Run a program; return the seconds it took. Raises RuntimeError where it fails."""
    begun = time.perf_counter()
    run(argv)
    return time.perf_counter() - begun


def environment() -> dict[str, str]:
    """Return our environment without what would send a docker client elsewhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}


def _seconds(value: float) -> str:
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"
