"""`cai status [PATH]`."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table

if TYPE_CHECKING:
    from containai.flows.placed import Look

#: How often a watched box is looked at, in seconds.
EVERY = 2.0


def run(app: App, target: Target, *, watch: bool, size: bool, processes: bool) -> Report:
    """Say how a box is, once or again and again."""
    from containai.flows import whereabouts

    box = whereabouts.box(app, target)
    if not watch:
        return _report(box.look(with_sizes=size, with_processes=processes))

    def frames() -> Iterator[Report]:
        while True:
            yield _report(box.now().look(with_sizes=size, with_processes=processes))
            time.sleep(EVERY)

    return Report(frames=frames())


def _report(seen: "Look") -> Report:
    views = [Table(seen.rows)]
    if seen.processes:
        views.append(Table(seen.processes[1:], seen.processes[0]))
    return Report(seen.value, views, notes=[Note(*problem) for problem in seen.problems])


COMMANDS = (
    Command(
        "status",
        "say how a box is: state, limits and what is used of them, sessions",
        run,
        group="boxes",
        arguments=(
            Argument("--watch", "go on, every two seconds, until Ctrl-C"),
            Argument("--size", "with what it takes on disk, which takes its time"),
            Argument("--processes", "with its processes"),
        ),
        examples=(
            Example("cai status", "the box of this directory"),
            Example("cai status --watch --name api", "a box by its name, for as long as you look"),
            Example("cai status --size --json", "all of it, for machines"),
        ),
        more="What is used is the kernel's own count. Processes that were ended for want of memory "
        "are named. --watch needs a terminal, or with --json prints a line each time.",
        has_target=True,
    ),
)
