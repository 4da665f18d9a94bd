"""How Incus copies a box, and puts one back to a snapshot: what of its keys goes along."""

from containai import __version__
from containai.away import telling
from containai.away.place import Twin
from containai.errors import NotThereError
from containai.incus import instances, server, snapshots
from containai.incus.client import Incus
from containai.incus.errors import IncusError, NotFoundError
from containai.incus.instances import Instance
from containai.work.ui import Progress

#: How the keys of an instance begin that are ours, and those that are the server's.
KEY, _SERVERS = "user.containai.", "volatile."
#: Where an instance is that is on no member of a cluster.
NOWHERE = ("none", "")


def copy(incus: Incus, source: Instance, twin: Twin, progress: Progress) -> None:
    """Make an instance as another was at a snapshot, on the same node where that may be said."""
    taken = {each.name: each for each in snapshots.listed(incus, source.name)}
    if twin.snapshot not in taken:
        raise NotFoundError(f"{source.name} has no snapshot {twin.snapshot}", code=404)
    wanted = snapshots.copy(
        source,
        twin.instance,
        project=incus.project,
        snapshot=taken[twin.snapshot],
        config={
            KEY + "version": __version__,
            KEY + "box": twin.name,
            KEY + "host-key": twin.host_key,
            KEY + "fork-of": twin.origin,
            KEY + "whole": "false",
        },
        # What a port of the node leads to is one box.
        devices={
            name: {"type": "none"}
            for name, each in taken[twin.snapshot].devices.items()
            if each.get("type") == "proxy"
        },
        target=source.location if _may_choose(incus, source) else "",
    )._replace(description=f"ContainAI box {twin.name}")
    instances.create(incus, wanted, timeout=3600.0, progress=progress)


def restore(place: str, incus: Incus, found: Instance, snapshot: str, progress: Progress) -> None:
    """Have the disk of an instance as it was. What was set since then stays, its limits too."""
    try:
        snapshots.restore(incus, found.name, snapshot, progress=progress)
    except IncusError as failed:
        if not telling.is_of_own_keys(failed.text):
            raise
        _refresh(place, incus, found, snapshot, progress)
        return
    after = instances.find(incus, found.name) or found
    keys = {key for key in {*found.config, *after.config} if not key.startswith(_SERVERS)}
    other = {
        key: found.config.get(key, "")
        for key in keys
        if found.config.get(key, "") != after.config.get(key, "")
    }
    if other:
        instances.patch(incus, after, config=other, description=found.description)


def _refresh(place: str, incus: Incus, found: Instance, snapshot: str, progress: Progress) -> None:
    """Do the same where the server does not. Until all of it is done, the box says so."""
    root = next((each for each in found.expanded_devices.values() if each.get("path") == "/"), {})
    driver = server.driver(incus, root.get("pool", ""))
    if driver not in snapshots.REFRESHED:
        raise NotThereError(
            f"{place} cannot put a box on {driver} back: its server refuses that in a restricted "
            "project",
            hint="make a box of it: cai fork BOX --snapshot NAME",
        )
    is_one_of_many = found.location not in NOWHERE
    if is_one_of_many and not _may_choose(incus, found):
        raise telling.not_allowed(place, incus.project, *telling.CHOICE)
    if found.status != "Stopped":
        instances.stop(incus, found.name, patience=0)
    instances.patch(incus, found, config={KEY + "restoring": snapshot})
    target = found.location if is_one_of_many else ""
    snapshots.refresh(incus, found, snapshot, target=target, progress=progress)
    instances.patch(incus, found, config={KEY + "restoring": ""})
    if found.is_running:
        instances.start(incus, found.name)


def _may_choose(incus: Incus, found: Instance) -> bool:
    """Whether an instance is on one of many nodes, and it may be said which."""
    if found.location in NOWHERE:
        return False
    project = server.project(incus, incus.project)
    config = project.config if project is not None else {}
    return config.get("restricted") != "true" or config.get(telling.CHOICE[1]) == "allow"
