"""A workspace and the name of its box, from a path. On the warm path: imports little."""

import os
from importlib import import_module
from typing import NamedTuple

from containai.errors import WorkspaceError
from containai.layout import Layout

_NAME_LENGTH = 24


class Workspace(NamedTuple):
    """A directory on the host: its real path, and where in it a session starts ("" is the top).

    `skip_mounts`: a box that is made for it shows nothing of what is mounted in it.
    """

    path: str
    directory: str = ""
    skip_mounts: bool = False

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
    digest = _sha256(f"{uid}:{path}".encode("utf-8", "surrogateescape"))
    return f"{slug}-{digest[:8]}"


def _sha256(data: bytes) -> str:
    # hashlib brings OpenSSL along, which takes longer to load than all else here. These two are
    # Python's own, of 3.12 and newer and of 3.11.
    for module in ("_sha2", "_sha256"):
        try:
            return str(import_module(module).sha256(data).hexdigest())
        except ImportError:
            continue
    import hashlib

    return hashlib.sha256(data).hexdigest()


def resolve(layout: Layout, given: str | None, *, force: bool = False) -> Workspace:
    """Return the workspace of a PATH, or of the current directory where none is given.

    Without a PATH, a directory below a workspace that has a box belongs to that workspace.
    Raises WorkspaceError for what cannot be one.
    """
    if given == "":
        raise WorkspaceError("PATH is empty", hint="give a directory, for example: cai run .")
    if given is not None and "\0" in given:
        raise WorkspaceError(f"{given!r} is no path", hint="give a directory")
    path = os.path.realpath(given or ".")
    shown = repr(given) if given is not None else "the current directory"
    if not os.path.exists(path):
        raise _not_there(shown, path)
    if not os.path.isdir(path):
        raise WorkspaceError(f"{shown} is not a directory", hint="give the directory it is in")
    _refuse_odd_names(path)
    if given is None:
        above = _above(layout, path)
        if above is not None:
            return above
    if not force and path in ("/", os.path.realpath(layout.home)):
        what = "the root of this machine" if path == "/" else "your home directory"
        raise WorkspaceError(
            f"{shown} is {what}: the agent could change everything in it",
            hint="give a project's directory, or --force if you mean it",
        )
    return Workspace(path)


def _not_there(shown: str, path: str) -> WorkspaceError:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        hint = f"make it: mkdir -p {path!r}; if it moved, give the new path (cai ls shows boxes)"
        return WorkspaceError(f"{shown} does not exist", hint=hint)
    except OSError as wrong:
        hint = f"look whose it is: namei -l {path!r}"
        return WorkspaceError(f"{shown} cannot be looked at: {wrong.strerror}", hint=hint)
    return WorkspaceError(f"{shown} did not exist a moment ago", hint="try again")


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
    top = path
    while top != "/":
        if os.path.exists(layout.ssh_block(box_name(top, layout.uid))):
            return Workspace(top, os.path.relpath(path, top) if top != path else "")
        top = os.path.dirname(top)
    return None
