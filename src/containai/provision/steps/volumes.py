"""Data volumes: whose they are, by their labels and on disk; and parts of boxes that are gone."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from containai.boxes import lookup, volumes
from containai.boxes.box import Box
from containai.engine import daemon, runtimes, sysbox
from containai.engine.client import Engine
from containai.host.machine import Machine
from containai.layout import (
    AGENT_UID,
    KIND_DATA,
    LABEL_KIND,
    LABEL_MANAGED,
    LABEL_OWNER,
    LABEL_PART_OF,
)
from containai.machine_layout import BOX_IDS
from containai.provision.step import Area, Described, Fact, Scope
from containai.provision.steps.own import Only, engine_silent
from containai.work.actions import Action, Finding, Run


class Labels(Only, Fact):
    """Data volumes say whose they are, and that is somebody."""

    area = Area.VOLUMES
    title = "data volumes"
    holds = "the labels of each data volume say whose it is, and there is such a user"
    otherwise = "`cai docker volume rm VOLUME`, once nothing in it is wanted: labels cannot change"
    looks = "the engine is asked for volumes with our labels"
    means = "no box takes it, nothing lists it, and a workspace's own of that name cannot be made"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Look at all that has a label of ours, or is called as a workspace's own would be."""
        engine = Engine(host)
        ours = engine.volumes(f"label={LABEL_KIND}={KIND_DATA}")
        names = sorted({*ours, *(box.data for box in own if box.data)})
        every = {name: engine.inspect("volume", name) for name in names}
        there = {name: inspected for name, inspected in every.items() if inspected is not None}
        wrong = {name: why for name, inspected in there.items() if (why := _wrong(inspected))}
        left = {name: why for name, inspected in there.items() if (why := _left(host, inspected))}
        if not wrong and not left:
            return Finding(True, f"{len(there)} volumes")
        found = wrong | left
        seen = "; ".join(f"{name}: {why}" for name, why in found.items())
        # What a user who is gone has left is in nobody's way.
        return Finding(False, seen, optional=not wrong, hint=_hint(next(iter(found)), own))


def _wrong(inspected: Mapping[str, Any]) -> str:
    """Return why a volume is no data volume of ours, or nothing."""
    labels = inspected.get("Labels") or {}
    if volumes.parsed(inspected) is not None:
        return ""
    if inspected.get("Options"):
        return "it has options, and may be a directory of the host's"
    lacking = [each for each in (LABEL_MANAGED, LABEL_OWNER, LABEL_KIND) if each not in labels]
    return f"it lacks {', '.join(lacking)}" if lacking else "what its labels say is nothing"


def _left(host: Machine, inspected: Mapping[str, Any]) -> str:
    """Return whose a volume is, where there is no such user; nothing for all others."""
    volume = volumes.parsed(inspected)
    is_left = volume is not None and not host.has_user(volume.owner)
    return f"it is user {volume.owner}'s, whom there is not" if is_left and volume else ""


def _hint(name: str, own: Sequence[Box]) -> str:
    users = [box.name for box in own if box.data == name]
    if users:
        return f"have the box make another: cai run --fresh --name {users[0]} --data-volume NEW"
    return f"look into it; what is not wanted goes: cai docker volume rm {name}"


class Owned(NamedTuple):
    """A data volume whose directory is not the agent's, and where that is."""

    name: str
    path: str
    owner: str


