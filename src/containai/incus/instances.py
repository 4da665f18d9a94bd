"""Instances of a project: what there is, and what becomes of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from containai.incus.client import OPERATION_TIMEOUT, Incus
from containai.incus.errors import GarbageError, IncusError, NotFoundError, OperationError
from containai.incus.message import quoted

if TYPE_CHECKING:
    from containai.work.ui import Progress

#: How long what holds an instance is waited for, in seconds, and how long between two looks.
_BUSY = 30.0
_PAUSE = 0.5
#: Of an instance that runs, and whose systemd has said so through /dev/incus.
RUNNING = ("Running", "Ready")


class Instance(NamedTuple):
    """An instance. Where its member is away, there is a name, a status of Error and a location.

    `location` is the member, or "none" outside of a cluster; `config` and `devices` are its own,
    `expanded_config` and `expanded_devices` with those of its profiles.
    """

    name: str
    status: str
    location: str
    architecture: str
    description: str
    created_at: str
    profiles: tuple[str, ...]
    config: dict[str, str]
    devices: dict[str, dict[str, str]]
    expanded_config: dict[str, str]
    expanded_devices: dict[str, dict[str, str]]
    etag: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it runs, as far as its member is there to say so."""
        return self.status in RUNNING


class State(NamedTuple):
    """What an instance uses now: bytes, nanoseconds of processor; 0 where that is not known.

    `address` is its IPv4 address on eth0, or "".
    """

    status: str
    processes: int
    cpu: int
    memory: int
    memory_total: int
    disk: int
    disk_total: int
    address: str
    started_at: str


def listed(incus: Incus, *, filter_by: str = "", timeout: float = 60.0) -> list[Instance]:
    """Return the instances of the project.

    `filter_by` is as in Incus (`status eq running`): its values are regular expressions, and what
    is on a member that is away does not fit any.
    """
    query: dict[str, str | int] = {"recursion": 1}
    if filter_by:
        query["filter"] = filter_by
    return [_parsed(each) for each in incus.get("/instances", query, timeout=timeout) or ()]


def find(incus: Incus, name: str) -> Instance | None:
    """Return an instance, or None."""
    try:
        seen = incus.read(_path(name))
    except NotFoundError:
        return None
    return _parsed(seen.value)._replace(etag=seen.etag)


def state(incus: Incus, name: str) -> State:
    """Return what an instance uses now. Raises NotFoundError."""
    said = _object(incus.get(f"{_path(name)}/state"))
    cpu, memory = _part(said, "cpu"), _part(said, "memory")
    disk = _part(_part(said, "disk"), "root")
    # What is in it, its own Docker for one, has addresses as well.
    addresses = _part(_part(said, "network"), "eth0").get("addresses") or []
    own = [
        each.get("address", "")
        for each in addresses
        if each.get("family") == "inet" and each.get("scope") == "global"
    ]
    return State(
        str(said.get("status", "")),
        _number(said.get("processes")),
        _number(cpu.get("usage")),
        _number(memory.get("usage")),
        _number(memory.get("total")),
        _number(disk.get("usage")),
        _number(disk.get("total")),
        own[0] if own else "",
        str(said.get("started_at", "")),
    )


class Wanted(NamedTuple):
    """An instance to be made; `target` is a member, or "" for the server to choose."""

    name: str
    source: Mapping[str, Any]
    config: Mapping[str, str]
    devices: Mapping[str, Mapping[str, str]] = {}
    profiles: Sequence[str] = ("default",)
    description: str = ""
    architecture: str = ""
    target: str = ""


def of_image(fingerprint: str) -> dict[str, str]:
    """Return the source of an instance that is made from an image, by its whole fingerprint."""
    return {"type": "image", "fingerprint": fingerprint}


def create(
    incus: Incus,
    wanted: Wanted,
    *,
    timeout: float = OPERATION_TIMEOUT,
    progress: Progress | None = None,
) -> None:
    """Make an instance, which is not started.

    Raises IncusError: `is_taken` says whether it is for a name that there is.
    """
    body: dict[str, Any] = {
        "name": wanted.name,
        "type": "container",
        "source": dict(wanted.source),
        # Without them the image's would count.
        "profiles": list(wanted.profiles),
        "config": dict(wanted.config),
        "devices": {name: dict(each) for name, each in wanted.devices.items()},
        "description": wanted.description,
        "ephemeral": False,
        "start": False,
    }
    if wanted.architecture:
        body["architecture"] = wanted.architecture
    query = {"target": wanted.target} if wanted.target else None
    incus.do("POST", "/instances", body, query, timeout=timeout, progress=progress)


