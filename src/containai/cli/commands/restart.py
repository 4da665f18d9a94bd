"""`cai restart [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Shut the workspace's box down and start it; return once it can be entered."""
    from containai.flows import whereabouts

    box = whereabouts.box(app, target, to_enter=True)
    box.restart()
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
