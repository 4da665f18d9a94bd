"""More of the host that its user gives boxes: looked at as a workspace is."""

import os
from collections.abc import Sequence

from containai.boxes import owner
from containai.boxes.places import Mount, taken_by
from containai.boxes.workspace import is_odd
from containai.config.places import Extra
from containai.errors import WorkspaceError
from containai.host.machine import Machine
from containai.layout import WORKSPACE_IN_BOX, is_below

_HOME_IN_BOX = os.path.dirname(WORKSPACE_IN_BOX)
_HINT = "correct it in config.toml: cai config get mount shows where"


def checked(
    host: Machine, extras: Sequence[Extra], workspace: str, hint: str = ""
) -> tuple[Mount, ...]:
    """Return the mounts of what a user gives boxes, real paths.

    Raises WorkspaceError, with a `hint` for who said it elsewhere than in config.toml.
    """
    try:
        mounts = [_checked(host, extra, workspace) for extra in extras]
    except WorkspaceError as wrong:
        raise WorkspaceError(str(wrong), hint=hint or wrong.hint) from None
    # One that lies in another comes after it.
    return tuple(sorted(mounts, key=lambda mount: mount.target.count("/")))


def _checked(host: Machine, extra: Extra, workspace: str) -> Mount:
    layout = host.layout
    said = extra.source
    if said.startswith("~/"):
        said = os.path.join(layout.home, said[2:])
    source, shown = os.path.realpath(said), f"mount {extra.source!r}"
    if is_odd(source):
        raise WorkspaceError(f"{shown}: a control character or no UTF-8 is in it", hint=_HINT)
    if not os.path.exists(source):
        raise WorkspaceError(f"{shown} is not there", hint=f"make it, or {_HINT}")
    if not (os.path.isdir(source) or os.path.isfile(source)):
        raise WorkspaceError(f"{shown} is no directory and no file", hint=_HINT)
    home = os.path.realpath(layout.home)
    if source in ("/", home) or home.startswith(source + "/"):
        raise WorkspaceError(f"{shown} holds your home directory", hint=_HINT)
    for own in (layout.config_dir, layout.state_dir, layout.ssh_blocks):
        if is_below(source, os.path.realpath(own)):
            raise WorkspaceError(f"{shown} is cai's own", hint=_HINT)
    try:
        owner.check(layout, source, owner.Caller.of(host))
    except WorkspaceError as refused:
        raise WorkspaceError(f"{shown}: {refused}", hint=_HINT) from None
    wrong = _wrong_target(extra.target, workspace)
    if wrong:
        raise WorkspaceError(f"{shown} cannot be {extra.target!r} in the box: {wrong}", hint=_HINT)
    return Mount(source, extra.target, extra.writable)


def _wrong_target(target: str, workspace: str) -> str:
    """Return why nothing can be mounted at a path of a box, or ""."""
    for own in (WORKSPACE_IN_BOX, workspace):
        if is_below(target, own) or is_below(own, target):
            return f"its workspace is at {own}"
    if os.path.dirname(target) == _HOME_IN_BOX:
        return ""
    taken = taken_by(target)
    if taken == _HOME_IN_BOX:
        return f"in {_HOME_IN_BOX}, it can be at the top only"
    return f"{taken} is the box's own" if taken else ""
