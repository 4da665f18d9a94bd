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
    from containai.flows import volumes, whereabouts

    box = whereabouts.box(app, target)
    going = volumes.going_with(app, [box.box]) if data else []
    if going and not app.ui.ask(f"{_lost(going)} with the box {box.name!r}. Go on?"):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --data --yes")
    news = box.lost()
    if news and not app.ui.ask(f"The box {box.name!r} on {box.on} goes: {news}. Go on?"):
        raise ContainAIError(
            f"nothing was removed: {news}",
            hint=f"fetch it: cai pull --name {box.name}; or agree to it: cai rm --yes",
        )
    app.ui.say(f"removing the box {box.shown}")
    box.remove(going)
    kept = "" if data else box.box.data
    value = {"name": box.name, "removed": True, "volumes_removed": going, "volume_kept": kept}
    notes = [Note(f"its data volume {kept} stays", f"cai volume rm {kept}")] if kept else []
    return Report(value, notes=notes)


def _lost(going: Sequence[str]) -> str:
    volumes = "data volume" if len(going) == 1 else "data volumes"
    return f"The {volumes} {', '.join(going)}, with logins, settings and history, will go"


def _all(app: App, target: Target, *, data: bool) -> Report:
    from containai.flows import several, volumes

    own, told = several.with_news(several.own(app, target))
    names = ", ".join(box.name for box in own.boxes)
    going = volumes.going_with(app, [box.box for box in own.boxes]) if data else []
    lost = f"{_lost(going)}, too. " if going else ""
    lost += "".join(f"{name}: {news}. " for name, news in told.items())
    question = f"These boxes go, and all that is in them: {names}. {lost}Go on?"
    if own.boxes and not app.ui.ask(question):
        raise ContainAIError("nothing was removed", hint="agree to it: cai rm --all --yes")
    done = several.with_each(app, own, lambda box: box.remove(), "removing")
    if going and not done.failures:
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
        "workspace, without --data. With one on a remote place its data go, too, and work that was "
        "not fetched (cai pull), which it asks about. Root may remove another user's.",
        has_target=True,
        asks=True,
    ),
)
