"""`cai stop [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report


def run(app: App, target: Target, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """Shut the workspace's box down through its systemd, or all of the user's."""
    if all:
        return _all(app, target)
    from containai.flows import whereabouts

    box = whereabouts.box(app, target)
    app.ui.say(f"stopping the box {box.shown}")
    box.stop()
    return Report({"name": box.name, "stopped": True})


def _all(app: App, target: Target) -> Report:
    from containai.flows import several

    own = several.own(app, target)
    running = own._replace(boxes=[box for box in own.boxes if not box.box.status.is_off])
    done = several.with_each(app, running, lambda box: box.stop(), "stopping")
    return every.report(done, "stopped")


COMMANDS = (
    Command(
        "stop",
        "shut a box down",
        run,
        group="boxes",
        arguments=(Argument("--all", "every box of yours"),),
        examples=(
            Example("cai stop", "the box of this directory"),
            Example("cai stop --name api", "a box by its name, from anywhere"),
            Example("cai stop --all", "every box of yours"),
        ),
        more="Its state stays. It stays off until it is used again; every other box comes back "
        "when the machine or the engine starts, and when it ended by itself (`poweroff` in a "
        "box is a reboot). Root may stop another user's.",
        has_target=True,
    ),
)
