"""The edits to a container's config.json (OCI runtime specification). Pure: values in, values out.

Unknown fields are kept. A field of a wrong type is refused with its path.
"""

import os
from collections.abc import Callable
from typing import Any

from . import limits, seccomp, withheld
from .errors import RuntimeRefusal

#: Stands for a copy of the host's /sys, without the file systems mounted in it, read-only.
HOST_SYSFS = "/sys"

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


_EXTENT: Json = {"containerID": int, "hostID": int, "size": int}
#: Types of the fields that are read or changed here. `[shape]` is an array of that shape, "*" any
#: name. As Go writes them, each may be null, which means absent.
_SHAPE: Json = {
    "process": {
        "user": {"uid": int, "gid": int},
        "args": [str],
        "env": [str],
        "capabilities": {
            name: [str] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")
        },
        "noNewPrivileges": bool,
        "apparmorProfile": str,
        "oomScoreAdj": int,
        "rlimits": [{"type": str, "soft": int, "hard": int}],
    },
    "root": {"path": str, "readonly": bool},
    "mounts": [
        {
            "destination": str,
            "source": str,
            "type": str,
            "options": [str],
            "uidMappings": [_EXTENT],
            "gidMappings": [_EXTENT],
        }
    ],
    "linux": {
        "uidMappings": [_EXTENT],
        "gidMappings": [_EXTENT],
        "namespaces": [{"type": str, "path": str}],
        "devices": [
            {
                "path": str,
                "type": str,
                "major": int,
                "minor": int,
                "fileMode": int,
                "uid": int,
                "gid": int,
            }
        ],
        "resources": {"devices": [{"allow": bool, "type": str, "major": int, "minor": int}]},
        "cgroupsPath": str,
        "sysctl": {"*": str},
        "maskedPaths": [str],
        "readonlyPaths": [str],
        "seccomp": {
            "defaultAction": str,
            "architectures": [str],
            "syscalls": [
                {
                    "names": [str],
                    "action": str,
                    "errnoRet": int,
                    "args": [{"index": int, "value": int, "valueTwo": int, "op": str}],
                }
            ],
        },
    },
}


def check(spec: Json) -> None:
    """Raise RuntimeRefusal, with its path, for a field of a type that OCI does not allow.

    Also for what a box cannot share with anybody.
    """
    _check(spec, _SHAPE, "")
    for name in ("uidMappings", "gidMappings"):
        holders = [("linux", field(spec, "linux", dict, {}))]
        holders += [(f"mounts[{index}]", mount) for index, mount in enumerate(mounts(spec))]
        for path, holder in holders:
            if holder.get(name):
                raise RuntimeRefusal(f"config.json: {path}.{name}: the ids are chosen here")
    profile = field(spec, "linux.seccomp", dict)
    if profile is not None:
        _check_seccomp(profile)
    _check_namespaces(spec)


def check_process(process: Json) -> None:
    """Raise RuntimeRefusal for a wrong type in the process of an exec."""
    _check(process, _SHAPE["process"], "process")


def _check_namespaces(spec: Json) -> None:
    namespaces: Json = {}
    for namespace in _objects(spec, "linux.namespaces"):
        kind = namespace.get("type")
        if kind in namespaces:
            raise RuntimeRefusal(f"config.json: linux.namespaces: {kind!r} stands twice")
        namespaces[str(kind)] = namespace.get("path")
    if namespaces.get("user"):
        raise RuntimeRefusal("a box cannot join a user namespace")
    if namespaces.get("mount") or "mount" not in namespaces:
        raise RuntimeRefusal("a box cannot share a mount namespace")
    if namespaces.get("pid") or "pid" not in namespaces:
        # Nobody but its owner may mount the proc of a pid namespace.
        raise RuntimeRefusal("a box cannot share a pid namespace (--pid)")


def _check_seccomp(profile: Json) -> None:
    """Refuse a profile of which nobody knows what it refuses."""
    path = "config.json: linux.seccomp"
    if not profile.get("defaultAction"):
        raise RuntimeRefusal(f"{path}.defaultAction: missing")
    for index, rule in enumerate(profile.get("syscalls") or []):
        for name in ("names", "action"):
            if not rule.get(name):
                raise RuntimeRefusal(f"{path}.syscalls[{index}].{name}: missing")


