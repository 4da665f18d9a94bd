"""`cai rm [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report
from containai.errors import ContainAIError


def run(app: App, target: Target, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """Remove the workspace's box and all that is its own, or all of the user's if they agree."""
    if all:
        return _all(app, target)
    from containai.boxes import locate

    box = locate.existing(app.engine, target)
    app.boxes.remove(box)
    return Report({"name": box.name, "removed": True})


def _all(app: App, target: Target) -> Report:
    from containai.flows import several

    boxes = several.own(app, target)
    names = ", ".join(box.name for box in boxes)
    if boxes and not app.ui.ask(f"These boxes go, and all that is in them: {names}. Go on?"):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --all --yes")
    done = several.with_each(app, boxes, app.boxes.remove, "removing")
    return every.report(done, "removed")


COMMANDS = (
    Command(
        "rm",
        "remove a box; the workspace stays",
        run,
        group="boxes",
        arguments=(Argument("--all", "every box of yours, which asks first"),),
        examples=(
            Example("cai rm", "the box of this directory"),
            Example("cai rm --name api", "a box by its name, from anywhere"),
            Example("cai rm --all --yes", "every box of yours"),
        ),
        more="All that is the box's own goes with it. Root may remove another user's.",
        has_target=True,
        asks=True,
    ),
)
