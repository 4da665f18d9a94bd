"""Where the box of a target is, or is to be: on this machine, or on a remote place.

Every command asks, and most boxes are here: nothing is imported that only remote places need.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from containai.app import App
from containai.away import record
from containai.away.record import Entry
from containai.boxes import workspace as workspaces
from containai.boxes.target import Target
from containai.config.settings import Settings
from containai.errors import BoxNotFoundError, ContainAIError, DamagedError, NameTakenError
from containai.layout import LOCAL
from containai.ssh import session

if TYPE_CHECKING:
    from containai.boxes.box import Box
    from containai.flows.placed import Placed


class Where(NamedTuple):
    """A remote place, and the box there that a target stands for, if it has one."""

    place: str
    entry: Entry | None


def where(app: App, target: Target) -> Where | None:
    """Return where a target's box is, or is to be made; None is this machine.

    A box stays where it is. Raises NameTakenError where a flag says another place than its own, and
    NoSpareError where only a spare is to be the box, which is here.
    """
    flag = app.settings.flagged(Settings.box_on)
    entry = record.find(app.layout, target)
    if entry is not None:
        if flag not in (None, "", entry.place):
            raise _elsewhere(entry.name, entry.place)
        return Where(entry.place, entry)
    workspace = workspaces.resolve(app.layout, target.path, force=True, exact=target.is_exact)
    name = target.name or workspaces.box_name(workspace.path, app.layout.uid)
    if os.path.exists(app.layout.ssh_block(name)):
        if flag not in (None, "", LOCAL):
            raise _elsewhere(name, LOCAL)
        return None
    place = app.at(workspace.path).settings.box_on or _default(app)
    if place == LOCAL:
        return None
    if app.only_spares:
        from containai.boxes.claiming import NoSpareError

        raise NoSpareError
    return Where(place, None)


def _default(app: App) -> str:
    """Return the place that counts where none is named."""
    if not os.path.lexists(app.layout.remotes):
        return LOCAL
    from containai.incus import store

    return store.load(app.layout).default


def _elsewhere(name: str, place: str) -> ContainAIError:
    return NameTakenError(
        f"the box {name!r} is on {_shown(place)}, and stays there",
        hint="another one beside it: --name NAME; or without it: cai rm",
    )


def _shown(place: str) -> str:
    return "this machine" if place == LOCAL else place


def box(app: App, target: Target, *, to_enter: bool = False) -> Placed:
    """Return the box that a target stands for, wherever it is; its place is not asked yet.

    For one of this machine its engine is started. Raises as `locate.existing`.
    """
    entry = found(app, target)
    if entry is not None:
        return _there(app, entry)
    if os.path.lexists(app.layout.away):
        from containai.flows import refusing

        refusing.moved_away(app, target)
    from containai.boxes import locate

    return _here(app, locate.existing(app.engine, target, to_enter=to_enter))


def of(app: App, box: Box) -> Placed:
    """Return a box that was found already."""
    entry = record.every(app.layout).get(box.name)
    return _there(app, entry) if entry is not None else _here(app, box)


def boxes_here(app: App) -> list[Placed]:
    """Return the user's boxes of this machine; none, and nothing started, on a bare one.

    None where --on says another place.
    """
    from containai.boxes import locate

    if app.flags.get(Settings.box_on.key, LOCAL) not in ("", LOCAL):
        return []
    return [_here(app, each) for each in locate.listed(app.engine)]


def boxes_there(app: App) -> list[Placed]:
    """Return the user's boxes on remote places, of which none is asked; only those of --on.

    Raises as `said`.
    """
    place = said(app)
    return [_there(app, entry) for entry in every(app) if place in ("", entry.place)]


def _here(app: App, box: Box) -> Placed:
    from containai.flows.here import Here

    return Here(app, box)


def _there(app: App, entry: Entry) -> Placed:
    from containai.flows.there import There

    return There(app, entry)


def only_here(app: App, target: Target, what: str, hint: str) -> None:
    """Raise NotThereError for a target whose box is on a remote place: `what` is not done there."""
    entry = found(app, target)
    if entry is not None:
        _cannot(what, entry.place, hint)


def only_made_here(app: App, target: Target, what: str, hint: str) -> None:
    """Raise NotThereError also for a target whose box is to be made on a remote place."""
    place = where(app, target)
    if place is not None:
        _cannot(what, place.place, hint)


def _cannot(what: str, place: str, hint: str) -> None:
    from containai.away.place import cannot

    cannot(what, place, hint)


def here(app: App, target: Target) -> Box:
    """Return the box that a target stands for, to enter it, which has to be of this machine.

    Raises as `locate.existing`, and as `found`.
    """
    from containai.boxes import locate

    found(app, target)
    return locate.existing(app.engine, target, to_enter=True)


def found(app: App, target: Target) -> Entry | None:
    """Return the box on a remote place that a target stands for, or None.

    Raises BoxNotFoundError where it is not where --on says, and as `said`.
    """
    place, entry = said(app), record.find(app.layout, target)
    if not place or place == (entry.place if entry is not None else LOCAL):
        return entry
    name, there = _named(app, target, entry)
    if not there:
        raise BoxNotFoundError(f"there is no box {name!r} on {place}", hint="see: cai ls")
    raise BoxNotFoundError(
        f"the box {name!r} is not on {place}, but on {_shown(there)}",
        hint="leave out --on, or name another box; see: cai ls",
    )


def _named(app: App, target: Target, entry: Entry | None) -> tuple[str, str]:
    """Return what the box of a target is called, and where it is as far as files say, or ""."""
    if entry is not None:
        return entry.name, entry.place
    path = workspaces.resolve(app.layout, target.path, force=True, exact=target.is_exact).path
    name = target.name or workspaces.box_name(path, app.layout.uid)
    return name, LOCAL if os.path.exists(app.layout.ssh_block(name)) else ""


def said(app: App) -> str:
    """Return the place that --on says, "" where it says none.

    Raises UsageError for one that nobody has added.
    """
    place = app.flags.get(Settings.box_on.key, "")
    if place not in ("", LOCAL) and all(entry.place != place for entry in every(app)):
        from containai.incus import store

        store.find(app.layout, place)
    return place


def every(app: App) -> list[Entry]:
    """Return the user's boxes on remote places."""
    return list(record.every(app.layout).values())


def every_known(app: App) -> list[Entry]:
    """Return the same, as far as a damaged file says."""
    try:
        return every(app)
    except DamagedError:
        return []


def has_places(app: App) -> bool:
    """Whether there are remote places to look at."""
    return any(map(os.path.lexists, (app.layout.remotes, app.layout.away)))


def is_there_already(app: App, target: Target) -> bool:
    """Whether a flag says of a target's box the place where it is: nothing is to be done for it."""
    flag = app.settings.flagged(Settings.box_on)
    entry = record.find(app.layout, target)
    return entry is not None and flag == entry.place == session.place_of(app.layout, entry.name)
