"""`cai kill [PATH] JOB`."""

import signal

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report


def run(app: App, target: Target, *, job: str, signal: int | None) -> Report:
    """End a job for good, or send it a signal."""
    from containai.boxes import jobs as of_box
    from containai.flows import jobs

    way = jobs.way_to(app, target, job)
    name = jobs.found(way, job).name
    of_box.kill(way, name, signal or 0)
    return Report({"box": way.box.name, "job": name, "ended": signal is None, "signal": signal})


def _signal(text: str) -> int:
    """Return the number of a signal: INT, SIGINT or 2. Raises ValueError."""
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    try:
        return int(signal.Signals(int(text)) if text.isdecimal() else signal.Signals[name])
    except (KeyError, ValueError):
        raise ValueError("expected a signal, for example INT") from None


COMMANDS = (
    Command(
        "kill",
        "end a job of a box for good, or send it a signal",
        run,
        group="box",
        arguments=(
            Argument("--signal", "send that to what runs of it, and no more", "SIGNAL", _signal),
            Argument("JOB", "its name", last=True),
        ),
        examples=(
            Example("cai kill make-1", "a job of the box of this directory"),
            Example("cai kill --signal HUP --name api server-1", "have it read its settings again"),
        ),
        more="All that it started is told to end (TERM, in a terminal HUP before), and after ten "
        "seconds made to. It is not started again, neither now nor with its box.",
        has_target=True,
    ),
)