def _check(value: Any, shape: Any, path: str) -> None:
    if value is None:
        return
    if isinstance(shape, type):
        if type(value) is not shape:  # not isinstance: a JSON true is no integer
            raise RuntimeRefusal(f"config.json: {path}: expected {_NAMES[shape]}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise RuntimeRefusal(f"config.json: {path}: expected an array")
        for index, item in enumerate(value):
            where = f"{path}[{index}]"
            if item is None:
                kind = shape[0] if isinstance(shape[0], type) else dict
                raise RuntimeRefusal(f"config.json: {where}: expected {_NAMES[kind]}")
            _check(item, shape[0], where)
    else:
        if not isinstance(value, dict):
            raise RuntimeRefusal(f"config.json: {path}: expected an object")
        _refuse_other_spellings(value, shape, path)
        for name, inner in shape.items():
            for key in value if name == "*" else (name,):
                _check(value.get(key), inner, f"{path}.{key}" if path else key)


def _refuse_other_spellings(value: Json, shape: Json, path: str) -> None:
    """Refuse `Linux` for `linux`: Go takes them for one field (encoding/json, Unmarshal)."""
    known = {name.casefold(): name for name in shape}
    for key in value.keys() - shape.keys():
        if key.casefold() in known:
            where = f"{path}.{key}" if path else key
            raise RuntimeRefusal(f"config.json: {where}: spelled {known[key.casefold()]!r}")


def mounts(spec: Json) -> list[Json]:
    """Return the mounts, checked to be objects whose strings are strings."""
    every = _objects(spec, "mounts")
    for index, mount in enumerate(every):
        for name in ("destination", "source", "type"):
            if not isinstance(mount.get(name, ""), str):
                raise RuntimeRefusal(f"config.json: mounts[{index}].{name}: expected a string")
        options = mount.get("options") or []
        if not isinstance(options, list):
            raise RuntimeRefusal(f"config.json: mounts[{index}].options: expected an array")
        if "shared" in options or "rshared" in options:
            # The kernel lets a user namespace receive mounts only; Docker promises both ways.
            where = mount.get("destination")
            raise RuntimeRefusal(
                f"mounts made in {where} cannot reach the host: rslave, not rshared"
            )
    return every


def _objects(spec: Json, path: str) -> list[Json]:
    objects = field(spec, path, list, [])
    for index, item in enumerate(objects):
        if not isinstance(item, dict):
            raise RuntimeRefusal(f"config.json: {path}[{index}]: expected an object")
    return list(objects)


#: Mount flags by their bit in statvfs(3).
_FLAGS = {
    os.ST_RDONLY: "ro",
    os.ST_NOSUID: "nosuid",
    os.ST_NODEV: "nodev",
    os.ST_NOEXEC: "noexec",
    os.ST_NOATIME: "noatime",
    os.ST_NODIRATIME: "nodiratime",
    os.ST_RELATIME: "relatime",
}


def with_flags(mount: Json, flags: int) -> Json:
    """Return a bind that keeps the flags its staged source has (statvfs(3)).

    They are locked in the user namespace, and runc remounts a bind that has any flag, such as ro:
    the kernel refuses that with EPERM if one is missing.
    """
    locked = [name for bit, name in _FLAGS.items() if flags & bit]
    return mount | {"options": [*(mount.get("options") or []), *locked]}


def is_bind(mount: Json) -> bool:
    """Whether a mount takes its content from a path of the host."""
    options = mount.get("options") or []
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def edited(
    spec: Json,
    *,
    base: int,
    size: int,
    root: str,
    user: str,
    hybrid: bool,
    machine: str,
    may_score: Callable[[int], bool],
) -> Json:
    """Return the spec of the same container with an id range of its own and nothing on the host.

    `root` is where the root file system is staged, `user` the path of the user namespace that has
    these ids, `hybrid` says that cgroup2 is beside the v1
    controllers, `may_score` whether the kernel gives an oom_score_adj.

    Ids, devices and what would be of the host are the runtime's to decide. Capabilities, masked
    paths, AppArmor, limits and the rest stay as the engine wrote them, and hold inside.
    """
    # What stays is shared with `spec`: a copy of all of it would cost more than all that is done.
    new = dict(spec)
    linux = new["linux"] = dict(field(spec, "linux", dict, {}))
    new["root"] = field(spec, "root", dict, {}) | {"path": root}
    mapping = [{"containerID": 0, "hostID": base, "size": size}]
    linux["uidMappings"] = linux["gidMappings"] = mapping
    linux["namespaces"] = _namespaces(_objects(spec, "linux.namespaces"), user)
    # Docker empties it for `--security-opt systempaths=unconfined` and for --privileged.
    confined = bool(field(spec, "linux.readonlyPaths", list))
    bounding = field(spec, "process.capabilities.bounding", list, [])
    profile = seccomp.fitted(
        field(spec, "linux.seccomp", dict), machine, administers="CAP_SYS_ADMIN" in bounding
    )
    if not limits.asks_for_core(field(spec, "process", dict, {})):
        profile = withheld.with_fixed_core_limit(profile)
    linux["seccomp"] = withheld.without_keyrings(profile)
    privileged = is_privileged(spec)
    linux["devices"] = _devices(_objects(spec, "linux.devices"), privileged=privileged)
    if privileged:
        linux["resources"] = linux["resources"] | {"devices": _device_rules(linux["devices"])}
    linux["sysctl"] = _sysctls(field(spec, "linux.sysctl", dict, {}), size)
    # Docker's way for --domainname, which belongs to the host's root. runc 1.2 knows the field, an
    # older one leaves the domain to /etc/hosts.
    domain = linux["sysctl"].pop("kernel.domainname", None)
    if domain is not None:
        new["domainname"] = domain
    new["mounts"] = [
        _mount(mount, hybrid=hybrid, confined=confined, own_network=owns(spec, "network"))
        for mount in mounts(new)
        # An mqueue can only be mounted by the owner of the IPC namespace.
        if mount.get("type") != "mqueue" or owns(spec, "ipc")
    ]
    process = field(spec, "process", dict)
    if process is not None:
        new["process"] = _process(process, may_score)
    return new


def _namespaces(namespaces: list[Json], user: str) -> list[Json]:
    # `--cgroupns host` would show the host's tree.
    kept = [
        namespace for namespace in namespaces if namespace.get("type") not in ("user", "cgroup")
    ]
    mine = {"type": "user", "path": user}
    if any(namespace.get("path") for namespace in kept):
        # runc enters a user namespace before all others, and has no right to another's from there.
        # One that it makes itself comes last; what it counts is then the host's root's.
        del mine["path"]
    return [*kept, mine, {"type": "cgroup"}]


def owns(spec: Json, kind: str) -> bool:
    """Whether the container gets a new namespace of this type."""
    namespaces = _objects(spec, "linux.namespaces")
    return any(row.get("type") == kind and not row.get("path") for row in namespaces)


#: Character devices by major and minor: fuse and tun, which are all that --privileged passes on,
#: and mem, kmem, port and kmsg, which are the machine itself.
_SAFE_DEVICES = {(10, 229), (10, 200)}
_MACHINE_DEVICES = {(1, 1), (1, 2), (1, 4), (1, 11)}


def is_privileged(spec: Json) -> bool:
    """Whether one rule allows every device: `docker run --privileged`."""
    rules = _objects(spec, "linux.resources.devices")
    return any(
        rule.get("allow") and rule.get("type") in (None, "a") and rule.get("major") is None
        for rule in rules
    )


def _devices(devices: list[Json], *, privileged: bool) -> list[Json]:
    """Return those that a container may have. --privileged names all; asked for, one is refused."""
    kept = []
    for device in devices:
        number = (device.get("major", 0), device.get("minor", 0))
        # Block devices are the host's disks.
        possible = device.get("type") in ("c", "u") and number not in _MACHINE_DEVICES
        if not possible and not privileged:
            raise RuntimeRefusal(f"device {device.get('path')}: no disk and no memory of the host")
        if possible and (not privileged or number in _SAFE_DEVICES):
            kept.append({"major": 0, "minor": 0} | device)
    return kept


def _device_rules(devices: list[Json]) -> list[Json]:
    """Return the rules in place of --privileged's; runc adds those for null, zero and the like."""
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    for device in devices:
        number = {"major": device.get("major", 0), "minor": device.get("minor", 0)}
        rules.append({"allow": True, "type": "c", **number, "access": "rwm"})
    return rules


def _sysctls(sysctls: Json, size: int) -> Json:
    key = "net.ipv4.ping_group_range"
    if key not in sysctls:
        return dict(sysctls)
    # Docker asks for all 2^31 groups; an id that is not mapped is EINVAL.
    try:
        low, high = map(int, sysctls[key].split())
    except (AttributeError, ValueError):
        raise RuntimeRefusal(f"config.json: linux.sysctl.{key}: expected two numbers") from None
    return sysctls | {key: f"{low} {min(high, size - 1)}"}


def _mount(mount: Json, *, hybrid: bool, confined: bool, own_network: bool) -> Json:
    options = list(mount.get("options") or [])
    kind = mount.get("type")
    if kind == "sysfs" and not own_network:
        # Only the owner of a network namespace may mount its sysfs; the stage has the host's.
        return mount | {"type": "bind", "source": HOST_SYSFS, "options": ["rbind", "rprivate"]}
    if confined:
        return mount
    # No option of Docker's below --privileged makes these two writable. That the system's paths
    # are not confined is taken as asking for it: systemd and a nested runtime need both.
    if kind in ("sysfs", "cgroup"):
        mount = mount | {"options": [option for option in options if option != "ro"]}
    if kind == "cgroup" and hybrid:
        # systemd wants a cgroup2 tree; the v1 controllers stay outside and keep their limits.
        kept = ("nosuid", "noexec", "nodev", "relatime")
        flags = [option for option in options if option in kept]
        mount = mount | {"type": "cgroup2", "source": "cgroup2", "options": flags}
    return mount


def _process(process: Json, may_score: Callable[[int], bool]) -> Json:
    score = field(process, "oomScoreAdj", int)
    if score is None or may_score(score):
        return process
    # runc would fail. Without CAP_SYS_RESOURCE, as in a container, ours is the lowest there is.
    return {name: value for name, value in process.items() if name != "oomScoreAdj"}
