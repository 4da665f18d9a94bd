"""`cai logs [PATH] [JOB]`."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.boxes.logs import Wanted

#: How much is taken of a box, in characters: it may say more than this machine holds.
_LIMIT = 32 << 20
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


def run(
    app: App,
    target: Target,
    *,
    follow: bool,
    since: int | None,
    lines: int,
    unit: str | None,
    boot: bool,
    console: bool,
    job: str | None = None,
) -> Report:
    """Return what a box said: in its journal where it runs, else on its console; or a job of it."""
    from containai.boxes import logs
    from containai.flows import jobs, whereabouts

    target, job = jobs.words_of(target, job)
    wanted = logs.Wanted(lines, since or 0, boot=boot, unit=unit or "", follow=follow)
    if job is not None:
        if unit or boot or console:
            raise UsageError(
                "--unit, --boot and --console are not of a job", hint="cai logs --help"
            )
        return _of_job(app, target, job, wanted)
    if console and unit:
        raise UsageError("--unit is of the journal, not of the console", hint="cai logs --help")
    box = whereabouts.box(app, target)
    said = box.said(wanted, console=console)
    notes = [Note(said.note)] if said.note else []
    if follow:
        return Report(notes=notes, follow=said.read)
    printed = _collected(box.name, said.read)
    value = {"name": box.name, "of": said.of, "lines": printed}
    return Report(value, ["".join(f"{line}\n" for line in printed)], notes=notes)


def _of_job(app: App, target: Target, name: str, wanted: "Wanted") -> Report:
    from containai.boxes import logs
    from containai.flows import jobs

    way = jobs.way_to(app, target, name)
    box, job = way.box, jobs.found(way, name)
    if wanted.follow and job.terminal and job.goes_on:
        raise UsageError(
            f"{name} has a terminal, which is no stream of lines",
            hint=f"look at it: cai attach --read-only --name {box.name} {name}",
        )

    def read(on_line: Callable[[str], None]) -> None:
        logs.read_job(way, name, wanted, on_line)

    if wanted.follow:
        return Report(follow=read)
    said = _collected(box.name, read)
    value = {"name": box.name, "of": "job", "job": name, "lines": said}
    return Report(value, ["".join(f"{line}\n" for line in said)])


def _collected(box: str, read: Callable[[Callable[[str], None]], None]) -> list[str]:
    """Return all lines that are read. Raises ContainAIError for too many."""
    said: list[str] = []
    left = _LIMIT

    def keep(line: str) -> None:
        nonlocal left
        left -= len(line)
        if left < 0:
            raise ContainAIError(
                f"{box} says more than {_LIMIT >> 20} MB", hint="ask for fewer: --lines"
            )
        said.append(line)

    read(keep)
    return said


def _since(text: str) -> int:
    """Return the second since 1970 that "10m" or a local date means. Raises ValueError."""
    if match := re.fullmatch(r"([0-9]{1,6})([smhd])", text):
        return max(1, int(time.time()) - int(match[1]) * _UNITS[match[2]])
    for form in _FORMATS:
        try:
            return max(1, int(time.mktime(time.strptime(text, form))))
        except (ValueError, OverflowError):
            continue
    raise ValueError("expected a time as 10m, 2h, 2026-11-27 or '2026-11-27 14:30'")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ValueError("expected a number")
    return int(text)


def _unit(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:_.@\\-]{1,256}", text):
        raise ValueError("expected the name of a unit, for example docker")
    return text


COMMANDS = (
    Command(
        "logs",
        "show what a box has said: its journal, or its console; or a job of it",
        run,
        group="boxes",
        arguments=(
            Argument("--follow", "go on with what it says from now on", short="-f"),
            Argument("--lines", "how many (default: 100)", "N", _count, default=100, short="-n"),
            Argument("--since", "from then on: 10m, 2h, 3d, a date and time", "TIME", _since),
            Argument("--unit", "of one unit of its systemd", "UNIT", _unit, short="-u"),
            Argument("--boot", "since it was started last"),
            Argument("--console", "its console, where it runs, too"),
            Argument("JOB", "what a job of it printed", last=True, optional=True),
        ),
        examples=(
            Example("cai logs", "the box of this directory"),
            Example("cai logs -f --unit docker", "its own Docker, on and on"),
            Example("cai logs -f make-1", "what a job prints, until it ends"),
            Example("cai logs --name api --since 1h", "a box by its name, from anywhere"),
        ),
        more="A box that runs shows its journal; one that does not, as it was stopped or ended "
        "while it booted, the console. Whatever runs in a box can write both: what would steer "
        "your terminal is left out. A word that is no directory here is a JOB.",
        has_target=True,
    ),
)
