"""`cai stop [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Shut the workspace's box down through its systemd."""
    from containai.boxes import locate

    box = locate.existing(app.engine, target)
    app.boxes.stop(box)
    return Report({"name": box.name, "stopped": True})


COMMANDS = (
    Command(
        "stop",
        "shut a box down",
        run,
        group="boxes",
        examples=(
            Example("cai stop", "the box of this directory"),
            Example("cai stop --name api", "a box by its name, from anywhere"),
        ),
        more="Its state stays. It stays off until it is used again; every other box comes back "
        "when the machine or the engine starts, and when it ended by itself (`poweroff` in a "
        "box is a reboot). Root may stop another user's.",
        has_target=True,
    ),
)
