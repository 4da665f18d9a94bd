"""Hands files in a workspace that are root's or services' of its boxes to the workspace's owner."""

import json
import os
from typing import NamedTuple

from containai.app import App
from containai.boxes import lookup, owner
from containai.engine import configuration, daemon
from containai.errors import ContainAIError, NotSetUpError, WorkspaceError


class Reclaimed(NamedTuple):
    """How many files and directories were changed, whose they are now, and what went wrong."""

    changed: int
    owner: str
    problems: list[str]


def reclaim(app: App, given: str | None, *, dry_run: bool) -> Reclaimed:
    """Reclaim what is at a path, or only count it. Raises ContainAIError while a box uses it."""
    path = os.path.realpath(given or ".")
    if not os.path.lexists(path):
        raise WorkspaceError(f"{given!r} does not exist", hint="give a workspace: cai ls has them")
    if not os.path.exists(app.layout.runtime_program):
        raise NotSetUpError("this machine is not set up", hint="run: cai setup")
    if not dry_run:
        _refuse_running(app, path)
    uid, gid = owner.of(app.layout, path)
    options = ["--dry-run"] if dry_run else []
    argv = [app.layout.runtime_program, "reclaim", *options, path, str(uid), str(gid)]
    app.ui.say(f"looking through {path}")
    said = json.loads(app.host.run(argv, root=True, timeout=None).out)
    whose = f"{owner.user_name(uid)}:{owner.group_name(gid)}"
    return Reclaimed(said["changed"], whose, said["problems"])


def _refuse_running(app: App, path: str) -> None:
    """Raise ContainAIError where a box runs whose services could lose their files."""
    if configuration.read(app.layout) is None or not daemon.answering(app.host):
        return
    for box in lookup.every(app.engine):
        shared = os.path.commonpath([box.workspace or "/", path])
        if box.workspace and shared in (box.workspace, path) and not box.status.is_off:
            raise ContainAIError(
                f"the box {box.name!r} is {box.status}: its services would lose their files",
                hint=f"stop it first: cai stop --name {box.name}",
            )
