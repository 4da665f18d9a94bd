"""Namespaces, ids, capabilities and mounts, as the host's kernel has them."""

import os

from containai.attack.facts import Facts
from containai.attack.inside.look import Mount
from containai.attack.probe import OUTSIDE, Probe, Seen, Unverified, fine, found, outside, verdict
from containai.attack.send import shown
from containai.layout import WORKSPACE_IN_BOX, is_below

#: Namespace as in /proc/PID/ns → (what stands for it, how to start a box without the fault).
_NAMESPACES = {
    "pid": ("pid-namespace", "CIS 5.16; SandboxEscapeBench PID namespace", "--pid host"),
    "net": ("net-namespace", "CIS 5.10; CDK net namespace", "--network host"),
    "ipc": ("ipc-namespace", "CIS 5.17; amicontained namespaces", "--ipc host"),
    "uts": ("uts-namespace", "CIS 5.21; amicontained namespaces", "--uts host"),
    "cgroup": ("cgroup-namespace", "CIS 5.25; amicontained namespaces", "--cgroupns host"),
    "mnt": ("mount-namespace", "amicontained namespaces; nsenter", "anything that shares it"),
    "user": ("own-user-namespace", "CIS 5.31; amicontained user namespace", "another runtime"),
}


def _own(kind: str) -> Probe:
    name, stands_for, option = _NAMESPACES[kind]

    def check(facts: Facts) -> Seen:
        own = facts.box.namespaces[kind]
        if any(own == host.namespaces[kind] for host in facts.hosts):
            return found(f"it is in the host's: {own}")
        return fine(own)

    return Probe(
        name,
        stands_for,
        f"/proc/PID/ns/{kind} of its first process against the host's",
        f"start it without {option}",
        check,
    )


OUTSIDE += map(_own, _NAMESPACES)


@outside(
    "kernel-counts",
    stands_for="one loop over inotify_init(2) or unshare(2) in a box starves the host's root",
    looks_at="who made its user namespace (ioctl NS_GET_OWNER_UID): the kernel charges that id",
    remedy="start it anew with the runtime cai-runc of this version: cai stop, cai run",
)
def kernel_counts(facts: Facts) -> Seen:
    """What the kernel counts by user, it counts for the box's own first id."""
    maker = facts.box.maker
    return fine(f"id {maker}") if maker else found("they are charged to root of the host")


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[0] + other[1] and other[0] < one[0] + one[1]


@outside(
    "host-ids",
    stands_for="CIS 5.31; CVE-2022-0492, CVE-2025-31133: ids inside must be nobody outside",
    looks_at="its uid_map and gid_map, and the ids that its files have in a workspace, against "
    "/etc/passwd, group, subuid and subgid of the host",
    remedy="start it with the runtime cai-runc",
)
def host_ids(facts: Facts) -> Seen:
    """No id of the box is somebody's on the host."""
    ranges = [(ids[1], ids[2]) for ids in facts.box.uid_map + facts.box.gid_map]
    ranges.append(facts.stored)
    for own in ranges:
        for taken in [(0, 1), *facts.taken]:
            if _overlap(own, taken):
                return found(f"{own[0]} and the next {own[1]} overlap {taken[0]} of the host")
    return fine(", ".join(f"{first} + {count}" for first, count in ranges[:1]))


@outside(
    "ids-of-others",
    stands_for="other boxes: root of one would be root of another",
    looks_at="its uid_map against that of every other running container",
    remedy="start it with the runtime cai-runc",
)
def ids_of_others(facts: Facts) -> Seen:
    """No two boxes share an id."""
    # A container with the host's ids is above all others, as the host is; that is its own fault.
    others = [row for maps in facts.others for row in maps if row[1] != 0]
    for own in facts.box.uid_map:
        for other in others:
            if _overlap((own[1], own[2]), (other[1], other[2])):
                return found(f"{own[1]} + {own[2]} overlaps another container's")
    return fine(f"{len(facts.others)} other containers have other ids")


@outside(
    "capabilities-on-host",
    stands_for="CIS 5.4; amicontained capabilities",
    looks_at="CapEff and CapBnd of its first process, and whether they count on the host",
    remedy="start it with the runtime cai-runc",
)
def capabilities_on_host(facts: Facts) -> Seen:
    """Its capabilities are worth nothing outside."""
    held = int(facts.box.status["CapEff"], 16) | int(facts.box.status["CapBnd"], 16)
    shared = any(facts.box.namespaces["user"] == host.namespaces["user"] for host in facts.hosts)
    if shared and held:
        return found(f"{held.bit_count()} capabilities count on the host")
    return fine("they count in the box only")


