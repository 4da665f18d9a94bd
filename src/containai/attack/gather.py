"""What /proc says about a process, for the probes on the host. Standard library only.

Run as root by the system's Python, from its standard input; prints one object of JSON.
"""

import array
import contextlib
import fcntl
import json
import os
import sys
from typing import Any

#: As in /proc/PID/ns.
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")

#: ioctl_nsfs(2).
NS_GET_OWNER_UID = 0xB704


def process(pid: str) -> dict[str, Any]:
    """Return a process's namespaces, id maps, status and mounts. Raises OSError."""
    top = f"/proc/{pid}"
    return {
        "namespaces": {kind: os.readlink(f"{top}/ns/{kind}") for kind in NAMESPACES},
        "uid_map": _id_map(f"{top}/uid_map"),
        "gid_map": _id_map(f"{top}/gid_map"),
        "status": _status(f"{top}/status"),
        "mounts": _read(f"{top}/mountinfo"),
        "maker": _maker(f"{top}/ns/user"),
    }


def _maker(namespace: str) -> int:
    """Return the id that made a user namespace, which the kernel charges for what is in it."""
    owner = array.array("I", [0])
    with open(namespace, "rb") as file:
        fcntl.ioctl(file, NS_GET_OWNER_UID, owner)
    return owner[0]


def members(pid: str) -> list[dict[str, str]]:
    """Return the processes of a process's pid namespace: user namespace, seccomp mode, host id."""
    rows = []
    own = os.readlink(f"/proc/{pid}/ns/pid")
    for other in filter(str.isdigit, os.listdir("/proc")):
        # It may have ended; and what root of this machine may not look at is nobody's box.
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{other}/ns/pid") == own:
                status = _status(f"/proc/{other}/status")
                user = os.readlink(f"/proc/{other}/ns/user")
                row = {"name": status["Name"], "user": user, "seccomp": status["Seccomp"]}
                rows.append(row | {"uid": status["Uid"].split()[1]})
    return rows


def _status(path: str) -> dict[str, str]:
    parts = (line.partition(":") for line in _lines(path))
    return {name: value.strip() for name, _, value in parts}


def _id_map(path: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in _lines(path)]


def _lines(path: str) -> list[str]:
    return _read(path).splitlines()


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def owner(path: str) -> dict[str, Any]:
    """Return whose a path is, following links as whoever runs it does."""
    seen = os.stat(path)
    return {"path": path, "uid": seen.st_uid, "mode": seen.st_mode}


def route_localnet() -> dict[str, str]:
    """Return the sysctl of that name by interface."""
    top = "/proc/sys/net/ipv4/conf"
    return {
        interface: _read(f"{top}/{interface}/route_localnet").strip()
        for interface in os.listdir(top)
    }


def ports(bridge: str) -> dict[str, bool]:
    """Return the ports of a bridge, and of each whether it is isolated."""
    top = f"/sys/class/net/{bridge}/brif"
    isolated = {}
    for port in os.listdir(top) if os.path.isdir(top) else ():
        # It may go at any time.
        with contextlib.suppress(OSError):
            isolated[port] = _read(f"{top}/{port}/isolated").strip() == "1"
    return isolated


def hosts() -> list[dict[str, Any]]:
    """Return our own process, and process 1 where the machine lets its root look at it."""
    processes = [process("self")]
    with contextlib.suppress(PermissionError):
        processes.append(process("1"))
    return processes


def everything(pid: str, others: list[str], paths: list[str], bridge: str) -> dict[str, Any]:
    """Return all facts about a process, the host, other containers' processes, files, a bridge."""
    maps = {}
    for other in others:
        # A container that has ended meanwhile has no ids.
        if os.path.exists(f"/proc/{other}/uid_map"):
            maps[other] = _id_map(f"/proc/{other}/uid_map")
    return {
        "box": process(pid),
        "hosts": hosts(),
        "members": members(pid),
        "others": maps,
        "route_localnet": route_localnet(),
        "ports": ports(bridge),
        "files": [owner(path) for path in paths if os.path.exists(path)],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(everything(*json.loads(sys.argv[1]))))
