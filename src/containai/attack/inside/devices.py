"""Device nodes: those that are there, that can be made, and that stand in for others."""

import errno
import os
import stat
import tempfile

from containai.attack.inside import look
from containai.attack.probe import Seen, Unverified, fine, found, inside, verdict

#: Character devices that give nothing of the machine (Documentation/admin-guide/devices.txt):
#: null, zero, full, random, urandom, tty, console, ptmx, fuse, tun.
HARMLESS = frozenset(
    [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 229), (10, 200)]
)
#: Majors of pseudo terminals.
PTY = range(136, 144)
_NUMBERS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
_MAGIC_PROC = {"proc", "sysfs", "cgroup", "cgroup2"}


def _nodes(top: str) -> list[tuple[str, os.stat_result]]:
    nodes = []
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            try:
                nodes.append((path, os.lstat(path)))
            except OSError:
                continue
    return nodes


@inside(
    "host-devices",
    stands_for="CIS 5.18; SandboxEscapeBench privileged; deepce privileged mode",
    looks_at="/dev: no block device, and no character device but null, tty, fuse and such",
    remedy="start it without --privileged and --device",
)
def host_devices() -> Seen:
    """No device of the machine is in here."""
    bad = []
    for path, seen in _nodes("/dev"):
        number = (os.major(seen.st_rdev), os.minor(seen.st_rdev))
        harmless = number in HARMLESS or number[0] in PTY
        if stat.S_ISBLK(seen.st_mode) or (stat.S_ISCHR(seen.st_mode) and not harmless):
            bad.append(f"{path} ({number[0]}:{number[1]})")
    return verdict(sorted(bad), "only harmless devices")


def _disks() -> list[tuple[int, int]]:
    numbers = []
    for line in look.read("/proc/partitions").splitlines()[2:]:
        words = line.split()
        numbers.append((int(words[0]), int(words[1])))
    # Where the list is hidden: the usual disks, and a loop device.
    return [*numbers[:3], (8, 0), (254, 0), (259, 0), (7, 0)]


@inside(
    "device-access",
    stands_for="SandboxEscapeBench privileged; CDK mount-disk, rewrite-cgroup-devices",
    looks_at="a device node made in /dev/shm or /tmp for a disk: it must be refused",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def device_access() -> Seen:
    """No disk opens, whoever makes its node."""
    for top in ("/dev/shm", "/tmp"):  # noqa: S108 - in the box, in a directory of our own
        if os.path.isdir(top):
            with tempfile.TemporaryDirectory(dir=top) as own:
                answers = {_opened(own, disk) for disk in _disks()}
            if answers - {"refused"}:
                return found("; ".join(sorted(answers - {"refused"})))
    return fine("refused")


def _opened(directory: str, disk: tuple[int, int]) -> str:
    path = os.path.join(directory, "disk")
    try:
        os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(*disk))
    except PermissionError:
        return "refused"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as failed:
        # ENXIO: allowed, but there is no such disk.
        if failed.errno in (errno.ENXIO, errno.ENODEV):
            return "device numbers are not confined"
        return f"a node for {disk[0]}:{disk[1]} can be made"
    finally:
        os.unlink(path)
    return f"disk {disk[0]}:{disk[1]} opens"


@inside(
    "kernel-memory",
    stands_for="deepce privileged; reads the host's memory",
    looks_at="/proc/kcore, /proc/kpagecount, /proc/kpageflags, /dev/mem, /dev/kmem, /dev/port: "
    "reading gives nothing",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def kernel_memory() -> Seen:
    """The host's memory cannot be read."""
    paths = ["/proc/kcore", "/proc/kpagecount", "/proc/kpageflags"]
    paths += ["/dev/mem", "/dev/kmem", "/dev/port"]
    bad = []
    for path in paths:
        try:
            # A masked file is /dev/null: it opens, and has nothing in it.
            with open(path, "rb", buffering=0) as file:
                if file.read(8):
                    bad.append(f"{path} can be read")
        except OSError:
            continue
    return verdict(bad, "unreadable")


@inside(
    "standard-devices",
    stands_for="CVE-2025-31133: /dev/null swapped for a link, which runc then binds over masks",
    looks_at="/dev/null, zero, full, random, urandom: each the device of its name, and no link",
    remedy="somebody in the box has replaced it; make the box anew",
)
def standard_devices() -> Seen:
    """What runc takes for /dev/null is /dev/null."""
    bad = []
    for name, number in _NUMBERS.items():
        path = f"/dev/{name}"
        try:
            seen = os.lstat(path)
        except OSError:
            bad.append(f"{path} is missing")
            continue
        if not stat.S_ISCHR(seen.st_mode):
            bad.append(f"{path} is no device")
        elif (os.major(seen.st_rdev), os.minor(seen.st_rdev)) != number:
            bad.append(f"{path} is another device")
    return verdict(bad, "each is itself")


@inside(
    "console",
    stands_for="CVE-2025-52565: /dev/console bound to whatever /dev/pts/N was a link to",
    looks_at="what is mounted on /dev/console or /dev/pts/N: no file of /proc or /sys",
    remedy="update runc to 1.2.8, 1.3.3 or newer, and make the box anew",
)
def console() -> Seen:
    """The console is a terminal."""
    bad = []
    for mount in look.own_mounts():
        of_terminal = mount.point == "/dev/console" or mount.point.startswith("/dev/pts/")
        if of_terminal and mount.kind in _MAGIC_PROC:
            bad.append(f"{mount.point} is {mount.root} of {mount.kind}")
    if os.path.lexists("/dev/console"):
        seen = os.lstat("/dev/console")
        if not stat.S_ISCHR(seen.st_mode):
            bad.append("/dev/console is no device")
    if not os.path.isdir("/proc/self"):
        raise Unverified("there is no /proc")
    return verdict(bad, "a terminal, or none")
