"""The way into a box on a remote place, and what becomes of it there."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.app import App
from containai.away import limits, record
from containai.away.lifecycle import AwayBoxes, Making
from containai.away.place import cannot
from containai.away.record import Entry
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.claiming import NoSpareError
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.config.settings import Settings
from containai.errors import ContainAIError, DamagedError, NameTakenError
from containai.flows import away_image, away_look, away_work, enter
from containai.flows.enter import Wanted
from containai.incus import known
from containai.incus.known import LOCAL
from containai.ssh import session
from containai.ssh.session import Session


class Where(NamedTuple):
    """A remote place, and the box there that a target stands for, if it has one."""

    place: str
    entry: Entry | None


def where(app: App, target: Target) -> Where | None:
    """Return where a target's box is, or is to be made; None is this machine.

    A box stays where it is. Raises NameTakenError where a flag says another place than its own, and
    NoSpareError where only a spare is to be the box, which is here.
    """
    said = app.settings.flagged(Settings.box_on)
    entry = record.find(app.layout, target)
    if entry is not None:
        if said not in (None, "", entry.place):
            raise _elsewhere(entry.name, entry.place)
        return Where(entry.place, entry)
    workspace = workspaces.resolve(app.layout, target.path, force=True, exact=target.is_exact)
    name = target.name or workspaces.box_name(workspace.path, app.layout.uid)
    if os.path.exists(app.layout.ssh_block(name)):
        if said not in (None, "", LOCAL):
            raise _elsewhere(name, LOCAL)
        return None
    place = app.at(workspace.path).settings.box_on or known.read(app.layout.remotes).default
    if place == LOCAL:
        return None
    if app.only_spares:
        raise NoSpareError
    return Where(place, None)


def _elsewhere(name: str, place: str) -> ContainAIError:
    shown = "this machine" if place == LOCAL else place
    return NameTakenError(
        f"the box {name!r} is on {shown}, and stays there",
        hint="another one beside it: --name NAME; or without it: cai rm",
    )


def brought_up(
    app: App, target: Target, command: Sequence[str], wanted: Wanted, place: Where
) -> Session:
    """Return the session in a box on a remote place; make and start whatever is missing."""
    workspace, name = _meant(app, target, wanted, place.entry)
    app = app.at(workspace.path)
    _refuse(wanted, app, place.place)
    flagged = app.settings.flagged
    making = limits.wanted(app.settings.value, flagged, place.place)
    asked = limits.wanted(flagged, flagged, place.place)
    boxes = app.away(place.place)
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
        asked=asked.config,
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
    """Have the work in a box that has none of it yet; only then the warm way leads there."""
    away_work.send_first(app, name, workspace)
    boxes.settle(name, workspace)


def found(app: App, target: Target) -> Entry | None:
    """Return the box on a remote place that a target stands for, or None."""
    return record.find(app.layout, target)


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


def every(app: App) -> list[Entry]:
    """Return the user's boxes on remote places."""
    return list(record.every(app.layout).values())


def every_known(app: App) -> list[Entry]:
    """Return the same, as far as a damaged file says."""
    try:
        return every(app)
    except DamagedError:
        return []


def stop(app: App, entry: Entry) -> None:
    """Shut a box down. Raises BoxNotFoundError."""
    app.away(entry.place).stop(entry)


def lost(app: App, entry: Entry) -> str:
    """Return what goes with a box, for who is about to remove it; "" for nothing but the box."""
    seen = app.away(entry.place).find(entry)
    if seen is None or not seen.is_whole:
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
    boxes.existing(entry)
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


def is_there_already(app: App, target: Target) -> bool:
    """Whether a flag says of a target's box the place where it is: nothing is to be done for it."""
    said = app.settings.flagged(Settings.box_on)
    entry = record.find(app.layout, target)
    return entry is not None and said == entry.place == session.place_of(app.layout, entry.name)
