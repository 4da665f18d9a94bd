"""Snapshots of a box on a remote place: taken while it runs, listed, put back, removed."""

import itertools

from containai.app import App
from containai.away import forking
from containai.away.place import Snapshot
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.errors import ContainAIError, NameTakenError, UsageError
from containai.flows import away_work
from containai.ssh import hosts
from containai.transfer import past, state


def add(app: App, entry: Entry, name: str | None) -> str:
    """Take a snapshot of a box, which runs on; return its name.

    Raises NameTakenError, and NotThereError where the place allows none.
    """
    if name == forking.SNAPSHOT:
        raise UsageError(f"{name} is what cai calls its own snapshots", hint="choose another name")
    boxes = app.away(entry.place)
    with boxes.held(entry.name), state.held(app.layout, entry.name) as work:
        forking.ready(boxes, entry)
        known = [each.name for each in boxes.place.snapshots(entry.instance)]
        if name in known:
            raise NameTakenError(
                f"the box {entry.name!r} has a snapshot {name!r} already",
                hint=f"choose another name; or first: cai snapshot rm {entry.name} {name}",
            )
        every = (f"snapshot-{number}" for number in itertools.count(1))
        name = name or next(each for each in every if each not in known)
        progress = app.ui.step(f"snapshot of {entry.name}", 1, 1)
        past.note(work, name)
        try:
            boxes.place.take(entry.instance, name, progress)
        except ContainAIError:
            past.drop(work, name)
            raise
    return name


def listed(app: App, entry: Entry) -> list[Snapshot]:
    """Return the snapshots of a box, oldest first."""
    boxes = app.away(entry.place)
    boxes.existing(entry)
    return boxes.place.snapshots(entry.instance)


def remove(app: App, entry: Entry, name: str) -> None:
    """Remove a snapshot of a box. Raises BoxNotFoundError where there is none."""
    boxes = app.away(entry.place)
    with boxes.held(entry.name), state.held(app.layout, entry.name) as work:
        forking.existing(boxes, entry, name)
        boxes.place.drop(entry.instance, name)
        past.drop(work, name)


def restore(app: App, entry: Entry, name: str) -> bool:
    """Have a box as it was at a snapshot, if the user agrees; return whether it runs.

    One that runs is ended at once, and started again. Its limits stay as they are.
    """
    boxes = app.away(entry.place)
    seen = boxes.existing(entry)
    if not seen.restoring:
        forking.ready(boxes, entry)
    snapshot = forking.existing(boxes, entry, name)
    runs = seen.status is Status.RUNNING
    news = away_work.unfetched(app, entry) if runs else ""
    question = (
        f"The box {entry.name!r} on {entry.place} becomes what it was at {snapshot.created}: all "
        f"that is newer in it goes, its data too{f'; {news}' if news else ''}. Go on?"
    )
    if not app.ui.ask(question):
        raise ContainAIError("nothing was changed", hint="agree to it: cai snapshot restore --yes")
    with boxes.held(entry.name), state.held(app.layout, entry.name) as work:
        hosts.close(app.host, entry.name)
        progress = app.ui.step(f"the box {entry.name}", 1, 1)
        boxes.place.restore(entry.instance, name, progress)
        past.back(work, name)
        return boxes.existing(entry).status is Status.RUNNING
