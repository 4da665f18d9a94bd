"""What containers got that ran already: the runtime has recorded it (runtime/attached.py)."""

import os
import re
from typing import Any, NamedTuple

from containai.engine.container import Container, Mount
from containai.host import files
from containai.layout import DATA_IN_BOX, LABEL_SPARE, LABEL_START, Layout

#: Where a mount stands that something was claimed in the place of: Docker has it as before.
NOWHERE = ""


class Got(NamedTuple):
    """What `cai mount add` added; and what made a spare box a workspace's, with its name.

    `start` is where sessions start in that, if the record says it.
    """

    added: tuple[Mount, ...] = ()
    claimed: tuple[Mount, ...] = ()
    hostname: str = ""
    start: str = ""

    @property
    def volume(self) -> str:
        """The data volume that came in the place of a spare's own, "" where none did."""
        return next((mount.source for mount in self.claimed if mount.kind == "volume"), "")


def got(layout: Layout, container: str) -> Got:
    """Return what a container got; nothing where its record is damaged."""
    text = files.read_roots(os.path.join(layout.attached, container), owners=layout.owners)
    try:
        said = files.from_json(text or "{}")
        fields = {"added": said} if isinstance(said, list) else dict(said)
        added, claimed = (_mounts(layout, fields.get(name, [])) for name in ("added", "claimed"))
        hostname, start = (str(fields.get(name, "")) for name in ("hostname", "start"))
        return Got(added, claimed, hostname, start)
    except (ValueError, TypeError):
        return Got()


def _mounts(layout: Layout, said: Any) -> tuple[Mount, ...]:
    found = (
        Mount("bind", str(source), str(target), readonly is True)
        for source, target, readonly in said
    )
    return tuple(_as_made(layout, each) for each in found)


def _as_made(layout: Layout, mount: Mount) -> Mount:
    """Return a mount as the engine would have it: a volume is claimed by where its files are."""
    above = re.escape(os.path.realpath(layout.engine_data))
    found = re.fullmatch(f"{above}/volumes/([^/]+)/_data", mount.source)
    is_data = found and mount.target == DATA_IN_BOX
    return Mount("volume", found[1], DATA_IN_BOX) if found and is_data else mount


def whole(layout: Layout, container: Container) -> Container:
    """Return a container with the mounts and labels that it would have been made with.

    So whose a box is, is asked in one way, whether it was a spare or not.
    """
    if container.label(LABEL_SPARE) is None:
        return container
    had = got(layout, container.id)
    labels = ((LABEL_START, had.start),) * bool(had.start)
    claimed = [mount.target for mount in had.claimed]
    own = (m._replace(target=NOWHERE) if m.target in claimed else m for m in container.mounts)
    return container._replace(mounts=(*own, *had.claimed), labels=(*container.labels, *labels))


def replaced(container: Container) -> str:
    """Return the volume that another was claimed in the place of, "" where none was."""
    mount = container.mount(NOWHERE)
    return mount.source if mount is not None and mount.kind == "volume" else ""
