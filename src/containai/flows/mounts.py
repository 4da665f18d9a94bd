"""`cai mount`: more of the host for a box that is there, without a restart."""

import os
from typing import NamedTuple

from containai.app import App
from containai.boxes import extras, mounting
from containai.boxes.box import Box, Status
from containai.boxes.target import Target
from containai.config.places import Extra
from containai.errors import UsageError
from containai.flows import enter, whereabouts

_HINT = "see: cai mount add --help"


class Mounted(NamedTuple):
    """Something of the host in a box. `is_there`: the host has it still."""

    source: str
    target: str
    writable: bool
    is_there: bool = True


def add(
    app: App, target: Target, source: str, at: str | None, *, writable: bool
) -> tuple[Box, Mounted, bool]:
    """Have a box show something of the host; return the box, the mount, and whether it is new.

    Raises UsageError and WorkspaceError for what a box cannot be shown, or not there.
    """
    source = os.path.abspath(os.path.expanduser(source))
    at = os.path.normpath(at or source)
    if not at.startswith("/"):
        raise UsageError(
            f"{at!r} is no absolute path", hint="for example: cai mount add . ~/data /data"
        )
    box = _running(app, target)
    mount = extras.checked(app.host, [Extra(source, at, writable)], box.workspace, _HINT)[0]
    is_new = mounting.add(app.engine, box, mount)
    return box, Mounted(*mount), is_new


def remove(app: App, target: Target, at: str) -> tuple[Box, Mounted]:
    """Take what was added to a box at a place away again. Raises WorkspaceError if nothing was."""
    box = _running(app, target)
    gone = mounting.remove(app.engine, box, os.path.normpath(at))
    return box, Mounted(*gone, is_there=mounting.is_there(gone.source))


def listed(app: App, target: Target) -> tuple[Box, list[Mounted]]:
    """Return a box and what was added to it."""
    box = whereabouts.here(app, target)
    found = mounting.added(app.layout, box.container)
    return box, [Mounted(*mount, is_there=mounting.is_there(mount.source)) for mount in found]


def _running(app: App, target: Target) -> Box:
    box = whereabouts.here(app, target)
    if box.status is Status.RUNNING:
        return box
    enter.started(app, box)
    return whereabouts.here(app, Target(name=box.name))
