"""Bind mounts of a box that lie in one another.

runc would make the inner ones in the box's own mount namespace, whose owner is the box: its root
could take them off, and have what is below. Here they are made in the stage, so that the kernel
locks them to what they lie in (mount_namespaces(7), "Restrictions on mount namespaces").
"""

import os
from collections.abc import Callable
from typing import Any

from . import spec, syscalls
from .errors import RuntimeRefusal
from .staging import is_below

Json = dict[str, Any]
#: A bind mount that is staged → where.
Place = Callable[[Json], str]


def outer(mount: Json, binds: list[Json]) -> Json | None:
    """Return the innermost other bind that a bind lies in, or None."""
    where = mount.get("destination", "")
    around = [
        other
        for other in binds
        if other is not mount and is_below(where, other["destination"]) and other["destination"]
    ]
    return max(around, key=lambda other: len(other["destination"]), default=None)


def is_gone(mount: Json, around: Json) -> bool:
    """Whether a bind shows a part of what it lies in, at its place there, that is no more.

    What was to be held as it is has nothing to hold then.
    """
    part = os.path.relpath(mount["destination"], around["destination"])
    source = os.path.join(around.get("source") or "", part)
    return source == mount.get("source") and not os.path.lexists(source)


def staged(mounts: list[Json], place: Place) -> list[Json]:
    """Return a box's mounts with each bind staged, those in others within them.

    `mounts` are in the engine's order: what lies in another comes after it. Raises RuntimeRefusal
    as `place`, and where an inner one finds nothing, or a link, to be mounted on.
    """
    binds = [mount for mount in mounts if spec.is_bind(mount)]
    places: dict[str, str] = {}
    kept: list[Json] = []
    for mount in mounts:
        if not spec.is_bind(mount):
            kept.append(mount)
            continue
        around = outer(mount, binds)
        if around is None:
            source = places[mount["destination"]] = place(mount)
            kept.append(mount | {"source": source})
        elif not is_gone(mount, around):
            source = place(mount)
            part = os.path.relpath(mount["destination"], around["destination"])
            at = places[around["destination"]]
            places[mount["destination"]] = os.path.join(at, part)
            _move(source, at, part, mount["destination"])
    holding = {around["destination"] for mount in binds if (around := outer(mount, binds))}
    return [_whole(mount) if mount.get("destination") in holding else mount for mount in kept]


def _move(source: str, around: str, part: str, shown: str) -> None:
    """Move a staged mount to its place in another, which no link leads to."""
    try:
        within = os.open(around, os.O_PATH | os.O_CLOEXEC)
        try:
            target = syscalls.open_beneath(within, part, links=False)
        finally:
            os.close(within)
        try:
            syscalls.move(source, target)
        finally:
            os.close(target)
    except OSError as wrong:
        raise RuntimeRefusal(
            f"bind target {shown}: cannot be mounted on [{os.strerror(wrong.errno or 0)}]"
        ) from None


def _whole(mount: Json) -> Json:
    """Return a bind that takes along what was staged in it, each as it was staged.

    `rro` would have all of it read-only.
    """
    if not spec.is_bind(mount):
        return mount
    dropped = ("bind", "rbind", "rro")
    options = [option for option in mount.get("options") or [] if option not in dropped]
    return mount | {"options": ["rbind", *options]}
