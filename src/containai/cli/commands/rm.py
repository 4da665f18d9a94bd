"""`cai rm [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Remove the workspace's box and all that is its own."""
    from containai.boxes import locate

    box = locate.existing(app.engine, target)
    app.boxes.remove(box)
    return Report({"name": box.name, "removed": True})


COMMANDS = (
    Command(
        "rm",
        "remove a box; the workspace stays",
        run,
        group="boxes",
        examples=(
            Example("cai rm", "the box of this directory"),
            Example("cai rm --name api", "a box by its name, from anywhere"),
        ),
        more="All that is the box's own goes with it. Root may remove another user's.",
        has_target=True,
    ),
)