def is_taken(failed: IncusError) -> bool:
    """Whether something failed because there is one of that name: versions say it differently."""
    return "already exists" in failed.text or "already in use" in failed.text or failed.code == 409


def start(incus: Incus, name: str, *, timeout: float = OPERATION_TIMEOUT) -> None:
    """Start an instance; one that runs is right."""
    _change(incus, name, "start", {"timeout": -1}, timeout, "already running")


def stop(incus: Incus, name: str, *, patience: int, force: bool = True) -> None:
    """Stop an instance, which has so many seconds to end; then it is killed, if `force`.

    One that is stopped is right. Raises OperationError where it has not ended, without `force`.
    """
    if patience > 0:
        # 0 would kill at once.
        told = {"timeout": patience, "force": False}
        try:
            return _change(incus, name, "stop", told, patience + 60.0, "already stopped")
        except OperationError:
            if not force:
                raise
    return _change(incus, name, "stop", {"timeout": -1, "force": True}, 120.0, "already stopped")


def restart(incus: Incus, name: str, *, patience: int) -> None:
    """Stop and start an instance: what it has to end in is in seconds."""
    stop(incus, name, patience=patience)
    start(incus, name)


def patch(
    incus: Incus,
    found: Instance,
    *,
    config: Mapping[str, str] | None = None,
    devices: Mapping[str, Mapping[str, str]] | None = None,
    description: str | None = None,
    etag: str = "",
) -> None:
    """Change some settings of an instance: "" takes one away, {"type": "none"} a device.

    With its `etag`, only as it was seen: raises ChangedError.
    """
    # Without a description, 6.0.4 wipes it.
    body: dict[str, Any] = {
        "description": found.description if description is None else description
    }
    if config is not None:
        body["config"] = dict(config)
    if devices is not None:
        body["devices"] = {name: dict(each) for name, each in devices.items()}
    incus.send("PATCH", _path(found.name), body, etag=etag)


def rename(incus: Incus, name: str, new: str) -> None:
    """Give a stopped instance another name. Raises ConflictError where that is taken."""
    incus.do("POST", _path(name), {"name": new})


def delete(incus: Incus, name: str, *, timeout: float = OPERATION_TIMEOUT) -> bool:
    """Remove a stopped instance and its snapshots; return whether there was one."""
    try:
        incus.do("DELETE", _path(name), timeout=timeout)
    except NotFoundError:
        return False
    return True


def move(
    incus: Incus,
    name: str,
    member: str,
    *,
    timeout: float = 3600.0,
    progress: Progress | None = None,
) -> None:
    """Move a stopped instance to another member of the cluster, with all that it has."""
    # Without `migration` it is a renaming.
    body = {"name": name, "migration": True, "live": False}
    incus.do("POST", _path(name), body, {"target": member}, timeout=timeout, progress=progress)


def console_log(incus: Incus, name: str, *, limit: int = 1 << 20) -> str:
    """Return what an instance wrote to its console, or ""."""
    answer = incus.raw("GET", incus.target(f"{_path(name)}/console"), limit=limit)
    return answer.body.decode("utf-8", "replace")


def _change(
    incus: Incus, name: str, action: str, told: Mapping[str, Any], timeout: float, fine: str
) -> None:
    """Change an instance's state; `fine` is what the server says where it is so already."""
    end = time.monotonic() + _BUSY
    body = {"action": action, **told}
    while True:
        try:
            incus.do("PUT", f"{_path(name)}/state", body, timeout=timeout)
        except IncusError as failed:
            if fine in failed.text:
                return
            # Another operation holds it (internal/server/instance/operationlock).
            if "is busy running" not in failed.text or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _path(name: str) -> str:
    return f"/instances/{quoted(name)}"


def _parsed(given: Any) -> Instance:
    said = _object(given)
    return Instance(
        name=str(said.get("name") or ""),
        status=str(said.get("status") or ""),
        location=str(said.get("location") or ""),
        architecture=str(said.get("architecture") or ""),
        description=str(said.get("description") or ""),
        created_at=str(said.get("created_at") or ""),
        profiles=tuple(map(str, said.get("profiles") or ())),
        config=_part(said, "config"),
        devices=_part(said, "devices"),
        expanded_config=_part(said, "expanded_config"),
        expanded_devices=_part(said, "expanded_devices"),
    )


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise GarbageError("the server's answer is not as Incus has it")
    return given


def _part(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = said.get(key)
    return part if isinstance(part, dict) else {}


def _number(given: Any) -> int:
    return given if isinstance(given, int) else 0
