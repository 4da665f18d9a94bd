"""What the host knows of a box: from the engine and from /proc, nothing from inside the box."""

import contextlib
import gzip
import json
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from containai.attack.inside.look import Mount, mounts
from containai.engine.client import Engine
from containai.errors import SelfTestError
from containai.host import files
from containai.host.machine import Machine

#: The system's Python, which only root writes.
PYTHON = "/usr/bin/python3"
#: How much of a change log is read, in bytes: the newest of it.
CHANGELOG_LIMIT = 1 << 24
Json = dict[str, Any]


class Process(NamedTuple):
    """A process as /proc shows it."""

    namespaces: dict[str, str]
    uid_map: list[list[int]]
    gid_map: list[list[int]]
    status: dict[str, str]
    mounts: list[Mount]
    #: The host's id that made its user namespace.
    maker: int

    @classmethod
    def from_json(cls, value: Json) -> "Process":
        """Read what gather.process wrote."""
        return cls(**value | {"mounts": mounts(value["mounts"])})


class Facts(NamedTuple):
    """All that the probes on the host decide on."""

    #: `docker inspect` of the container.
    container: Json
    #: Its first process, and of the host ours and, where it can be seen, the first.
    box: Process
    hosts: list[Process]
    #: Every process of its pid namespace, as gather.members has them.
    members: list[dict[str, str]]
    #: uid_map of the first processes of all other running containers.
    others: list[list[list[int]]]
    #: Value by interface, and the interfaces that lead to the container.
    route_localnet: dict[str, str]
    bridges: list[str]
    #: The ports of the engine's bridge: whether each is isolated; and the port, MAC and address of
    #: each that is pinned.
    ports: dict[str, bool]
    pins: list[list[str]]
    #: Whose the runtime's files are: path, uid, mode.
    files: list[Json]
    #: Ids of the host's users and groups, and of the ranges of theirs, as (first, count).
    taken: list[tuple[int, int]]
    #: The ids, as (first, count), that workspaces have on disk for users of boxes.
    stored: tuple[int, int]
    #: What runc prints of itself, and the engine's version and swarm state.
    runc: str
    engine: str
    swarm: str
    engine_data: str
    #: What of the host the box has by design beside its workspace: path there → path in the box.
    asked: list[tuple[str, str]]
    #: The kernel's release and version as in uname(2), and its package's change log.
    kernel: tuple[str, str, str]


def gather(
    engine: Engine, name: str, pid: int | None = None, asked: Sequence[tuple[str, str]] = ()
) -> Facts:
    """Return the facts about a running container. `pid` looks at another process in its place.

    `asked` as in Facts.

    Raises SelfTestError where the container does not run or something cannot be read.
    """
    container = engine.inspect("container", name)
    if container is None or not container["State"]["Running"]:
        raise SelfTestError(f"{name} does not run", hint="see: cai ls")
    own = str(pid or container["State"]["Pid"])
    others = [
        str(other.pid)
        for other in engine.containers("status=running")
        if other.id != container["Id"]
    ]
    runc = engine.host.which("runc", root=True) or "/usr/sbin/runc"
    paths = _with_parents([runc, *_below(engine.layout.runtime_dir)])
    raw = _from_proc(engine.host, own, others, paths, engine.layout.bridge)
    info = json.loads(engine.docker("info", "--format", "{{json .}}").out)
    return Facts(
        container=container,
        box=Process.from_json(raw["box"]),
        hosts=[Process.from_json(process) for process in raw["hosts"]],
        members=raw["members"],
        others=list(raw["others"].values()),
        route_localnet=raw["route_localnet"],
        bridges=_bridges(engine, container),
        ports=raw["ports"],
        pins=_pins(engine.host, engine.layout.bridge),
        files=raw["files"],
        stored=engine.layout.stored_ids,
        taken=taken_ids(
            _text("/etc/passwd") + _text("/etc/group"),
            _text("/etc/subuid") + _text("/etc/subgid"),
        ),
        runc=engine.host.run([runc, "--version"]).out,
        engine=info["ServerVersion"],
        swarm=info.get("Swarm", {}).get("LocalNodeState", "inactive"),
        engine_data=info["DockerRootDir"],
        asked=list(asked),
        kernel=(os.uname().release, os.uname().version, changelog(os.uname().release)),
    )


def _from_proc(host: Machine, pid: str, others: list[str], paths: list[str], bridge: str) -> Json:
    program = files.read(os.path.join(os.path.dirname(__file__), "gather.py")) or ""
    argv = [PYTHON, "-IS", "-", json.dumps([pid, others, paths, bridge])]
    done = host.run(argv, stdin=program, root=True, timeout=120, ok=None)
    if done.code != 0:
        why = done.err.strip().splitlines()[-1:] or [f"code {done.code}"]
        raise SelfTestError(f"/proc/{pid} cannot be read from the host: {why[0]}")
    answer: Json = json.loads(done.out)
    return answer


def _below(top: str) -> list[str]:
    return [os.path.join(parent, n) for parent, _, names in os.walk(top) for n in names]


def _with_parents(paths: list[str]) -> list[str]:
    every = set(paths)
    for path in paths:
        while path != "/":
            path = os.path.dirname(path)
            every.add(path)
    return sorted(every)


def _bridges(engine: Engine, container: Json) -> list[str]:
    names = []
    for network in container["NetworkSettings"]["Networks"]:
        inspected = engine.inspect("network", network) or {}
        options = inspected.get("Options") or {}
        own = options.get("com.docker.network.bridge.name")
        names.append(own or "br-" + inspected.get("Id", "")[:12])
    return names


def _pins(host: Machine, bridge: str) -> list[list[str]]:
    nft = host.which("nft", root=True) or "/usr/sbin/nft"
    argv = [nft, "--json", "list", "table", "bridge", bridge]
    done = host.run(argv, root=True, ok=None)
    # Without the table nothing is pinned.
    return pins(done.out) if done.code == 0 else []


def pins(table: str) -> list[list[str]]:
    """Return what a table of ours for bridges pins, as `nft --json` prints it (network.sh)."""
    rows = [row["set"] for row in json.loads(table)["nftables"] if "set" in row]
    elements = {row["name"]: row.get("elem", []) for row in rows}
    every = [element["concat"] for element in elements.get("boxes", [])]
    return [pin for pin in every if pin[0] in elements.get("ports", [])]


def changelog(release: str, documents: str = "/usr/share/doc") -> str:
    """Return the change log of a kernel's package on Debian's kin, or nothing."""
    for package in ("linux-image", "linux-image-unsigned", "linux-modules"):
        path = os.path.join(documents, f"{package}-{release}", "changelog.Debian.gz")
        with contextlib.suppress(OSError, EOFError), gzip.open(path, "rb") as file:
            return file.read(CHANGELOG_LIMIT).decode(errors="replace")
    return ""


def _text(path: str) -> str:
    return files.read(path) or ""


def taken_ids(names: str, ranges: str) -> list[tuple[int, int]]:
    """Return the ids of the host that belong to somebody, as (first, count).

    `names` are lines of passwd(5) and group(5), `ranges` of subuid(5).
    """
    taken = [(int(m), 1) for m in re.findall(r"^[^:\n]*:[^:]*:(\d+):", names, re.MULTILINE)]
    for line in ranges.splitlines():
        words = line.split(":")
        if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
            taken.append((int(words[1]), int(words[2])))
    return taken
