"""The edits to a container's config.json (OCI runtime specification). Pure: values in, values out.

Unknown fields are kept. A field of a wrong type is refused with its path.
"""

import copy
from typing import Any

from . import seccomp
from .errors import RuntimeRefusal

#: Every capability up to Linux 6.x. They hold in the container's own user namespace only.
CAPABILITIES = tuple(
    "CAP_" + name
    for name in """
    AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
    DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN
    MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID
    SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE
    SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
    """.split()  # noqa: SIM905 - a list of 41 strings would hide what it says
)

Json = dict[str, Any]


def field(value: Json, path: str, kind: type, default: Any = None) -> Any:
    """Return a field by its dotted path, or `default` where it or what holds it is absent.

    Raises RuntimeRefusal where it has another type.
    """
    seen: Any = value
    walked: list[str] = []
    for name in path.split("."):
        if not isinstance(seen, dict):
            raise RuntimeRefusal(f"config.json: {'.'.join(walked)}: expected an object")
        walked.append(name)
        seen = seen.get(name)
        if seen is None:
            return default
    if not isinstance(seen, kind) or (kind is int and isinstance(seen, bool)):
        raise RuntimeRefusal(f"config.json: {path}: expected {_NAMES[kind]}")
    return seen


_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    bool: "a boolean",
}


def mounts(spec: Json) -> list[Json]:
    """Return the mounts, checked to be objects whose strings are strings."""
    found = _objects(spec, "mounts")
    for index, mount in enumerate(found):
        for name in ("destination", "source", "type"):
            if not isinstance(mount.get(name, ""), str):
                raise RuntimeRefusal(f"config.json: mounts[{index}].{name}: expected a string")
        if not isinstance(mount.get("options") or [], list):
            raise RuntimeRefusal(f"config.json: mounts[{index}].options: expected an array")
    return found


def _objects(spec: Json, path: str) -> list[Json]:
    found = field(spec, path, list, [])
    for index, each in enumerate(found):
        if not isinstance(each, dict):
            raise RuntimeRefusal(f"config.json: {path}[{index}]: expected an object")
    return list(found)


def is_bind(mount: Json) -> bool:
    """Whether a mount takes its content from a path of the host."""
    options = mount.get("options") or []
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def edited(
    spec: Json, *, base: int, size: int, root: str, hybrid: bool, machine: str, oom_floor: int
) -> Json:
    """Return the spec of the same container with an id range of its own and nothing on the host.

    `root` is where the root file system is staged, `hybrid` says that cgroup2 is beside the v1
    controllers, `oom_floor` is our own oom_score_adj.
    """
    new = copy.deepcopy(spec)
    linux = new["linux"] = field(new, "linux", dict, {})
    new["root"] = field(new, "root", dict, {}) | {"path": root}
    mapping = [{"containerID": 0, "hostID": base, "size": size}]
    linux["uidMappings"] = linux["gidMappings"] = mapping
    linux["namespaces"] = _namespaces(_objects(spec, "linux.namespaces"))
    # A masked or read-only path in /proc keeps nested runtimes from mounting their own (the kernel
    # wants one fully visible proc). Nothing is lost: kcore, kmsg, sysrq-trigger and the sysctls
    # that are not namespaced demand capabilities or ids of the host, which nobody inside has.
    linux["maskedPaths"] = []
    linux["readonlyPaths"] = []
    linux["seccomp"] = seccomp.fitted(field(spec, "linux.seccomp", dict), machine)
    linux["devices"] = _devices(_objects(spec, "linux.devices"))
    linux["sysctl"] = _sysctls(field(spec, "linux.sysctl", dict, {}), size)
    new["mounts"] = [_mount(mount, hybrid=hybrid) for mount in mounts(new)]
    process = field(spec, "process", dict)
    if process is not None:
        new["process"] = _process(process, oom_floor)
    return new


def _namespaces(namespaces: list[Json]) -> list[Json]:
    kept = [each for each in namespaces if each.get("type") != "user"]
    present = {each.get("type") for each in kept}
    return kept + [{"type": kind} for kind in ("user", "cgroup") if kind not in present]


def _devices(devices: list[Json]) -> list[Json]:
    # Block devices are the host's disks, whatever asked for them (--privileged does, for all).
    return [each for each in devices if each.get("type") in ("c", "u", "p")]


def _sysctls(sysctls: Json, size: int) -> Json:
    key = "net.ipv4.ping_group_range"
    if key not in sysctls:
        return sysctls
    # Docker asks for all 2^31 groups; an id that is not mapped is EINVAL.
    try:
        low, high = map(int, sysctls[key].split())
    except (AttributeError, ValueError):
        raise RuntimeRefusal(f"config.json: linux.sysctl.{key}: expected two numbers") from None
    return sysctls | {key: f"{low} {min(high, size - 1)}"}


def _mount(mount: Json, *, hybrid: bool) -> Json:
    options = list(mount.get("options") or [])
    kind = mount.get("type")
    if kind in ("sysfs", "cgroup"):
        mount = mount | {"options": [each for each in options if each != "ro"]}
    if kind == "cgroup" and hybrid:
        # systemd wants a cgroup2 tree; the v1 controllers stay outside and keep their limits.
        flags = [each for each in options if each in ("nosuid", "noexec", "nodev", "relatime")]
        mount = mount | {"type": "cgroup2", "source": "cgroup2", "options": flags}
    return mount


def _process(process: Json, oom_floor: int) -> Json:
    new = with_capabilities(process)
    new["noNewPrivileges"] = False
    new.pop("apparmorProfile", None)
    new.pop("rlimits", None)
    if isinstance(new.get("oomScoreAdj"), int) and new["oomScoreAdj"] < oom_floor:
        del new["oomScoreAdj"]
    return new


def with_capabilities(process: Json) -> Json:
    """Return a process with every capability within reach, and in hand if it is root's."""
    user = field(process, "user", dict, {})
    root = field(user, "uid", int, 0) == 0
    held = list(CAPABILITIES) if root else []
    return process | {
        "capabilities": {
            "bounding": list(CAPABILITIES),
            "permitted": held,
            "effective": held,
            "inheritable": [],
            "ambient": [],
        }
    }
