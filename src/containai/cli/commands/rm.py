"""`cai rm [PATH]`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli import every
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.errors import ContainAIError

if TYPE_CHECKING:
    from containai.away.record import Entry


def run(app: App, target: Target, *, all: bool, data: bool = False) -> Report:  # noqa: A002
    """Remove the workspace's box and all that is its own, or all of the user's if they agree."""
    if all:
        return _all(app, target, data=data)
    from containai.boxes import locate
    from containai.flows import volumes, whereabouts

    entry = whereabouts.found(app, target)
    if entry is not None:
        return _away(app, entry)
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


def _away(app: App, entry: "Entry") -> Report:
    """Remove a box on a remote place: its data go with it, and work that only it has."""
    from containai.flows import away

    news = away.lost(app, entry)
    if news and not app.ui.ask(f"The box {entry.name!r} on {entry.place} goes: {news}. Go on?"):
        raise ContainAIError(
            f"nothing was removed: {news}",
            hint=f"fetch it: cai pull --name {entry.name}; or agree to it: cai rm --yes",
        )
    app.ui.say(f"removing the box {entry.name} on {entry.place}")
    away.remove(app, entry)
    return Report({"name": entry.name, "removed": True, "volumes_removed": [], "volume_kept": ""})


def _lost(going: Sequence[str]) -> str:
    volumes = "data volume" if len(going) == 1 else "data volumes"
    return f"The {volumes} {', '.join(going)}, with logins, settings and history, will go"


def _all(app: App, target: Target, *, data: bool) -> Report:
    from containai.flows import away, several, volumes, whereabouts

    boxes, entries = several.own(app, target), whereabouts.every(app)
    names = ", ".join([*(box.name for box in boxes), *(entry.name for entry in entries)])
    going = volumes.going_with(app, boxes) if data else []
    lost = f"{_lost(going)}, too. " if going else ""
    told = [(entry.name, away.lost(app, entry)) for entry in entries]
    lost += "".join(f"{name}: {news}. " for name, news in told if news)
    question = f"These boxes go, and all that is in them: {names}. {lost}Go on?"
    if (boxes or entries) and not app.ui.ask(question):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --all --yes")
    done = several.with_each(app, boxes, app.boxes.remove, "removing")
    if not done.failures:
        volumes.forget(app, going)
    there = several.with_each(app, entries, lambda each: away.remove(app, each), "removing")
    return every.report(done.and_of(there), "removed")


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
        "workspace, without --data. With one on a remote place its data go, too, and work that was "
        "not fetched (cai pull), which it asks about. Root may remove another user's.",
        has_target=True,
        asks=True,
    ),
)
