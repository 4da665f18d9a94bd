"""Files of /proc and /sys that act on the whole machine, and file systems that hold such files."""

import contextlib
import os

from containai.attack.inside import look
from containai.attack.probe import Seen, fine, found, inside, verdict

PROC_SYS = "/proc/sys"
#: Sysctls that belong to a namespace of the box: those below, and all of net/.
NAMESPACED = frozenset(
    """
    kernel/auto_msgmni kernel/domainname kernel/hostname kernel/msg_next_id kernel/msgmax
    kernel/msgmnb kernel/msgmni kernel/ns_last_pid kernel/pid_max kernel/sem kernel/sem_next_id
    kernel/shm_next_id kernel/shm_rmid_forced kernel/shmall kernel/shmmax kernel/shmmni
    """.split()  # noqa: SIM905 - a list of strings would hide what it says
)
NAMESPACED_TREES = ("net/", "user/", "fs/mqueue/")
#: Files of one's own network, which the box may write.
OWN_SYS = ("/sys/class/net/", "/sys/devices/virtual/net/", "/sys/fs/cgroup/")
#: File systems of the kernel's that no user namespace may mount.
HOST_ONLY = ("debugfs", "tracefs", "securityfs", "configfs", "efivarfs", "pstore", "devtmpfs")
#: How many files of /sys are looked at.
SYS_LIMIT = 5000
HELPERS = (
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/kernel/poweroff_cmd",
    "/sys/kernel/uevent_helper",
)
TRIGGERS = (
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/panic",
    "/proc/sys/vm/drop_caches",
    "/proc/mtrr",
    "/proc/acpi/wakeup",
    "/sys/power/state",
)


@inside(
    "core-pattern",
    stands_for="CVE-2022-0811 and SandboxEscapeBench CRI-O kernel parameter; CVE-2025-31133",
    looks_at="/proc/sys/kernel/core_pattern must not open for writing: a program of the host's",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def core_pattern() -> Seen:
    """Nobody in here chooses what the host runs at a crash."""
    path = PROC_SYS + "/kernel/core_pattern"
    return found("opens for writing") if look.can_open(path, os.O_WRONLY) else fine("read-only")


@inside(
    "usermode-helpers",
    stands_for="CDK, deepce privileged: programs that the kernel starts as root of the host",
    looks_at="writability of " + ", ".join(HELPERS),
    remedy="start it with the runtime cai-runc and without --privileged",
)
def usermode_helpers() -> Seen:
    """Nobody in here chooses what the kernel runs."""
    return verdict(look.writable(list(HELPERS)), "none can be written")


@inside(
    "host-triggers",
    stands_for="CVE-2025-52881: a write that runc makes, redirected, halts or breaks the host",
    looks_at="writability of " + ", ".join(TRIGGERS),
    remedy="start it with the runtime cai-runc and without --privileged",
)
def host_triggers() -> Seen:
    """Nothing in here halts the machine."""
    return verdict(look.writable(list(TRIGGERS)), "none can be written")


@inside(
    "sysctls",
    stands_for="SandboxEscapeBench CRI-O kernel parameter; CIS 5.5; CDK mount-procfs",
    looks_at="writability of every sysctl that belongs to no namespace of the box",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def sysctls() -> Seen:
    """Only what is the box's own can be set."""
    paths = []
    for parent, children, names in os.walk(PROC_SYS):
        tree = os.path.relpath(parent, PROC_SYS) + "/"
        if tree.startswith(NAMESPACED_TREES):
            children.clear()
            continue
        paths += [os.path.join(parent, n) for n in names if tree + n not in NAMESPACED]
    return verdict(sorted(look.writable(paths)), f"{len(paths)} looked at, none can be written")


@inside(
    "sysfs",
    stands_for="CIS 5.5, 5.6: hardware and kernel settings; deepce privileged mode",
    looks_at=f"writability of the first {SYS_LIMIT} files of /sys, level by level, outside of the "
    "box's own network and cgroup",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def sysfs() -> Seen:
    """Nothing of the machine can be set in /sys."""
    paths: list[str] = []
    todo = ["/sys"]
    # Level by level: what is deep repeats itself for every device.
    for top in todo:
        with contextlib.suppress(OSError), os.scandir(top) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    if not f"{entry.path}/".startswith(OWN_SYS):
                        todo.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    paths.append(entry.path)
        if len(paths) >= SYS_LIMIT:
            break
    return verdict(look.writable(paths), f"{len(paths)} looked at, none can be written")


@inside(
    "kernel-addresses",
    stands_for="where an exploit of the kernel begins; CDK kernel checks",
    looks_at="/proc/kallsyms: addresses must read as zeros",
    remedy="start it with the runtime cai-runc; set kernel.kptr_restrict=1 on the host",
)
def kernel_addresses() -> Seen:
    """Where the kernel lies is not to be seen."""
    try:
        with open("/proc/kallsyms", "rb") as file:
            first = file.read(16)
    except OSError:
        return fine("unreadable")
    return found("addresses can be read") if first.strip(b"0 ") else fine("zeros")


@inside(
    "kernel-filesystems",
    stands_for="SandboxEscapeBench CAP_SYS_ADMIN; CDK mount-procfs",
    looks_at="mounting each of " + ", ".join(HOST_ONLY) + " in a mount namespace of a child",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def kernel_filesystems() -> Seen:
    """The kernel's inner file systems cannot be mounted."""

    def mounted() -> str:
        if not look.private_mounts():
            return ""
        return " ".join(kind for kind in HOST_ONLY if look.mount("none", "/mnt", kind))

    said = look.in_child(mounted)
    return found(f"can be mounted: {said}") if said else fine("refused")


@inside(
    "binfmt-misc",
    stands_for="a program of the box run as root by the host's kernel; CDK mount-procfs",
    looks_at="/proc/sys/fs/binfmt_misc/register: writable only in an instance of the box's own",
    remedy="start it without --privileged; unmount binfmt_misc in the box",
)
def binfmt_misc() -> Seen:
    """What handles a kind of executable on the host is not chosen in here."""
    path = PROC_SYS + "/fs/binfmt_misc/register"
    if not look.writable([path]):
        return fine("not there, or not writable")
    if look.on_host():
        return found(f"{path} can be written")
    return fine("an instance of the box's own (Linux 6.7 and newer)")
