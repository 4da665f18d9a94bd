"""Finds the box that a user means: every command does it through here, from every directory."""

import os
from typing import NamedTuple

from containai.boxes import design, lookup, renaming, spares
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, refuse_others, refuse_workspace
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.engine import configuration, daemon
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, NotThereError, WorkspaceError
from containai.layout import Layout
from containai.ssh import session


class Located(NamedTuple):
    """A workspace, the name of its box, and the box, if there is one."""

    workspace: Workspace
    name: str
    box: Box | None


def locate(
    engine: Engine, target: Target, *, force: bool = True, to_enter: bool = False
) -> Located:
    """Return what a target stands for. The engine has to run.

    A name without a path is found from every directory; one that no box has is for a new box of
    the directory itself, as one with `here` is, also below another workspace. Root may have
    anybody's box, but not `to_enter` it, as a box knows its owner's key. Raises WorkspaceError for
    a path that cannot be one (`force` as there), NameTakenError for a name that is another user's,
    another workspace's, and NotThereError for a box on a remote place, of which no engine knows.
    """
    layout = engine.layout
    _refuse_away(layout, target)
    if target.name is not None:
        box = _named(engine, target.name)
        if box is not None:
            refuse_others(engine.host, box, layout.uid, to_root=to_enter)
            if target.path is not None:
                asked = workspaces.resolve(layout, target.path, force=True, exact=True)
                part = part_of(box.workspace, asked.path)
                if part is None:
                    refuse_workspace(box, asked.path)
                return Located(Workspace(box.workspace, part or ""), box.name, box)
            return Located(workspace_of(box), box.name, box)
    workspace = workspaces.resolve(layout, target.path, force=force, exact=target.is_exact)
    if target.name is not None:
        return Located(workspace, target.name, None)
    name = workspaces.box_name(workspace.path, layout.uid)
    box = lookup.find(engine, workspace.path, name)
    if box is not None:
        box = box._replace(name=design.original(box.name))
    return Located(workspace, box.name if box else name, box)


def _refuse_away(layout: Layout, target: Target) -> None:
    """Raise NotThereError for a box on a remote place: whoever can do something there asks before.

    Which boxes those are, their host blocks say.
    """
    for name in _names(layout, target):
        place = session.place_of(layout, name)
        if place:
            raise NotThereError(
                f"the box {name!r} is on {place}: that can be done only with boxes of this machine",
                hint=f"in it: ssh {name}; what can be done there: cai help incus",
            )


def _names(layout: Layout, target: Target) -> list[str]:
    """Return the names that the box of a target can have."""
    if target.name is not None:
        return [target.name]
    try:
        path = workspaces.resolve(layout, target.path, force=True, exact=target.is_exact).path
    except WorkspaceError:
        return []
    own = workspaces.box_name(path, layout.uid)
    if os.path.exists(layout.ssh_block(own)):
        return [own]
    return [box for box, workspace in session.known(layout) if workspace == path]


def _named(engine: Engine, name: str) -> Box | None:
    """Return the box of a name: also one that another is about to be made in the place of."""
    box = lookup.get(engine, name)
    if box is None:
        box = lookup.get(engine, design.kept(name))
        box = box._replace(name=name) if box is not None else None
    return box


def existing(engine: Engine, target: Target, *, to_enter: bool = False) -> Box:
    """Return the box that a target stands for; start the engine for that.

    Raises as `locate`, and BoxNotFoundError where there is none.
    """
    _refuse_away(engine.layout, target)
    if configuration.read(engine.layout) is None:
        raise BoxNotFoundError(
            "this machine is not set up, so there is no box", hint="make one: cai run"
        )
    daemon.start(engine.host)
    renaming.mend(engine)
    spares.mend(engine)
    return found(engine, target, to_enter=to_enter)


def found(engine: Engine, target: Target, *, to_enter: bool = False) -> Box:
    """Return the box that a target stands for, as `existing`; start and mend nothing."""
    located = locate(engine, target, to_enter=to_enter)
    if located.box is not None:
        return located.box
    if target.name is not None:
        raise BoxNotFoundError(f"there is no box {target.name!r}", hint="see: cai ls")
    path = located.workspace.path
    hint = workspaces.meant(engine.layout, target.path) or f"make one: cai run {path!r}"
    raise BoxNotFoundError(f"{path!r} has no box", hint=hint)


def listed(engine: Engine, *, everybodys: bool = False) -> list[Box]:
    """Return the user's boxes, or everybody's; start the engine for that.

    Where nothing is set up there are none, and nothing is started.
    """
    if configuration.read(engine.layout) is None:
        return []
    daemon.start(engine.host)
    renaming.mend(engine)
    spares.mend(engine)
    return lookup.every(engine) if everybodys else lookup.own(engine)


def workspace_of(box: Box) -> Workspace:
    """Return the workspace of a box; a session starts in the current directory if that is in it."""
    return Workspace(box.workspace, part_of(box.workspace, os.path.realpath(".")) or "")


def part_of(workspace: str, path: str) -> str | None:
    """Return where in a workspace a path is, "" for itself, or None where it is not in it."""
    if os.path.commonpath([path, workspace or "/"]) != workspace:
        return None
    return os.path.relpath(path, workspace) if path != workspace else ""
