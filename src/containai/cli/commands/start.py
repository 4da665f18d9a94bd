"""`cai start [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report


def run(app: App, target: Target, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """Start the workspace's box, or all of the user's, until they can be entered."""
    from containai.flows import enter, whereabouts

    if all:
        return _all(app, target)
    from containai.boxes import locate

    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away

        away.started(app, entry)
        return Report({"name": entry.name, "running": True})
    box = locate.existing(app.engine, target, to_enter=True)
    enter.started(app, box)
    return Report({"name": box.name, "running": True})


def _all(app: App, target: Target) -> Report:
    from containai.flows import away, enter, several, whereabouts

    boxes = several.own(app, target)
    done = several.with_each(app, boxes, lambda box: enter.started(app, box))
    there = several.with_each(app, whereabouts.every(app), lambda each: away.started(app, each))
    return every.report(done.and_of(there), "running")


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
