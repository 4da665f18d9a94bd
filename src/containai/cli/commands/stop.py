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
    from containai.boxes import locate
    from containai.flows import whereabouts

    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away

        app.ui.say(f"stopping the box {entry.name} on {entry.place}")
        away.stop(app, entry)
        return Report({"name": entry.name, "stopped": True})
    box = locate.existing(app.engine, target)
    app.ui.say(f"stopping the box {box.name}")
    app.boxes.stop(box)
    return Report({"name": box.name, "stopped": True})


def _all(app: App, target: Target) -> Report:
    from containai.flows import away, several, whereabouts

    running = [box for box in several.own(app, target) if not box.status.is_off]
    done = several.with_each(app, running, app.boxes.stop, "stopping")
    there = several.with_each(
        app, whereabouts.every(app), lambda each: away.stop(app, each), "stopping"
    )
    return every.report(done.and_of(there), "stopped")


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
