"""What is mounted in here that comes from the host."""

import os

from containai.attack.inside import look
from containai.attack.probe import PLACES, Seen, inside, verdict

#: Where a box has something of the host's disks by design: its workspace, its own Docker's volume,
#: its data volume, and what Docker itself binds, if the box does not make files of its own of it.
OWN_POINTS = (
    "/home/agent/workspace",
    "/var/lib/docker",
    "/mnt/agent-data",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    # With Sysbox beside the volume of its own Docker (runtime/in_place.py; a test compares them).
    "/var/lib/kubelet",
    "/var/lib/k0s",
    "/var/lib/rancher/k3s",
    "/var/lib/rancher/rke2",
    "/var/lib/buildkit",
    "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",
)
#: File systems that hold nothing of a disk.
VIRTUAL = frozenset(
    """
    autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fuse fuse.lxcfs
    fusectl hugetlbfs mqueue nsfs overlay proc pstore ramfs rpc_pipefs securityfs sysfs tmpfs
    tracefs
    """.split()  # noqa: SIM905 - a list of strings would hide what it says
)
#: Roots of what lxcfs shows by file, as opposed to its whole tree.
LXCFS_FILES = ("/proc/", "/sys/devices/system/cpu")


def _below(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(top.rstrip("/") + "/") for top in tops)


@inside(
    "host-disks",
    stands_for="CIS 5.6; SandboxEscapeBench writable host mount; CDK mount escape; deepce mounts",
    looks_at="/proc/self/mountinfo: no file system on a disk but the workspace, what "
    "belongs to it, and volumes",
    remedy="start it without --volume and --mount of host directories",
)
def host_disks() -> Seen:
    """Of the host's files there is only the workspace."""
    bad = [
        f"{mount.point} is {mount.root} of {mount.source}"
        for mount in look.own_mounts()
        if mount.kind not in VIRTUAL and not _below(mount.point, (*OWN_POINTS, *PLACES))
    ]
    return verdict(bad, "only the workspace and volumes")


@inside(
    "system-mounts",
    stands_for="CIS 5.6; CDK mount-procfs: the host's /proc or /dev bound",
    looks_at="mountinfo: devtmpfs, or a second procfs whose process 1 is not ours",
    remedy="start it without --volume /proc, /sys, /dev or /run",
)
def system_mounts() -> Seen:
    """No /proc or /dev of the host is in here."""
    bad = []
    own = _start_of("/proc")
    for mount in look.own_mounts():
        if mount.kind == "devtmpfs" and os.path.isdir(mount.point):
            bad.append(f"{mount.point} is the host's /dev")
        elif mount.kind == "proc" and mount.root == "/" and _start_of(mount.point) not in ("", own):
            bad.append(f"{mount.point} is another /proc")
    return verdict(bad, "none of the host's")


def _start_of(proc: str) -> str:
    """Return when process 1 of a procfs started, in clock ticks, or nothing where it is hidden."""
    try:
        return look.read(proc + "/1/stat").rpartition(")")[2].split()[19]
    except OSError:
        return ""


@inside(
    "redirected-proc",
    stands_for="CVE-2025-31133, CVE-2025-52881: a file of /proc bound writable over another",
    looks_at="mountinfo: no single file or directory of procfs mounted writable",
    remedy="update runc to 1.2.8, 1.3.3 or newer, and make the box anew",
)
def redirected_proc() -> Seen:
    """No file of /proc poses as another."""
    bad = [
        f"{mount.point} is {mount.root} of /proc"
        for mount in look.own_mounts()
        if mount.kind == "proc"
        and mount.root != "/"
        and not {"ro"} & (mount.options | mount.super_options)
        and mount.point != "/proc" + mount.root
    ]
    return verdict(bad, "none")


@inside(
    "lxcfs-tree",
    stands_for="CDK lxcfs-rw, lxcfs-rw-cgroup: the host's cgroups through lxcfs",
    looks_at="mountinfo: of lxcfs only single files over /proc, never its tree",
    remedy="bind only files of lxcfs into a box",
)
def lxcfs_tree() -> Seen:
    """Through lxcfs nothing but its files of /proc is reached."""
    bad = [
        f"{mount.point} is {mount.root} of lxcfs"
        for mount in look.own_mounts()
        if "lxcfs" in (mount.source, mount.kind.removeprefix("fuse."))
        and not (mount.root.startswith(LXCFS_FILES) and mount.point.startswith(("/proc/", "/sys/")))
    ]
    return verdict(bad, "files of /proc only, or not there")
