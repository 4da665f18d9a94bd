"""`cai rm [PATH]`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.errors import ContainAIError


def run(app: App, target: Target, *, all: bool, data: bool = False) -> Report:  # noqa: A002
    """Remove the workspace's box and all that is its own, or all of the user's if they agree."""
    if all:
        return _all(app, target, data=data)
    from containai.boxes import locate
    from containai.flows import volumes

    box = locate.existing(app.engine, target)
    going = volumes.going_with(app, [box]) if data else []
    if going and not app.ui.ask(f"{_lost(going)} with the box {box.name!r}. Go on?"):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --data --yes")
    app.ui.say(f"removing the box {box.name}")
    app.boxes.remove(box)
    volumes.forget(app, going)
    kept = "" if data else box.data
    value = {"name": box.name, "removed": True, "volumes_removed": going, "volume_kept": kept}
    notes = [Note(f"its data volume {kept} stays", f"cai volume rm {kept}")] if kept else []
    return Report(value, notes=notes)


def _lost(going: Sequence[str]) -> str:
    volumes = "data volume" if len(going) == 1 else "data volumes"
    return f"The {volumes} {', '.join(going)}, with logins, settings and history, will go"


def _all(app: App, target: Target, *, data: bool) -> Report:
    from containai.flows import several, volumes

    boxes = several.own(app, target)
    names = ", ".join(box.name for box in boxes)
    going = volumes.going_with(app, boxes) if data else []
    lost = f"{_lost(going)}, too. " if going else ""
    question = f"These boxes go, and all that is in them: {names}. {lost}Go on?"
    if boxes and not app.ui.ask(question):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --all --yes")
    done = several.with_each(app, boxes, app.boxes.remove, "removing")
    if not done.failures:
        volumes.forget(app, going)
    return every.report(done, "removed")


COMMANDS = (
    Command(
        "rm",
        "remove a box; the workspace stays",
        run,
        group="boxes",
        arguments=(
            Argument("--all", "every box of yours, which asks first"),
            Argument("--data", "the data volume, too, which asks first"),
        ),
        examples=(
            Example("cai rm", "the box of this directory"),
            Example("cai rm --name api", "a box by its name, from anywhere"),
            Example("cai rm --data", "with its logins, settings and history; asks first"),
            Example("cai rm --all --yes", "every box of yours"),
        ),
        more="All that is in the box goes with it; its data volume stays for the next box of the "
        "workspace, without --data. Root may remove another user's.",
        has_target=True,
        asks=True,
    ),
)
