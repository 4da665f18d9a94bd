"""`cai volume`: which data volumes there are, whose, and how they go."""

from collections.abc import Sequence
from typing import NamedTuple

from containai.app import App
from containai.boxes import lookup, spares, volumes
from containai.boxes.box import Box
from containai.engine import configuration, daemon
from containai.errors import BoxNotFoundError, ContainAIError, NameTakenError


class Listed(NamedTuple):
    """A data volume. `boxes` have it; `size` is in bytes, None where it was not asked for."""

    name: str
    workspace: str
    boxes: list[str]
    created: str
    size: int | None = None


def listed(app: App, *, sizes: bool) -> list[Listed]:
    """Return the user's data volumes; start the engine for that."""
    if configuration.read(app.layout) is None:
        return []
    daemon.start(app.host)
    taken = app.engine.volume_sizes() if sizes else {}
    boxes = lookup.every(app.engine)
    return [
        Listed(row.name, row.workspace, _users(boxes, row.name), row.created, taken.get(row.name))
        for row in volumes.every(app.engine)
    ]


def _users(boxes: Sequence[Box], volume: str) -> list[str]:
    return sorted(box.name for box in boxes if box.data == volume)


def chosen(app: App, name: str) -> volumes.Volume:
    """Return a data volume of the user's. Raises BoxNotFoundError where there is none."""
    if configuration.read(app.layout) is not None:
        daemon.start(app.host)
        found = volumes.get(app.engine, name)
        if found is not None:
            return found
    raise BoxNotFoundError(f"there is no data volume {name!r}", hint="see: cai volume ls")


def remove(app: App, names: Sequence[str]) -> list[str]:
    """Remove data volumes, if the user agrees; none where one of them cannot go."""
    found = [chosen(app, name).name for name in dict.fromkeys(names)]
    boxes = lookup.every(app.engine)
    for name in found:
        users = _users(boxes, name)
        if users:
            raise NameTakenError(
                f"the data volume {name!r} is that of {', '.join(users)}",
                hint=f"remove both: cai rm --data --name {users[0]}",
            )
    shown = ", ".join(found)
    if not app.ui.ask(f"All that is in {shown} goes: logins, settings, history. Go on?"):
        raise ContainAIError(
            "nothing was removed", hint=f"agree to it: cai volume rm {shown} --yes"
        )
    spares.release_unneeded(app.engine)
    for name in found:
        app.engine.remove_volume(name)
    return found


def going_with(app: App, boxes: Sequence[Box]) -> list[str]:
    """Return the data volumes that go with boxes. Raises NameTakenError where others have one."""
    going = sorted({box.data for box in boxes if box.data})
    if not going:
        return []
    every = lookup.every(app.engine)
    own = {box.name for box in boxes}
    for name in going:
        others = [user for user in _users(every, name) if user not in own]
        if others:
            raise NameTakenError(
                f"the data volume {name!r} is also that of {', '.join(others)}",
                hint="it stays without --data",
            )
        _refuse_others(app, name, boxes)
    return going


def _refuse_others(app: App, name: str, boxes: Sequence[Box]) -> None:
    """Raise NameTakenError for a volume that is not of the owner of the boxes."""
    inspected = app.engine.inspect("volume", name)
    volume = volumes.parsed(inspected) if inspected is not None else None
    if volume is None or volume.owner not in {box.owner for box in boxes}:
        raise NameTakenError(
            f"the volume {name!r} is no data volume of that user's", hint="it stays without --data"
        )


def forget(app: App, names: Sequence[str]) -> None:
    """Remove data volumes that no box has any more."""
    spares.release_unneeded(app.engine)
    for name in names:
        app.engine.remove_volume(name)
