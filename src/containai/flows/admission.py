"""What is looked at before a workspace gets a box: whose it is, and whose files are in it."""

import os
import shlex

from containai.boxes import owner
from containai.boxes.workspace import Workspace
from containai.errors import WorkspaceError
from containai.host.machine import Machine
from containai.layout import Layout


def look(host: Machine, workspace: Workspace, *, force: bool) -> list[str]:
    """Return lines that whoever makes a box of the workspace should read.

    Raises WorkspaceError for one that is not the caller's, unless that is wanted (`force`).
    """
    layout = host.layout
    path = workspace.path
    _refuse_windows(host, path)
    if not force:
        owner.check(layout, path, owner.Caller.of(host))
    _refuse_unmappable(host, path)
    left_out = _left_out(host, path) if workspace.skip_mounts else []
    return [*left_out, *_exposed(path), *_others(layout, path)]


def _refuse_windows(host: Machine, path: str) -> None:
    """Raise WorkspaceError for what is on a drive of Windows, whether that is wanted or not.

    Its name and place count for nothing. WSL 1 has a file system for that, WSL 2 one of the general
    ones for virtual machines, which there show nothing else.
    """
    kind = host.file_system(path)
    if kind != "drvfs" and not (kind in ("9p", "virtiofs") and host.is_wsl()):
        return
    name = os.path.basename(path) or "project"
    raise WorkspaceError(
        f"{path!r} is on a drive of Windows ({kind}): a box cannot be shown it with its owner as "
        "the agent, and Linux's permissions do not hold there",
        hint=f"work in Linux's own files: cp -r {shlex.quote(path)} ~/{shlex.quote(name)}; Windows "
        r"has them at \\wsl.localhost",
    )


#: File systems whose ids no kernel maps for a mount, and what they are.
_UNMAPPABLE = {
    "nfs": "on a server",
    "nfs4": "on a server",
    "cifs": "on a server",
    "smb3": "on a server",
    "afs": "on a server",
    "9p": "of another system, as Windows' drives in WSL are",
    "vboxsf": "of another system",
    "fuse.vmhgfs-fuse": "of another system",
    "prl_fs": "of another system",
    "fuse.sshfs": "on a server",
}


def _refuse_unmappable(host: Machine, path: str) -> None:
    """Raise WorkspaceError before anything is built for a box that could not be started.

    Others are seen when the runtime tries (engine/client.py): kernels learn to map more.
    """
    kind = host.file_system(path)
    if kind in _UNMAPPABLE:
        raise WorkspaceError(
            f"{path!r} is {_UNMAPPABLE[kind]} ({kind}): the kernel cannot map ids there, so its "
            "files would be nobody's in a box",
            hint="work on a copy on a disk of this machine: git clone, or rsync --archive, there "
            "and back; ext4, xfs, btrfs and tmpfs can be mapped",
        )


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
