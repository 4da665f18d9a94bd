"""The workspaces of boxes: where they are, and what in them their owners cannot remove."""

import os
import shlex
from collections.abc import Sequence

from containai.boxes import stuck
from containai.boxes.box import Box
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision.step import Area, Fact
from containai.provision.steps.own import Only
from containai.ssh import session
from containai.work.actions import Finding

#: How long a workspace is looked through, in seconds.
LOOK = 1.0
#: How many entries of a directory are looked at for one that was moved.
_ENTRIES = 10000


class Workspaces(Only, Fact):
    """Each box's workspace is where it was when the box was made, and the same directory."""

    area = Area.BOXES
    title = "workspaces"
    holds = "the workspace of each of your boxes is where it was when the box was made"
    otherwise = (
        "move it back, or make a box with the same data where it is now: `cai rm --name NAME`, "
        "`cai run --data-volume VOLUME`"
    )
    looks = "each path; of one that is gone, its directory for one with the same inode"
    means = "the box cannot be entered: it would show nothing, or what is gone"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Look at each path. One that this user may not look at is no less fine."""
        gone = [box for box in own if not _is_there(box.workspace)]
        if not gone:
            return Finding(True, f"of {len(own)} boxes" if own else "no box")
        now = {box: _moved_to(host.layout, box) for box in gone}
        seen = "; ".join(
            f"{box.name}: {box.workspace!r} is {f'{now[box]!r} now' if now[box] else 'gone'}"
            for box in gone
        )
        return Finding(False, seen, hint=_hint(gone[0], now[gone[0]]))


def _is_there(path: str) -> bool:
    try:
        return os.path.isdir(path) or not os.path.isabs(path)
    except ValueError:
        return True


def _hint(box: Box, now: str) -> str:
    data = f" --data-volume {box.data}" if box.data else ""
    if now:
        back = f"move it back: mv {shlex.quote(now)} {shlex.quote(box.workspace)}"
        anew = f"cai rm --name {box.name}; cai run{data} {shlex.quote(now)}"
        return f"{back}; or have a new box there: {anew}"
    return f"if it is elsewhere, move it back; else remove the box: cai rm --name {box.name}"


def _moved_to(layout: Layout, box: Box) -> str:
    """Return what a workspace is called now, where that is beside where it was; else nothing."""
    above = os.path.dirname(box.workspace)
    try:
        with os.scandir(above) as found:
            for _, entry in zip(range(_ENTRIES), found, strict=False):
                if not entry.is_dir(follow_symlinks=False):
                    continue
                inode = f"{os.stat(above).st_dev}:{entry.inode()}"
                if session.block_matches(layout, box.name, box.workspace, inode):
                    return entry.path
    except (OSError, ValueError):
        pass
    return ""


class Unremovable(Only, Fact):
    """What others of boxes made in workspaces, and their owners cannot remove."""

    area = Area.BOXES
    title = "files in workspaces"
    slow = True
    holds = "no directory in a workspace is such that its owner cannot remove it"
    otherwise = "`cai reclaim` hands it to its owner, once the box is stopped"
    looks = f"each workspace is looked through, for {LOOK:g} s"
    means = "what root or a service of the box made stays when its owner wants to be rid of it"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Look for the first in each."""
        found = [
            (box, path)
            for box in own
            if _is_there(box.workspace) and (path := stuck.first(host.layout, box.workspace, LOOK))
        ]
        if not found:
            return Finding(True, "nothing was seen")
        seen = "; ".join(f"{box.name}: {path!r}" for box, path in found)
        box = found[0][0]
        hint = f"stop the box: cai stop --name {box.name}; then: cai reclaim "
        hint += shlex.quote(box.workspace)
        return Finding(False, seen, optional=True, hint=hint)
