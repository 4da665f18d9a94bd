"""The way into a box on a remote place, and what becomes of it there."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.app import App
from containai.away import lifecycle, limits
from containai.away.lifecycle import AwayBoxes, Making
from containai.away.place import cannot
from containai.away.record import Entry
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.config.settings import Settings
from containai.errors import ContainAIError, NameTakenError
from containai.flows import away_image, away_look, away_work, enter, refusing
from containai.flows.enter import Wanted
from containai.flows.whereabouts import Where
from containai.ssh.session import Session


class Ordered(NamedTuple):
    """A box as it is wanted; `making` are limits of a new one, `asked` those that flags say."""

    app: App
    boxes: AwayBoxes
    workspace: Workspace
    name: str
    making: limits.Wanted
    asked: dict[str, str]


def ordered(app: App, target: Target, wanted: Wanted, place: Where) -> Ordered:
    """Return the box that is wanted on a remote place. Raises for what it cannot be."""
    workspace, name = _meant(app, target, wanted, place.entry)
    if place.entry is None and not target.here:
        refusing.moved(app, workspace)
    app = app.at(workspace.path)
    _refuse(wanted, app, place.place)
    flagged = app.settings.flagged
    making = limits.wanted(app.settings.value, flagged, place.place)
    asked = limits.wanted(flagged, flagged, place.place)
    return Ordered(app, app.away(place.place), workspace, name, making, asked.config)


def brought_up(
    app: App, target: Target, command: Sequence[str], wanted: Wanted, place: Where
) -> Session:
    """Return the session in a box on a remote place; make and start whatever is missing."""
    app, boxes, workspace, name, making, asked = ordered(app, target, wanted, place)
    if wanted.fresh and place.entry is not None:
        _agreed(app, boxes, place.entry)

    def make() -> Making:
        from containai.flows import workspace_image

        image = workspace_image.wanted(app, workspace.path)
        found = away_image.fingerprint(app, boxes.place, image)
        # Of a box of that name before. Later, one that was cut off would leave the new one without.
        away_work.forget(app, name)
        return Making(found, image.name, making.config, making.disk)

    is_made = boxes.bring_up(
        name,
        workspace,
        app.ui.say,
        make,
        lambda: app.ui.step(f"box {name}", 1, 1),
        fresh=wanted.fresh,
        asked=asked,
    )
    _fill(app, boxes, name, workspace)
    if is_made:
        from containai.flows import bringing

        bringing.offer(app, name, place.place)
    return enter.in_box(app.layout, name, workspace, command, wanted.send)


def woken(app: App, entry: Entry, command: Sequence[str], send: Sequence[str] = ()) -> Session:
    """Return the session in a box that is there, started if need be."""
    workspace = started(app, entry)
    return enter.in_box(app.layout, entry.name, workspace, command, send)


def started(app: App, entry: Entry) -> Workspace:
    """Have a box that is there running and reachable; return its workspace."""
    workspace = workspace_of(app, entry)
    app = app.at(workspace.path)
    boxes = app.away(entry.place)
    boxes.bring_up(
        entry.name, workspace, app.ui.say, None, lambda: app.ui.step(f"box {entry.name}", 1, 1)
    )
    _fill(app, boxes, entry.name, workspace)
    return workspace


def _fill(app: App, boxes: AwayBoxes, name: str, workspace: Workspace) -> None:
    """Have what is beside sessions, and the work in a box that has none of it yet.

    Only then the warm way leads there.
    """
    if boxes.has_connected:
        from containai.flows import beside

        beside.have(app, name)
    away_work.send_first(app, name, workspace)
    boxes.settle(name, workspace)


def as_box(app: App, entry: Entry) -> Box:
    """Return a box that can be entered as one of this machine is: over ssh, by its name."""
    return Box(
        name=entry.name,
        container=entry.instance,
        workspace=entry.workspace,
        ssh_port=0,
        owner=app.layout.uid,
        status=Status.RUNNING,
        image="",
        created="",
    )


def lost(app: App, entry: Entry) -> str:
    """Return what goes with a box, for who is about to remove it; "" for nothing but the box."""
    seen = app.away(entry.place).find(entry)
    if seen is None:
        return ""
    lifecycle.refuse_away(entry.name, seen)
    if not seen.is_whole:
        return ""
    if seen.status is not Status.RUNNING:
        return f"it is {seen.status}, so what of its work was not fetched is not known"
    return away_work.unfetched(app, entry)


def remove(app: App, entry: Entry) -> None:
    """Remove a box, its data, and what is known of it here."""
    app.away(entry.place).remove(entry)
    away_work.forget(app, entry.name)


def rename(app: App, entry: Entry, new: str) -> None:
    """Give a box another name. Raises NameTakenError, BoxNotFoundError."""
    boxes = app.at(entry.workspace).away(entry.place)
    boxes.rename(entry, new, lambda: away_work.rename(app, entry.name, new))


def limited(app: App, entry: Entry) -> away_look.Looked:
    """Give a box the limits that flags say; return how it is then."""
    flagged = app.settings.flagged
    asked = limits.wanted(flagged, flagged, entry.place)
    boxes = app.away(entry.place)
    boxes.reachable(entry)
    if asked.disk:
        cannot("another limit on the disk of a box", entry.place, "leave out --disk")
    if asked.config:
        boxes.place.limit(entry.instance, asked.config)
    return away_look.look(app, entry)


def _meant(app: App, target: Target, wanted: Wanted, entry: Entry | None) -> tuple[Workspace, str]:
    if entry is not None:
        return workspace_of(app, entry, target), entry.name
    workspace = workspaces.resolve(
        app.layout, target.path, force=wanted.force, exact=target.is_exact
    )
    return workspace, target.name or workspaces.box_name(workspace.path, app.layout.uid)


def workspace_of(app: App, entry: Entry, target: Target = Target()) -> Workspace:  # noqa: B008
    """Return the workspace of a box, as far in it as the target is, or this directory."""
    from containai.boxes import locate

    path = os.path.realpath(target.path or ".")
    part = locate.part_of(entry.workspace, path)
    if part is None and target.path is not None:
        raise NameTakenError(
            f"the box {entry.name!r} is of another workspace: {entry.workspace!r}",
            hint="choose another: --name NAME",
        )
    return enter.checked(app.layout, Workspace(entry.workspace, part or ""))


def _refuse(wanted: Wanted, app: App, place: str) -> None:
    """Raise NotThereError for what only a box of this machine can be."""
    if wanted.read_only:
        cannot("a workspace that can only be read", place, "leave out --read-only")
    if wanted.skip_mounts:
        cannot("a workspace that is mounted", place, "leave out --skip-mounts")
    if app.settings.flagged(Settings.box_data_volume):
        cannot("a data volume of another box", place, "leave out --data-volume")


def _agreed(app: App, boxes: AwayBoxes, entry: Entry) -> None:
    """Raise ContainAIError where the user does not want to lose what is in a box."""
    if boxes.find(entry) is None:
        return
    lost = f"The box {entry.name!r} on {entry.place} is made anew: all that is in it goes"
    news = away_work.unfetched(app, entry)
    if not app.ui.ask(f"{lost}, its data too{f'; {news}' if news else ''}. Go on?"):
        raise ContainAIError("nothing was changed", hint="agree to it: cai run --fresh --yes")