class Ownership(Only, Described):
    """On disk, data volumes are the agent's."""

    area = Area.VOLUMES
    title = "owner of data"
    holds = "the directory of each data volume that a box of yours has is the agent's"
    otherwise = "it is given to the agent, with all in it that is nobody's in a box"
    looks = "its owner on disk, as root where nobody else may look"
    means = "the agent cannot write there: logins, settings and history are lost with the session"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[list[Owned]]:
        """Look at the directories: our runtimes keep ids on disk as they are in boxes.

        A box that an earlier version started on Sysbox has Sysbox's own until it is started again.
        """
        engine = Engine(host)
        right = {f"{AGENT_UID}"}
        if runtimes.sysbox_program(host.layout) is not None:
            right.add(f"{sysbox.first_ids()[0] + AGENT_UID}")
        names = sorted({box.data for box in own if box.data})
        where = {n: v for n in names if (v := _mountpoint(host, engine.inspect("volume", n)))}
        owners = _owners(host, list(where.values()))
        wrong = [
            Owned(name, path, owners[path])
            for name, path in where.items()
            if owners.get(path, f"{AGENT_UID}") not in right
        ]
        if not wrong:
            return Finding(True, f"{len(where)} volumes")
        seen = "; ".join(f"{each.name} is user {each.owner}'s on disk" for each in wrong)
        return Finding(False, seen, data=wrong)

    def plan(self, host: Machine, finding: Finding[list[Owned]]) -> list[Action]:
        """Give it to the agent. What root of a box has in it stays root's.

        Agents write there: what is found is changed from the directory it was found in (find(1),
        -execdir), and no link is followed.
        """
        who = f"{AGENT_UID}:{AGENT_UID}"
        # Others are nobody's in a box.
        strange = ["(", "-uid", f"+{BOX_IDS - 1}", "-o", "-gid", f"+{BOX_IDS - 1}", ")"]
        change = ["-execdir", "chown", "--no-dereference", who, "{}", "+"]
        return [
            action
            for each in finding.data or ()
            for action in (
                Run(["chown", "--no-dereference", who, each.path]),
                Run(["find", each.path, "-xdev", *strange, *change]),
            )
        ]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Volumes go with the engine's data."""
        return []


def _mountpoint(host: Machine, inspected: Mapping[str, Any] | None) -> str:
    """Return the directory of a volume, below the engine's data."""
    path = str((inspected or {}).get("Mountpoint") or "")
    below = os.path.join(host.layout.engine_data, "volumes", "")
    return path if path.startswith(below) and path == os.path.normpath(path) else ""


def _owners(host: Machine, paths: list[str]) -> dict[str, str]:
    """Return the ids of the users that own directories; root is asked where they are closed."""
    if not paths:
        return {}
    try:
        return {path: str(os.lstat(path).st_uid) for path in paths}
    except FileNotFoundError:
        paths = [path for path in paths if os.path.lexists(path)]
    except PermissionError:
        pass
    said = host.run(["stat", "--format", "%u %n", "--", *paths], ok=None, root=True).out
    rows = (line.partition(" ")[::2] for line in said.splitlines())
    return {path: uid for uid, path in rows}


class Parts(Fact):
    """No volume is a part of a box that is gone."""

    area = Area.VOLUMES
    title = "parts of boxes"
    holds = "each volume that is a part of a box of yours has that box"
    otherwise = "`cai prune` removes it"
    looks = "the engine is asked for volumes that no container has"
    means = "it takes space, and nothing uses it"

    def check(self, host: Machine) -> Finding[None]:
        """Ask for those that dangle."""
        if not daemon.reachable(host):
            return engine_silent()
        engine = Engine(host)
        left = list(_parts(engine))
        if not left:
            return Finding(True, "none is left")
        seen = f"{len(left)} of boxes that are gone: {', '.join(sorted(set(left)))}"
        return Finding(False, seen, optional=True, hint="remove them: cai prune")


def _parts(engine: Engine) -> Iterator[str]:
    """Yield the names of the boxes that are gone, one for each volume."""
    there = {box.name for box in lookup.own(engine)}
    for name in engine.volumes(f"label={LABEL_PART_OF}", "dangling=true"):
        labels = (engine.inspect("volume", name) or {}).get("Labels") or {}
        owner, _, box = str(labels.get(LABEL_PART_OF, "")).partition(":")
        if owner == str(engine.layout.uid) and box not in there:
            yield box
