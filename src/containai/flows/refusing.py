"""What is refused of a box that is there, or is to be made: another than it is, or can be."""

import shlex
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes import volumes
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box
from containai.boxes.target import Target
from containai.boxes.workspace import Moved, Workspace
from containai.config.settings import Settings
from containai.errors import UsageError, WorkspaceError
from containai.ssh import session

if TYPE_CHECKING:
    from containai.flows.enter import Wanted


def volume(app: App, box: Box | None) -> None:
    """Raise UsageError where a flag says another data volume than a box that is entered has."""
    if box is not None:
        volumes.refuse_other(box, app.settings.flagged(Settings.box_data_volume))


def writable(box: Box, wanted: "Wanted") -> None:
    """Raise UsageError where a box that is there can write what it is only to read."""
    if wanted.read_only and not box.read_only:
        raise UsageError(
            f"the box {box.name!r} can write its workspace",
            hint="make it anew: cai run --fresh --read-only",
        )


def moved(app: App, workspace: Workspace) -> None:
    """Raise WorkspaceError for one whose box shows it where it was: a box's mounts stay."""
    was = workspaces.moved(app.layout, workspace)
    _moved_away(app, workspace, was)
    volume = app.settings.flagged(Settings.box_data_volume)
    if was is None or volume:
        return
    raise WorkspaceError(
        f"{workspace.path!r} was {was.path!r} when its box {was.box!r} was made, and a box cannot "
        "follow",
        hint=f"in a new box with its data: cai rm --name {was.box}; cai run --data-volume VOLUME "
        "(cai volume ls); a second box, without: cai run --here; or move it back",
    )


def moved_away(app: App, target: Target) -> None:
    """Raise WorkspaceError for a target without a box whose box, elsewhere, is of where it was."""
    if target.name is not None:
        return
    try:
        workspace = workspaces.resolve(app.layout, target.path, force=True, exact=target.is_exact)
    except WorkspaceError:
        return
    _moved_away(app, workspace, workspaces.moved(app.layout, workspace))


def _moved_away(app: App, workspace: Workspace, was: Moved | None) -> None:
    place = session.place_of(app.layout, was.box) if was else ""
    if was is None or not place:
        return
    raise WorkspaceError(
        f"{workspace.path!r} was {was.path!r} when its box {was.box!r} on {place} got its work, "
        "and a box cannot follow",
        hint=f"move it back: mv {shlex.quote(workspace.path)} {shlex.quote(was.path)}; or a second "
        f"box: cai run --here. What the first one did comes by git fetch cai-{was.box}, or scp; "
        f"then: cai rm --name {was.box}",
    )
