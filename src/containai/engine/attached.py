"""What containers got that ran already: the runtime has recorded it (runtime/attached.py)."""

import os
from typing import Any, NamedTuple

from containai.engine.container import Container, Mount
from containai.host import files
from containai.layout import LABEL_SPARE, Layout


class Got(NamedTuple):
    """What `cai mount add` added; and what made a spare box a workspace's, with its name."""

    added: tuple[Mount, ...] = ()
    claimed: tuple[Mount, ...] = ()
    hostname: str = ""


def got(layout: Layout, container: str) -> Got:
    """Return what a container got; nothing where its record is damaged."""
    text = files.read_roots(os.path.join(layout.attached, container), owners=layout.owners)
    try:
        said = files.from_json(text or "{}")
        fields = {"added": said} if isinstance(said, list) else dict(said)
        added, claimed = (_mounts(fields.get(name, [])) for name in ("added", "claimed"))
        return Got(added, claimed, str(fields.get("hostname", "")))
    except (ValueError, TypeError):
        return Got()


def _mounts(said: Any) -> tuple[Mount, ...]:
    return tuple(
        Mount("bind", str(source), str(target), readonly is True)
        for source, target, readonly in said
    )


def whole(layout: Layout, container: Container) -> Container:
    """Return a container with the mounts that it would have been made with."""
    if container.label(LABEL_SPARE) is None:
        return container
    mounts = got(layout, container.id).claimed
    return container._replace(mounts=(*container.mounts, *mounts))
