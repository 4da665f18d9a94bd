"""What containers got that ran already: the runtime has recorded it (runtime/attached.py)."""

import os
from typing import Any, NamedTuple

from containai.engine.container import Container, Mount
from containai.host import files
from containai.layout import LABEL_SPARE, LABEL_START, Layout


class Got(NamedTuple):
    """What `cai mount add` added; and what made a spare box a workspace's, with its name.

    `start` is where sessions start in that, if the record says it.
    """

    added: tuple[Mount, ...] = ()
    claimed: tuple[Mount, ...] = ()
    hostname: str = ""
    start: str = ""


def got(layout: Layout, container: str) -> Got:
    """Return what a container got; nothing where its record is damaged."""
    text = files.read_roots(os.path.join(layout.attached, container), owners=layout.owners)
    try:
        said = files.from_json(text or "{}")
        fields = {"added": said} if isinstance(said, list) else dict(said)
        added, claimed = (_mounts(fields.get(name, [])) for name in ("added", "claimed"))
        hostname, start = (str(fields.get(name, "")) for name in ("hostname", "start"))
        return Got(added, claimed, hostname, start)
    except (ValueError, TypeError):
        return Got()


def _mounts(said: Any) -> tuple[Mount, ...]:
    return tuple(
        Mount("bind", str(source), str(target), readonly is True)
        for source, target, readonly in said
    )


def whole(layout: Layout, container: Container) -> Container:
    """Return a container with the mounts and labels that it would have been made with.

    So whose a box is, is asked in one way, whether it was a spare or not.
    """
    if container.label(LABEL_SPARE) is None:
        return container
    had = got(layout, container.id)
    labels = ((LABEL_START, had.start),) * bool(had.start)
    return container._replace(
        mounts=(*container.mounts, *had.claimed), labels=(*container.labels, *labels)
    )
