"""Containers and images as the engine knows them. What an answer lacks or says oddly is empty."""

import re
from enum import StrEnum
from typing import NamedTuple

_CPUSET = re.compile("[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*")
#: The largest number that the engine has room for.
_MOST = (1 << 63) - 1


class State(StrEnum):
    """What a container is doing, in the engine's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = ""


class Mount(NamedTuple):
    """A mount that was asked for (`docker create --mount`); a nameless volume has no source."""

    kind: str
    source: str
    target: str
    read_only: bool = False


class Port(NamedTuple):
    """A port of a container, as "22/tcp", and the address and port of this machine it is at."""

    inside: str
    address: str
    number: int


class Container(NamedTuple):
    """A container, inspected. What its creator asked for is not to be had from an image's file.

    `labels` are: Docker adds those of the image to those of the container. `image` is as it was
    asked for, `image_id` what that was then. `running` is also of one that is paused. `pid` is its
    first process's, or 0. Limits are 0 where there is none: `memory` in bytes, `memory_and_swap`
    together, `cpus` in processors, `processes`, `disk` in bytes.
    """

    id: str
    name: str = ""
    image: str = ""
    created: str = ""
    runtime: str = ""
    state: State = State.UNKNOWN
    running: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    restart_count: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    memory: int = 0
    cpus: float = 0.0
    cpuset: str = ""
    processes: int = 0
    image_id: str = ""
    memory_and_swap: int = 0
    disk: int = 0
    started: str = ""
    #: When it ended last, as the engine writes a time.
    finished: str = ""
    #: Its own, of IPv4, on the engine's bridge, while it runs.
    address: str = ""

    @classmethod
    def from_inspect(cls, inspected: object) -> "Container":
        """Read one from what `docker container inspect` says of it. Never raises."""
        top = _table(inspected)
        state, config, host = (_table(top.get(key)) for key in ("State", "Config", "HostConfig"))
        cpuset = _text(host.get("CpusetCpus"))
        return cls(
            id=_text(top.get("Id")),
            name=_text(top.get("Name")).lstrip("/"),
            image=_text(config.get("Image")),
            created=_text(top.get("Created")),
            runtime=_text(host.get("Runtime")),
            state=_state(state.get("Status")),
            running=state.get("Running") is True,
            pid=_number(state.get("Pid")),
            exit_code=_number(state.get("ExitCode")),
            error=_text(state.get("Error")),
            restart_count=_number(top.get("RestartCount")),
            labels=_labels(config.get("Labels")),
            mounts=tuple(_mount(mount) for mount in _tables(host.get("Mounts"))),
            ports=_ports(host.get("PortBindings")),
            memory=_number(host.get("Memory")),
            cpus=_number(host.get("NanoCpus")) / 1e9,
            cpuset=cpuset if _CPUSET.fullmatch(cpuset) else "",
            processes=_number(host.get("PidsLimit")),
            image_id=_text(top.get("Image")),
            memory_and_swap=_number(host.get("MemorySwap")),
            started=_text(state.get("StartedAt")),
            finished=_text(state.get("FinishedAt")),
            disk=_size(_table(host.get("StorageOpt")).get("size")),
            address=_address(top.get("NetworkSettings")),
        )

    def label(self, key: str) -> str | None:
        """Return a label's value."""
        return dict(self.labels).get(key)

    def mount(self, target: str) -> Mount | None:
        """Return the mount at a path of the container."""
        return {mount.target: mount for mount in self.mounts}.get(target)


class Image(NamedTuple):
    """An image, inspected. `digests` are what registries call it; `size` is in bytes, of it all.

    `layers` are the digests of what it is made of, the first one first.
    """

    id: str
    labels: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    created: str = ""
    layers: tuple[str, ...] = ()

    @classmethod
    def from_inspect(cls, inspected: object) -> "Image":
        """Read one from what `docker image inspect` says of it. Never raises."""
        top = _table(inspected)
        return cls(
            id=_text(top.get("Id")),
            labels=_labels(_table(top.get("Config")).get("Labels")),
            tags=_texts(top.get("RepoTags")),
            digests=_texts(top.get("RepoDigests")),
            size=_number(top.get("Size")),
            created=_text(top.get("Created")),
            layers=_texts(_table(top.get("RootFS")).get("Layers")),
        )

    def label(self, key: str) -> str | None:
        """Return a label's value."""
        return dict(self.labels).get(key)


def _table(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[object, object]]:
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def _number(value: object) -> int:
    """Return a number that is not negative, or 0."""
    # To Python, true is a number.
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value <= _MOST else 0


def _size(value: object) -> int:
    """Return a size that is said in digits, as we say it, or 0."""
    text = _text(value)
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def _address(settings: object) -> str:
    """Return the address on the default network, which is the bridge, or nothing."""
    text = _text(_table(_table(_table(settings).get("Networks")).get("bridge")).get("IPAddress"))
    return text if re.fullmatch("[0-9]{1,3}([.][0-9]{1,3}){3}", text, re.ASCII) else ""


def _state(value: object) -> State:
    try:
        return State(_text(value))
    except ValueError:
        return State.UNKNOWN


def _labels(value: object) -> tuple[tuple[str, str], ...]:
    pairs = _table(value).items()
    return tuple(
        (key, text) for key, text in pairs if isinstance(key, str) and isinstance(text, str)
    )


def _mount(value: dict[object, object]) -> Mount:
    kind, source, target = (_text(value.get(key)) for key in ("Type", "Source", "Target"))
    return Mount(kind, source, target, value.get("ReadOnly") is True)


def _ports(value: object) -> tuple[Port, ...]:
    return tuple(
        Port(_text(inside), _text(binding.get("HostIp")), number)
        for inside, bindings in _table(value).items()
        for binding in _tables(bindings)
        if (number := _port(binding.get("HostPort")))
    )


def _port(value: object) -> int:
    """Return a port that is said in digits of ASCII, or 0."""
    text = _text(value)
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    return number if number <= 65535 else 0
