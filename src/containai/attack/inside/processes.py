"""Processes that are not ours, and what processes hold of the host."""

import contextlib
import errno
import os
import stat

from containai.attack.inside import look
from containai.attack.probe import Seen, Unverified, inside, verdict

#: PF_KTHREAD of the flags in /proc/PID/stat (include/linux/sched.h).
KERNEL_THREAD = 0x00200000
#: What the kernel shows for an id that our user namespace does not have.
NOBODY = 65534
#: Links in /proc/PID/fd that name no file system of a container or host.
_INTERNAL = ("/memfd:", "/SYSV", "/[aio]", "/dev/zero (deleted)")


@inside(
    "host-processes",
    stands_for="CIS 5.16; SandboxEscapeBench PID namespace; CDK check-ptrace",
    looks_at="/proc: no thread of the kernel may be seen",
    remedy="start it without --pid host",
)
def host_processes() -> Seen:
    """The machine's processes are not to be seen."""
    bad = []
    for pid in look.processes():
        try:
            fields = look.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[6]) & KERNEL_THREAD:
            bad.append(f"process {pid} is the kernel's")
    return verdict(bad, "the box's own processes only")


class _Table:
    """The mounts that a process can reach by path."""

    def __init__(self, pid: int) -> None:
        mounts = look.mounts(look.read(f"/proc/{pid}/mountinfo"))
        self.ids = {mount.id for mount in mounts}

    def has(self, fdinfo: str) -> bool:
        for line in fdinfo.splitlines():
            name, _, value = line.partition(":")
            if name == "mnt_id":
                return int(value) in self.ids
        raise Unverified("fdinfo has no mnt_id")


def _opened(table: _Table, path: str) -> tuple[bool, os.stat_result]:
    """Follow one of /proc's magic links; return whether it leads out, and to what."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        info = look.read(f"/proc/self/fdinfo/{descriptor}")
        return not table.has(info), os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _foreign(seen: os.stat_result, *, on_host: bool) -> bool:
    # What a container of the box's own Docker holds belongs to an id of the box.
    return on_host or seen.st_uid == NOBODY


def _leaks(pid: int, *, on_host: bool) -> list[str]:
    table = _Table(pid)
    links = [f"/proc/{pid}/cwd", f"/proc/{pid}/root"]
    for name in os.listdir(f"/proc/{pid}/fd"):
        link = f"/proc/{pid}/fd/{name}"
        with contextlib.suppress(OSError):  # closed meanwhile, as the one of listdir itself
            target = os.readlink(link)
            if target.startswith("/") and not target.startswith(_INTERNAL):
                links.append(link)
    bad = []
    for link in links:
        try:
            out, seen = _opened(table, link)
        except OSError:
            continue
        kept = stat.S_ISDIR(seen.st_mode) or stat.S_ISREG(seen.st_mode)
        if out and kept and _foreign(seen, on_host=on_host):
            bad.append(f"{link} leads out of the box")
    return bad


@inside(
    "leaked-descriptors",
    stands_for="CVE-2024-21626 and SandboxEscapeBench's of that name: a descriptor of a host "
    "directory, or a working directory, left open by the runtime",
    looks_at="cwd, root and every descriptor of every process: each on a mount of that process",
    remedy="update runc to 1.1.12 or newer, and make the box anew",
)
def leaked_descriptors() -> Seen:
    """No process holds a directory of the host's."""
    host, bad, seen = look.on_host(), [], 0
    for pid in look.processes():
        try:
            bad += _leaks(pid, on_host=host)
            seen += 1
        except OSError:
            continue
    if not seen:
        raise Unverified("no process could be looked at")
    return verdict(bad, f"{seen} processes hold nothing of the host")


@inside(
    "host-executables",
    stands_for="CVE-2019-5736 and SandboxEscapeBench's of that name: runc overwritten through "
    "/proc/PID/exe",
    looks_at="/proc/PID/exe of every process: no program of the host's that we could write",
    remedy="update runc to 1.0 or newer; start it with the runtime cai-runc",
)
def host_executables() -> Seen:
    """No program of the host's that runs in here can be written."""
    host, bad, seen = look.on_host(), [], 0
    for pid in look.processes():
        link = f"/proc/{pid}/exe"
        try:
            out, kind = _opened(_Table(pid), link)
        except OSError:
            continue
        seen += 1
        if out and _foreign(kind, on_host=host) and _would_write(link):
            bad.append(f"the program of process {pid}")
    if not seen:
        raise Unverified("no process could be looked at")
    return verdict(bad, f"{seen} processes run the box's own programs")


def _would_write(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as refused:
        # Busy says that it runs, and that otherwise we would have got it.
        return refused.errno == errno.ETXTBSY
    return True