@outside(
    "system-call-filter",
    stands_for="CIS 5.22; amicontained seccomp mode",
    looks_at="Seccomp of its first process in /proc/PID/status",
    remedy="start it without --security-opt seccomp=unconfined",
)
def system_call_filter(facts: Facts) -> Seen:
    """Its system calls are filtered."""
    mode = facts.box.status["Seccomp"]
    return fine("filtered") if mode == "2" else found(f"mode {mode}: not filtered")


@outside(
    "every-process",
    stands_for="CIS 5.23 (docker exec --privileged); nsenter; what a fault of runc leaves running",
    looks_at="every process of its pid namespace: none in the host's user namespace, none whose "
    "id on the host is not the box's, none whose system calls are not filtered",
    remedy="end the process; it was not started by the runtime",
)
def every_process(facts: Facts) -> Seen:
    """Whatever runs in the box has no more rights than the box."""
    hosts = {host.namespaces["user"] for host in facts.hosts}
    bad = []
    for process in facts.members:
        inside = any(_overlap((int(process["uid"]), 1), (m[1], m[2])) for m in facts.box.uid_map)
        if process["user"] in hosts or not inside:
            bad.append(f"{process['name']} has rights of the host")
        elif process["seccomp"] != "2":
            bad.append(f"{process['name']} is not filtered")
    if not facts.members:
        raise Unverified("no process of it was seen")
    return verdict([shown(fault) for fault in bad], f"{len(facts.members)} looked at")


@outside(
    "mount-propagation",
    stands_for="CIS 5.20",
    looks_at="mountinfo of its first process: no peer group that the host has too",
    remedy="start it without :shared on a volume",
)
def mount_propagation(facts: Facts) -> Seen:
    """What is mounted in the box does not appear on the host."""
    hosts = {peer for host in facts.hosts for mount in host.mounts for peer in _shared(mount)}
    bad = [mount.point for mount in facts.box.mounts if set(_shared(mount)) & hosts]
    return verdict(bad, "nothing is shared with the host")


def _shared(mount: Mount) -> list[str]:
    return [peer for peer in mount.peers if peer.startswith("shared:")]


#: What of the host's /dev a runtime may bind into a box, since nobody inside can make it.
_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "fuse", "net/tun"}


@outside(
    "host-paths",
    stands_for="CIS 5.6; SandboxEscapeBench writable host mount; CDK mount escape",
    looks_at="mountinfo of its first process, each mount traced to its path on the host: only the "
    "workspace and what belongs to it, the engine's own files of this container, lxcfs and "
    "harmless devices",
    remedy="start it without --volume and --mount of host directories",
)
def host_paths(facts: Facts) -> Seen:
    """The only path of the host in a box is the workspace."""
    bad = []
    for mount in facts.box.mounts:
        path = _on_host(mount, facts)
        if path is not None and not _allowed(path, mount, facts):
            bad.append(f"{mount.point} is {path}")
    return verdict(bad, "only the workspace and the engine's own files")


#: The directory beside a volume's data for what lives as long (runtime/in_place.py, BESIDE; a test
#: compares them).
_BESIDE = "places"
#: Kinds whose content is the namespace's own, whichever path shows it.
_OWN_KINDS = {"proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "binfmt_misc"}


def _on_host(mount: Mount, facts: Facts) -> str | None:
    """Return where on the host the content of a mount is found, or None where nowhere."""
    if mount.kind in _OWN_KINDS:
        return None
    best = None
    for host_mount in facts.hosts[0].mounts:
        if host_mount.device == mount.device and is_below(mount.root, host_mount.root):
            path = os.path.normpath(
                os.path.join(host_mount.point, os.path.relpath(mount.root, host_mount.root))
            )
            if best is None or len(path) < len(best):
                best = path
    return best


def _allowed(path: str, mount: Mount, facts: Facts) -> bool:
    # As it was made: an image can have labels.
    workspaces = [
        os.path.realpath(asked["Source"])
        for asked in facts.container["HostConfig"].get("Mounts") or []
        if asked["Type"] == "bind" and asked["Target"] == WORKSPACE_IN_BOX
    ]
    volumes = [
        volume["Source"] for volume in facts.container["Mounts"] if volume["Type"] == "volume"
    ]
    beside = [os.path.join(os.path.dirname(source), _BESIDE) for source in volumes]
    own = [os.path.join(facts.engine_data, "containers", facts.container["Id"]), *beside]
    if path in workspaces or path in [source for source, _ in facts.asked]:
        return True
    if path.startswith("/dev/"):
        return path.removeprefix("/dev/") in _DEVICES
    if "lxcfs" in (mount.source, mount.kind.removeprefix("fuse.")):
        return mount.root.startswith(("/proc/", "/sys/devices/system/cpu"))
    return path in volumes or any(is_below(path, top) for top in own)
