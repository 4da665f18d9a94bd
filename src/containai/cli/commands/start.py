"""`cai start [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report


def run(app: App, target: Target, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """Start the workspace's box, or all of the user's, until they can be entered."""
    if all:
        return _all(app, target)
    from containai.flows import whereabouts

    box = whereabouts.box(app, target, to_enter=True)
    box.start()
    return Report({"name": box.name, "running": True})


def _all(app: App, target: Target) -> Report:
    from containai.flows import several

    done = several.with_each(app, several.own(app, target), lambda box: box.start())
    return every.report(done, "running")


COMMANDS = (
    Command(
        "start",
        "start a box that is there",
        run,
        group="boxes",
        arguments=(Argument("--all", "every box of yours"),),
        examples=(
            Example("cai start", "the box of this directory"),
            Example("cai start --all", "every box of yours"),
        ),
        more="It returns once the box can be entered. cai run, shell and exec start one, too.",
        has_target=True,
    ),
)
