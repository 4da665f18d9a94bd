"""What `cai mount add` has boxes show."""

import shlex
from collections.abc import Sequence

from containai.boxes import mounting
from containai.boxes.box import Box
from containai.host.machine import Machine
from containai.provision.step import Area, Fact
from containai.provision.steps.own import Only
from containai.work.actions import Finding


class Mounts(Only, Fact):
    """This machine still has what was added to boxes."""

    area = Area.BOXES
    title = "mounts of boxes"
    holds = "what `cai mount add` has your boxes show is still there on this machine"
    otherwise = "put it back, or forget it: `cai mount rm NAME PLACE`"
    looks = "the list of each box, which only root writes, and each path in it"
    means = "the box starts without it"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Look at each path. One that this user may not look at is no less there."""
        added = [(box, each) for box in own for each in mounting.added(host.layout, box.container)]
        gone = [(box, each) for box, each in added if not mounting.is_there(each.source)]
        if not gone:
            return Finding(True, f"{len(added)} of {len(own)} boxes" if added else "none was added")
        seen = "; ".join(f"{box.name}: {each.source!r} is gone" for box, each in gone)
        box, first = gone[0]
        forget = f"cai mount rm {box.name} {shlex.quote(first.target)}"
        return Finding(False, seen, optional=True, hint=f"put it back, or forget it: {forget}")
