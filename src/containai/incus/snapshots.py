"""Snapshots of an instance, and copies of one: a fork."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from containai.incus.client import Incus
from containai.incus.errors import NotFoundError
from containai.incus.instances import Instance, Wanted, create
from containai.incus.message import quoted

if TYPE_CHECKING:
    from containai.work.ui import Progress

#: How long one may take that has to be copied whole (a pool of directories), in seconds.
_TIMEOUT = 3600.0
#: The drivers of pools on which an instance can be refreshed from its own snapshot.
REFRESHED = ("btrfs", "dir")


class Snapshot(NamedTuple):
    """A snapshot; `size` is in bytes, -1 where that is not known."""

    name: str
    created_at: str
    size: int
    config: dict[str, str]
    devices: dict[str, dict[str, str]]
    profiles: tuple[str, ...]


def listed(incus: Incus, instance: str) -> list[Snapshot]:
    """Return the snapshots of an instance, oldest first. Raises NotFoundError."""
    found = incus.get(_path(instance), {"recursion": 1}) or ()
    return sorted((_parsed(each) for each in found), key=lambda each: each.created_at)


def take(incus: Incus, instance: str, name: str, *, progress: Progress | None = None) -> None:
    """Take a snapshot, of one that runs as well: as if it had lost its power."""
    body = {"name": name, "stateful": False, "expires_at": None}
    incus.do("POST", _path(instance), body, timeout=_TIMEOUT, progress=progress)


def restore(
    incus: Incus,
    instance: str,
    name: str,
    *,
    only_disk: bool = False,
    progress: Progress | None = None,
) -> None:
    """Have an instance as it was, its settings too; one that runs is killed, and started again.

    `only_disk` leaves settings as they are: servers of 6.0.6 and later can
    (`instance_snapshot_disk_only_restore`).
    """
    body: dict[str, Any] = {"restore": name}
    if only_disk:
        body["disk_only"] = True
    path = f"/instances/{quoted(instance)}"
    incus.do("PUT", path, body, timeout=_TIMEOUT, progress=progress)


def refresh(
    incus: Incus, found: Instance, name: str, *, target: str = "", progress: Progress | None = None
) -> None:
    """Have the disk of a stopped instance as at a snapshot, by a copy of it over what there is.

    For a server that restores none in a restricted project: it takes the keys that a snapshot has
    of its own (volatile.idmap.next) for a change (checkRestrictionsOnVolatileConfig). All is
    compared and copied by rsync, so only on pools of `REFRESHED`: on one of zfs, the snapshots
    would be destroyed first (RefreshVolume in internal/server/storage/drivers).
    """
    how = {
        "type": "copy",
        "source": f"{found.name}/{name}",
        "project": incus.project,
        "instance_only": True,
        "live": False,
        "refresh": True,
        "allow_inconsistent": False,
    }
    own = {key: each for key, each in found.config.items() if not key.startswith("volatile.")}
    wanted = Wanted(
        found.name, how, own, found.devices, found.profiles, found.description,
        found.architecture, target,
    )  # fmt: skip
    create(incus, wanted, timeout=_TIMEOUT, progress=progress)


def delete(incus: Incus, instance: str, name: str) -> bool:
    """Remove a snapshot; return whether there was one."""
    try:
        incus.do("DELETE", _path(instance, name), timeout=_TIMEOUT)
    except NotFoundError:
        return False
    return True


def rename(incus: Incus, instance: str, name: str, new: str) -> None:
    """Give a snapshot another name."""
    incus.do("POST", _path(instance, name), {"name": new})


def copy(
    source: Instance,
    name: str,
    *,
    project: str,
    snapshot: Snapshot | None = None,
    config: Mapping[str, str] | None = None,
    devices: Mapping[str, Mapping[str, str]] | None = None,
    target: str = "",
) -> Wanted:
    """Return an instance that is to be made as a copy of another, or of a snapshot of it.

    `config` and `devices` are laid over those of the source. Everything is said: a copy to another
    member takes nothing over by itself (cmd/incusd/instances_post.go). Nothing is taken of volatile
    keys but the image: ids and addresses are to be its own.
    """
    of = snapshot or source
    own = {key: each for key, each in of.config.items() if not key.startswith("volatile.")}
    image = of.config.get("volatile.base_image", "")
    if image:
        own["volatile.base_image"] = image
    named = f"{source.name}/{snapshot.name}" if snapshot else source.name
    how = {
        "type": "copy",
        "source": named,
        "project": project,
        "instance_only": True,
        "live": False,
        "allow_inconsistent": False,
    }
    if image:
        how["base-image"] = image
    return Wanted(
        name,
        how,
        own | dict(config or {}),
        dict(of.devices) | dict(devices or {}),
        of.profiles,
        source.description,
        source.architecture,
        target,
    )


def _path(instance: str, name: str = "") -> str:
    path = f"/instances/{quoted(instance)}/snapshots"
    return f"{path}/{quoted(name)}" if name else path


def _parsed(said: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        str(said.get("name", "")).rpartition("/")[2],
        str(said.get("created_at", "")),
        said.get("size", -1),
        dict(said.get("config") or {}),
        dict(said.get("devices") or {}),
        tuple(said.get("profiles") or ()),
    )
