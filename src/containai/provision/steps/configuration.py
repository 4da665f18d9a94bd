"""Where the user's files are to be written, and what workspaces say of their own."""

import os
import shlex
from collections.abc import Sequence

from containai import trust
from containai.boxes.box import Box
from containai.config.settings import Settings
from containai.errors import ContainAIError
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision.step import Area, Fact
from containai.provision.steps.own import Only
from containai.work.actions import Finding

#: How many files of workspaces are told of.
_SHOWN = 5


class Home(Fact):
    """The directories of the user's that cai writes in."""

    area = Area.CONFIGURATION
    title = "home"
    holds = "where settings, keys, host blocks and locks are, or will be, can be written"
    otherwise = "mount it writable, or give it to its user"
    looks = "each directory, or the nearest above it that is there; nothing is written"
    means = "boxes that run can be entered; none is started, made or removed"

    def check(self, host: Machine) -> Finding[None]:
        """Look at each. Of root's rights only a file system that is read-only takes any."""
        layout = host.layout
        wanted = [layout.config_dir, layout.state_dir, layout.ssh_blocks, layout.control_dir]
        there = {_nearest(path) for path in wanted}
        closed = sorted(path for path in there if not os.access(path, os.W_OK | os.X_OK))
        if not closed:
            return Finding(True, layout.home)
        seen = f"cannot be written: {', '.join(closed)}"
        return Finding(False, seen, hint=_opening(host, closed[0]))


def _nearest(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return os.path.realpath(path)


def _opening(host: Machine, path: str) -> str:
    """Return what has a directory be writable."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        point = host.mount_point(path)
        return f"it is mounted read-only: sudo mount -o remount,rw {shlex.quote(point)}"
    who = host.user_name(host.layout.uid)
    return f"it has to be yours: sudo chown {who} {shlex.quote(path)}; chmod u+rwx it"


class WorkspaceFiles(Only, Fact):
    """What workspaces with a box say in `.containai` of their own, and what of that counts."""

    area = Area.CONFIGURATION
    title = "workspace settings"
    holds = "what the `.containai/config.toml` of a workspace with a box says counts"
    otherwise = "`cai trust` shows it and has it count; `cai config list` says why it does not"
    looks = "each is read with care, as an agent can write it"
    means = "a setting of a workspace does not hold; one that is no TOML has `cai run` end"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Read each with the user's settings, and say what is ignored and why."""
        layout = host.layout
        found = [
            (workspace, said)
            for workspace in sorted({box.workspace for box in own})
            if (said := _ignored(layout, workspace))
        ]
        if not found:
            return Finding(True, "nothing is ignored")
        seen = "; ".join(f"{workspace!r}: {said}" for workspace, said in found[:_SHOWN])
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        place = shlex.quote(found[0][0])
        hint = f"read it, and have it count: cai trust {place}"
        return Finding(False, seen + more, optional=True, hint=hint)


def _ignored(layout: Layout, workspace: str) -> str:
    """Return what of a workspace's file does not count and why, or nothing."""
    try:
        own = trust.settings_of(layout, workspace)
        if own is None:
            return ""
        settings = Settings.load(layout.config_file, {}, workspace, own)
    except ContainAIError as wrong:
        return str(wrong)
    if not settings.workspace_config:
        return ""
    return ", ".join(f"{each.key} is ignored: {each.why}" for each in settings.ignored[:_SHOWN])
