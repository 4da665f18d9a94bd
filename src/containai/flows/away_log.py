"""What a box on a remote place has said."""

import shlex
from collections.abc import Callable

from containai.app import App
from containai.away.record import Entry
from containai.boxes import console, logs
from containai.boxes.box import Status
from containai.flows import away, away_work


def runs(app: App, entry: Entry) -> bool:
    """Whether a box runs. Raises BoxNotFoundError, RemoteError; BoxStartError if it is away."""
    return app.away(entry.place).reachable(entry).status is Status.RUNNING


def read(
    app: App, entry: Entry, wanted: logs.Wanted, on_line: Callable[[str], None], *, journal: bool
) -> None:
    """Hand over the lines of a box's journal, which its agent may read, or of its console."""
    if not journal:
        said = app.away(entry.place).place.log(entry.instance)
        for line in console.legible(said)[-wanted.lines :]:
            on_line(line)
        return
    away.started(app, entry)

    def legible(line: str) -> None:
        for part in console.legible(line):
            on_line(part)

    argv = away_work.reach(app, entry.name).argv
    line = shlex.join(logs.journal_words(wanted))
    app.host.stream([*argv, line], legible, longest=logs.LONGEST, holds=wanted.follow)
