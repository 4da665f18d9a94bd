"""What the kernel ended in a user's boxes for want of memory, told once.

The keeper of lxcfs notes it (runtime/oom.py): names are what a process calls itself, so are cgroups
below a box's.
"""

import contextlib
import json
import os
import re
import time
from typing import Any, NamedTuple

from containai.boxes import limits, lookup
from containai.boxes.box import Box
from containai.engine.client import Engine
from containai.errors import DamagedError, NoSpaceError
from containai.host import files
from containai.layout import Layout

#: How long doctor tells of something that was ended, in seconds.
RECENT = 86400.0
_CONTAINER = re.compile("[0-9a-f]{64}")


class Kill(NamedTuple):
    """A process of a box that was ended. `below` is the cgroup in it whose limit was reached."""

    box: str
    container: str
    time: float
    process: str
    below: str = ""
    limit: int = 0
    of_machine: bool = False

    def described(self) -> str:
        """Return what happened, as a sentence without an end."""
        at = time.strftime("%H:%M", time.localtime(self.time))
        said = f"the kernel ended {self.process!r} in the box {self.box} at {at}"
        if self.of_machine:
            return f"{said}: this machine had no memory left"
        size = f" of {limits.size(self.limit)}" if self.limit else ""
        return f"{said}: the limit{size} on the memory of {self._whose()} was reached"

    @property
    def hint(self) -> str:
        """What helps."""
        if self.of_machine:
            return "see: cai ls --load"
        if self.below:
            return "give that more memory, in the box"
        return f"give it more: {limits.giving_more(self.box, self.limit)}"

    def _whose(self) -> str:
        nested = _CONTAINER.findall(self.below)
        if nested:
            return f"its container {nested[-1][:12]}"
        return f"{self.below!r} in it" if self.below else "the box"


def of(layout: Layout, box: Box) -> list[Kill]:
    """Return what was ended in a box, of which there is a note, the latest last."""
    try:
        text = files.read(os.path.join(layout.kills, box.container)) or "[]"
        return [_parsed(box, row) for row in files.from_json(text)]
    except (DamagedError, ValueError, TypeError, LookupError, AttributeError):
        return []


def news(engine: Engine) -> list[Kill]:
    """Return what was ended in this user's boxes since that was asked last."""
    layout = engine.layout
    stamp = _changed(layout.kills)
    if not stamp or stamp == _changed(layout.kills_seen):
        return []
    try:
        said = files.from_json(files.read(layout.kills_seen) or "{}")
        seen = {str(name): float(when) for name, when in said.items()}
    except (DamagedError, ValueError, TypeError, AttributeError):
        seen = {}
    noted = [kill for box in lookup.own(engine) for kill in of(layout, box)]
    latest = {kill.container: kill.time for kill in noted}
    with contextlib.suppress(OSError, NoSpaceError):
        os.makedirs(layout.config_dir, mode=0o700, exist_ok=True)
        files.write(layout.kills_seen, json.dumps(latest), 0o600)
        os.utime(layout.kills_seen, ns=(stamp, stamp))
    return [kill for kill in noted if kill.time > seen.get(kill.container, 0)]


def _parsed(box: Box, row: Any) -> Kill:
    return Kill(
        box.name,
        box.container,
        float(row["time"]),
        str(row["process"]),
        str(row["below"]),
        int(row["limit"]),
        bool(row["of_machine"]),
    )


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
