"""`cai jobs [PATH]`."""

import time
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table
from containai.errors import UsageError

if TYPE_CHECKING:
    from containai.boxes.jobs import Job

_HEAD = ("NAME", "STATUS", "EXIT", "SINCE", "AGAIN", "COMMAND")
#: How much of a command is shown, in characters.
_SHOWN = 80


def run(app: App, target: Target, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """List the jobs of a box, or of all boxes that run."""
    from containai.flows import jobs

    if all and target != Target():
        raise UsageError("--all is of no box", hint="for example: cai jobs --all")
    listed = jobs.listed(app, target, everywhere=all)
    value = [{"box": box} | job._asdict() for box, job in listed]
    rows = [[*([box] if all else []), *_row(job)] for box, job in listed]
    head = [*(["BOX"] if all else []), *_HEAD]
    note = Note("there are no jobs", "start one: cai run --detach . -- COMMAND")
    return Report(value, [Table(rows, head)] if rows else [], notes=[] if rows else [note])


def _row(job: "Job") -> list[str]:
    import shlex

    when = "" if job.when is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(job.when))
    again = job.calendar or (job.restart if job.restart != "no" else "")
    words = shlex.join(job.command).replace("\n", " ")
    shown = words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
    status = job.status + (" (terminal)" if job.terminal and job.status == "running" else "")
    return [job.name, status, "" if job.code is None else str(job.code), when, again, shown]


COMMANDS = (
    Command(
        "jobs",
        "list the jobs of a box: what cai run --detach started",
        run,
        group="box",
        arguments=(Argument("--all", "those of all boxes that run"),),
        examples=(
            Example("cai jobs", "those of the box of this directory"),
            Example("cai jobs --all --json", "of every box, for a script"),
        ),
        more="A job runs, is restarting or waiting (SINCE is then when it runs next), is done, has "
        "failed, was killed (cai kill), or is lost: its box was stopped. The last fifty are "
        "remembered. EXIT is how it ended last, 128 + n for a signal.",
        has_target=True,
    ),
)
