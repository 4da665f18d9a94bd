"""`cai restart [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Shut the workspace's box down and start it; return once it can be entered."""
    from containai.boxes import locate
    from containai.flows import enter, whereabouts

    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away

        app.ui.say(f"stopping the box {entry.name} on {entry.place}")
        away.stop(app, entry)
        away.started(app, entry)
        return Report({"name": entry.name, "running": True})
    box = locate.existing(app.engine, target, to_enter=True)
    if not box.status.is_off:
        app.ui.say(f"stopping the box {box.name}")
        app.boxes.stop(box)
        box = locate.existing(app.engine, target, to_enter=True)
    enter.started(app, box)
    return Report({"name": box.name, "running": True})


COMMANDS = (
    Command(
        "restart",
        "shut a box down and start it again",
        run,
        group="boxes",
        examples=(
            Example("cai restart", "the box of this directory"),
            Example("cai restart --name api", "a box by its name, from anywhere"),
        ),
        more="What runs in it ends; its files and its own Docker's images and volumes stay.",
        has_target=True,
    ),
)
