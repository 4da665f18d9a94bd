"""What a box sees of the machine, beyond what any container does. Pure: values in, values out.

A box is a container whose creator mounted a tmpfs at BOX (`docker create --tmpfs`). An image cannot
ask for that: what it declares becomes a volume.
"""

from typing import Any

from . import spec

#: The directory in a box that is ContainAI's own.
BOX = "/dev/.containai"

#: What ordinary tools should not find. This is tidiness, no wall: whoever mounts a proc or sysfs of
#: its own in there sees the names again, and what is secret in them the kernel gives to the host's
#: root alone, by ids and capabilities that nobody inside has.
HIDDEN = (
    # Docker's own list (oci.DefaultLinuxSpec in moby).
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    # The host's disks.
    "/proc/partitions",
    "/sys/block",
    "/sys/class/block",
    "/sys/dev/block",
    "/proc/fs/ext4",
    "/proc/fs/jbd2",
    "/proc/fs/xfs",
    "/sys/fs/ext4",
    "/sys/fs/xfs",
    "/sys/fs/btrfs",
    # A physical address of the kernel's.
    "/sys/kernel/vmcoreinfo",
)

#: Character devices of a box: path → major and minor. Rootless containers mount overlays through
#: FUSE and make networks with tun; the kernel gives both to unprivileged users, within their own
#: namespaces. The host's nodes would do only where everybody there may open them.
DEVICES = {"/dev/fuse": (10, 229), "/dev/net/tun": (10, 200)}
#: Where POSIX shared memory is.
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - in the box
#: Bytes that are no limit: what a box has whose limit was taken away.
UNBOUNDED = 1 << 62


def is_box(given: spec.Json) -> bool:
    """Whether this container is a box."""
    return any(
        mount.get("destination") == BOX and mount.get("type") == "tmpfs"
        for mount in spec.mounts(given)
    )


def edited(given: spec.Json, files: dict[str, str]) -> spec.Json:
    """Return a box's spec with the host hidden and /proc telling the box's own limits.

    `files` are what lxcfs has and DEVICES: path in the box → where it is staged.
    """
    linux = spec.field(given, "linux", dict, {})
    resources = spec.field(linux, "resources", dict, {})
    limit = spec.field(resources, "memory.limit", int, 0)
    flags = ["nosuid", "noexec", "nodev"]
    mounts: list[dict[str, Any]] = [
        # In a nested user namespace the kernel allows a new proc or sysfs only if one without
        # anything mounted in it is there already (mount_too_revealing() in fs/namespace.c): these.
        # bubblewrap, `unshare --mount-proc` and rootless containers depend on it.
        {"destination": f"{BOX}/proc", "type": "proc", "source": "proc", "options": flags}
    ]
    if spec.owns(given, "network"):
        mounts.append(
            {"destination": f"{BOX}/sys", "type": "sysfs", "source": "sysfs", "options": flags}
        )
    mounts += [
        {"destination": path, "type": "bind", "source": source, "options": ["bind"]}
        for path, source in files.items()
    ]
    rules = [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rw"}
        for major, minor in DEVICES.values()
    ]
    resources = resources | {"devices": [*spec.field(resources, "devices", list, []), *rules]}
    return given | {
        "mounts": [*(_as_on_a_machine(mount, limit) for mount in spec.mounts(given)), *mounts],
        "linux": linux | {"maskedPaths": list(HIDDEN), "resources": resources},
    }


def _as_on_a_machine(mount: spec.Json, limit: int) -> spec.Json:
    """Return a mount; that of shared memory as systemd mounts it on a machine (mount-setup.c).

    That is half of the memory, where Docker gives 64 MiB and lets nothing be executed. `limit` is
    the box's, in bytes; where there is none, tmpfs takes half of the machine's.
    """
    if mount.get("destination") != SHARED_MEMORY or mount.get("type") != "tmpfs":
        return mount
    size = str(limit // 2) if 0 < limit < UNBOUNDED else "50%"
    return mount | {"options": ["nosuid", "nodev", "mode=1777", f"size={size}"]}
