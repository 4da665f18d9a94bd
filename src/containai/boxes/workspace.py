"""A workspace and the name of its box, from a path. On the warm path: imports little."""

from __future__ import annotations

import os

from containai.errors import WorkspaceError
from containai.layout import Layout
from containai.light import NamedTuple, sha256
from containai.ssh import session

_NAME_LENGTH = 24


class Workspace(NamedTuple):
    """A directory on the host: its real path, and where in it a session starts ("" is the top).

    `skip_mounts`: a box that is made for it shows nothing of what is mounted in it; `read_only`: it
    can only read it.
    """

    path: str
    directory: str = ""
    skip_mounts: bool = False
    read_only: bool = False

    @property
    def inode(self) -> str:
        """What tells this directory from another that took its place: device and inode."""
        seen = os.stat(self.path)
        return f"{seen.st_dev}:{seen.st_ino}"


def box_name(path: str, uid: int) -> str:
    """Return the name of a workspace's box: a slug of its last part and a hash of the whole.

    At most 33 characters of a-z, 0-9 and "-": a host name, a container's name and an ssh host.
    Two users of one path get two boxes.
    """
    last = os.path.basename(path).lower()
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in last)
    slug = "-".join(filter(None, slug.split("-")))[:_NAME_LENGTH].strip("-") or "box"
    digest = sha256(f"{uid}:{path}".encode("utf-8", "surrogateescape"))
    return f"{slug}-{digest[:8]}"


def resolve(
    layout: Layout, given: str | None, *, force: bool = False, exact: bool = False
) -> Workspace:
    """Return the workspace of a PATH, or of the current directory where none is given.

    A directory below a workspace that has a box belongs to that workspace, unless `exact`.
    Raises WorkspaceError for what cannot be one.
    """
    if given == "":
        raise WorkspaceError("PATH is empty", hint="give a directory, for example: cai run .")
    if given is not None and "\0" in given:
        raise WorkspaceError(f"{given!r} is no path", hint="give a directory")
    path = os.path.realpath(given or ".")
    shown = repr(given) if given is not None else "the current directory"
    if not os.path.exists(path):
        raise _not_there(shown, path, meant(layout, given))
    if not os.path.isdir(path):
        hint = meant(layout, given) or "give the directory it is in"
        raise WorkspaceError(f"{shown} is not a directory", hint=hint)
    _refuse_odd_names(path)
    above = None if exact else _above(layout, path)
    if above is not None:
        return above
    if not force and path in ("/", os.path.realpath(layout.home)):
        what = "the root of this machine" if path == "/" else "your home directory"
        raise WorkspaceError(
            f"{shown} is {what}: the agent could change everything in it",
            hint="give a project's directory, or --force if you mean it",
        )
    return Workspace(path)


def meant(layout: Layout, given: str | None) -> str:
    """Return a question where a PATH is what a box or an agent is called, or nothing."""
    if not given or "/" in given or given in (".", ".."):
        return ""
    if os.path.exists(layout.ssh_block(given)):
        return f"a box is called so: did you mean --name {given}?"
    from containai.agents import AGENTS

    if given in (agent.name for agent in AGENTS):
        return f"an agent is called so: did you mean cai run --agent {given}?"
    return ""


def _not_there(shown: str, path: str, otherwise: str) -> WorkspaceError:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        hint = f"make it: mkdir -p {path!r}; if it moved, give the new path (cai ls shows boxes)"
        return WorkspaceError(f"{shown} does not exist", hint=otherwise or hint)
    except OSError as wrong:
        hint = f"look whose it is: namei -l {path!r}"
        return WorkspaceError(f"{shown} cannot be looked at: {wrong.strerror}", hint=hint)
    return WorkspaceError(f"{shown} did not exist a moment ago", hint="try again")


def is_odd(path: str) -> bool:
    """Whether a path has a control character in it, or is no UTF-8."""
    try:
        _refuse_odd_names(path)
    except WorkspaceError:
        return True
    return False


def _refuse_odd_names(path: str) -> None:
    if any(ord(c) < 32 or ord(c) == 127 for c in path):
        raise WorkspaceError(
            f"{path!r} has a control character in its name", hint="rename the directory"
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise WorkspaceError(
            f"{os.fsencode(path)!r} is not valid UTF-8", hint="rename the directory"
        ) from None


def _above(layout: Layout, path: str) -> Workspace | None:
    """Return the nearest workspace of this user's that a directory is, or is in, and has a box."""
    if os.path.exists(layout.ssh_block(box_name(path, layout.uid))):
        return Workspace(path)
    known = _blocks(layout)
    blocks = "\n".join(known.values())
    top = path
    while top != "/" and known:
        mark = session.identity(top, "")
        if os.path.exists(layout.ssh_block(box_name(top, layout.uid))) or mark in blocks:
            return Workspace(top, os.path.relpath(path, top) if top != path else "")
        top = os.path.dirname(top)
    return None


def _blocks(layout: Layout) -> dict[str, str]:
    """Return what ssh has of each box of this user."""
    texts: dict[str, str] = {}
    try:
        entries = list(os.scandir(layout.ssh_blocks))
    except OSError:
        return texts
    for entry in entries:
        try:
            with open(entry, encoding="utf-8", opener=session.at_once) as file:
                texts[entry.name.removesuffix(".conf")] = file.read()
        except (OSError, ValueError):
            continue
    return texts


class Moved(NamedTuple):
    """A box whose workspace was renamed, and where that was."""

    box: str
    path: str


def moved(layout: Layout, workspace: Workspace) -> Moved | None:
    """Return the box that a directory had under another path, where nothing is any more.

    A block is written while its workspace is there: a directory that is younger only has the number
    that another left.
    """
    for box, text in _blocks(layout).items():
        if f" inode={workspace.inode}\n" in text:
            from containai.host import birth

            path = session.workspace_of(layout, box)
            born = birth.of(workspace.path)
            is_older = born is not None and born <= _written(layout, box)
            if path and is_older and path != workspace.path and not os.path.lexists(path):
                return Moved(box, path)
    return None


def _written(layout: Layout, box: str) -> int:
    try:
        return os.stat(layout.ssh_block(box)).st_mtime_ns
    except OSError:
        return 0
