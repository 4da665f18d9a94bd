"""What is looked at before a workspace gets a box: whose it is, and whose files are in it."""

import shlex

from containai.boxes import owner
from containai.boxes.workspace import Workspace
from containai.host.machine import Machine
from containai.layout import Layout


def look(host: Machine, workspace: Workspace, *, force: bool) -> list[str]:
    """Return lines that whoever makes a box of the workspace should read.

    Raises WorkspaceError for one that is not the caller's, unless that is wanted (`force`).
    """
    layout = host.layout
    path = workspace.path
    if not force:
        owner.check(layout, path, owner.Caller.of(host))
    left_out = _left_out(host, path) if workspace.skip_mounts else []
    return [*left_out, *_exposed(path), *_others(layout, path)]


def _left_out(host: Machine, path: str) -> list[str]:
    mounted = host.mounted_in(path)
    if not mounted:
        return []
    return [f"cai: left out of the box, whose directories there are empty: {', '.join(mounted)}\n"]


def _exposed(path: str) -> list[str]:
    user = owner.exposed_to(path)
    if not user:
        return []
    return [
        f"cai: {path!r} is root's, and other users of this machine can enter it, {user!r} for one: "
        "a set-user-id program that the agent makes in there would run as root for them\n",
        f"  hint: close it: chmod 700 {shlex.quote(path)}\n",
    ]


def _others(layout: Layout, path: str) -> list[str]:
    seen = owner.others(layout, path)
    if seen is None:
        return []
    if seen.of_a_box:
        return [
            f"cai: {seen.path!r} and maybe more in {path!r} was left by a box of an earlier "
            "version: nobody can change it in this one\n",
            f"  hint: make it yours: cai reclaim {shlex.quote(path)}\n",
        ]
    return [
        f"cai: {seen.path!r} and maybe more in {path!r} belongs to others ({seen.owner}): in a box "
        "that is nobody's, and can neither be written nor removed ('Value too large for defined "
        "data type')\n",
        "  hint: remove it here, or make it the workspace's: sudo chown --recursive "
        f"--no-dereference --reference={shlex.quote(path)} {shlex.quote(path)}\n",
    ]
