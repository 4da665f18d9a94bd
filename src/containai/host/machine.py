"""This machine, as one object: its programs and processes, its facts, and where things are on it.

What is done to the machine goes through it, so that something else can stand in (`host/fake.py`).
"""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from containai.host import disks, files
from containai.host.proc import Done, Programs
from containai.layout import Layout, is_below
from containai.work.user import User

if TYPE_CHECKING:
    from containai.host.surroundings import Surroundings


#: How long a program may take to say its version, in seconds.
_VERSION_TIMEOUT = 60.0


class Capacity(NamedTuple):
    """What a machine has for boxes: bytes of memory and of swap, processors, processes.

    `disk` is the size of the file system that boxes are on, in bytes; `no_quota` says why nothing
    on it can have a limit, "" that it can.
    """

    memory: int
    swap: int
    processors: int
    processes: int
    disk: int = 0
    no_quota: str = ""


class Machine(Programs):
    """The machine that this runs on."""

    def __init__(
        self,
        layout: Layout,
        *,
        elsewhere: Callable[[], Sequence[str]] = tuple,
        carried: Callable[[], tuple[bool, bool]] = lambda: (True, True),
        say: Callable[[str], object] = str,
    ) -> None:
        """`elsewhere` says where programs are that the system's directories do not have.

        `carried`: whether certificates, and whether proxies of this machine are for boxes, too.
        """
        super().__init__(elsewhere=elsewhere)
        self.layout = layout
        #: Called with what takes long and nobody asked for: that the engine is started.
        self.say = say
        self._carried = carried
        self._told: dict[tuple[str, int, int], tuple[Lock, list[Done]]] = {}

    @cached_property
    def surroundings(self) -> "Surroundings":
        """What the network asks of programs here. Raises ContainAIError for what is damaged."""
        from containai.host import surroundings

        certificates, proxies = self._carried()
        return surroundings.look(self, certificates=certificates, proxies=proxies)

    def invoker(self) -> User | None:
        """Return who went through sudo to be root here, or None.

        Only root is believed: the variable is anybody's to set.
        """
        import pwd

        uid = os.environ.get("SUDO_UID", "")
        if not self.is_root() or not uid.isdigit() or uid == "0":
            return None
        try:
            entry = pwd.getpwuid(int(uid))
        except KeyError:
            return None
        return User(entry.pw_name, entry.pw_dir)

    def user_name(self, uid: int) -> str:
        """Return the name of a user of this machine, or what else to call one."""
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except (KeyError, OverflowError):
            return f"user {uid}" if uid >= 0 else "nobody known"

    def has_user(self, uid: int) -> bool:
        """Whether there is a user of that id."""
        import pwd

        try:
            return pwd.getpwuid(uid).pw_uid == uid
        except (KeyError, OverflowError):
            return False

    def login_shell(self, uid: int) -> str:
        """Return the shell that a user logs in with, or "" where that is not known."""
        import pwd

        try:
            return pwd.getpwuid(uid).pw_shell
        except KeyError:
            return ""

    def group_members(self, name: str) -> list[str] | None:
        """Return the users in a group of that name, or None where there is no such group."""
        import grp

        try:
            return list(grp.getgrnam(name).gr_mem)
        except KeyError:
            return None

    def group_id(self, name: str) -> int | None:
        """Return the number of the group of that name, or None where there is no such group."""
        import grp

        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    def is_roots(self, uid: int) -> bool:
        """Whether what a user id owns is root's."""
        return uid == 0

    def ssh_version(self) -> tuple[int, int]:
        """Return the version of OpenSSH's client, (0, 0) where that cannot be told."""
        from containai.host import openssh

        return openssh.version(self)

    def told_version(self, program: str) -> Done:
        """Return how a program ended that was asked its version: once, while it is the same file.

        dockerd takes a tenth of a second for it. Raises ProcessError for one that is missing, or
        says nothing for long.
        """
        path = self.which(program) or program
        try:
            seen = os.stat(path)
        except OSError:
            return self.run([program, "--version"], ok=None, timeout=_VERSION_TIMEOUT)
        lock, told = self._told.setdefault((path, seen.st_ino, seen.st_mtime_ns), (Lock(), []))
        # Whoever asks at the same time waits for that answer.
        with lock:
            if not told:
                told.append(self.run([program, "--version"], ok=None, timeout=_VERSION_TIMEOUT))
        return told[0]

    def is_wsl(self) -> bool:
        """Whether this is the Windows Subsystem for Linux, by what its kernel says of itself.

        One of another's making does not: then by the directory that WSL's init makes.
        """
        says_so = "microsoft" in (files.read("/proc/version") or "").lower()
        return says_so or os.path.isdir("/run/WSL")

    def selinux_enforcing(self) -> bool:
        """Whether SELinux is on and denies (selinux(8))."""
        return (files.read("/sys/fs/selinux/enforce") or "").strip() == "1"

    def has_ipv6(self) -> bool:
        """Whether the kernel knows IPv6."""
        return os.path.exists("/proc/sys/net/ipv6/conf/lo")

    def has_systemd(self) -> bool:
        """Whether systemd is PID 1 (sd_booted(3): this directory exists exactly then)."""
        return os.path.isdir("/run/systemd/system")

    def kernel(self) -> tuple[int, int]:
        """Return the kernel's major and minor version."""
        major, minor = os.uname().release.split(".")[:2]
        return int(major), int("".join(c for c in minor if c.isdigit()) or "0")

    def os_release(self) -> dict[str, str]:
        """Return /etc/os-release (os-release(5)) as a dictionary."""
        import shlex

        pairs = {}
        for line in (files.read("/etc/os-release") or "").splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.startswith("#"):
                pairs[key] = "".join(shlex.split(value))
        return pairs

    def mounted_in(self, path: str) -> list[str]:
        """Return where something is mounted below a directory (proc(5), mountinfo)."""
        points = (point for point, _ in _mounts())
        return list(dict.fromkeys(p for p in points if p.startswith(path.rstrip("/") + "/")))

    def file_system(self, path: str) -> str:
        """Return the type of the file system that a real path is on (proc(5), mountinfo)."""
        found, longest = "", ""
        for point, kind in _mounts():
            # Of two at one place the last is on top.
            if is_below(path, point) and len(point) >= len(longest):
                found, longest = kind, point
        return found

    def mount_point(self, path: str) -> str:
        """Return where the file system that a real path is on is mounted."""
        inside = [point for point, _ in _mounts() if is_below(path, point)]
        return max(inside, key=len, default="/")

    def processors(self) -> list[int]:
        """Return the numbers of the processors that are online."""
        return cpu_list(files.read("/sys/devices/system/cpu/online") or "0")

    def capacity(self) -> Capacity:
        """Return what this machine has for boxes."""
        sizes = _memory()
        path = self.layout.engine_data
        return Capacity(
            sizes.get("MemTotal", 0),
            sizes.get("SwapTotal", 0),
            len(self.processors()),
            int(files.read("/proc/sys/kernel/pid_max") or 1 << 15),
            disks.size(path),
            disks.without_quota(path, files.read("/proc/self/mountinfo") or ""),
        )

    def free_memory(self) -> int:
        """Return how much memory nobody needs, in bytes (proc(5), MemAvailable)."""
        return _memory().get("MemAvailable", 0)

    def free_bytes(self, path: str) -> int:
        """Return how much a path's file system has left for us, in bytes.

        The path need not exist yet; its nearest existing parent counts.
        """
        seen = _file_system(path)
        return seen.f_bavail * seen.f_frsize

    def free_inodes(self, path: str) -> int | None:
        """Return how many files can still be made there, or None where nobody counts them."""
        seen = _file_system(path)
        return seen.f_favail if seen.f_files else None


def _file_system(path: str) -> os.statvfs_result:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.statvfs(path)


def cpu_list(text: str) -> list[int]:
    """Return the numbers in a list like "0-2,5" (cpuset(7), "List format")."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _mounts() -> list[tuple[str, str]]:
    """Return where something is mounted, and its type, in the order of mounting."""
    found = []
    for line in (files.read("/proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        escaped = before.split(" ")[4].split("\\")
        point = escaped[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in escaped[1:])
        found.append((point, after.split(" ")[0]))
    return found


def _memory() -> dict[str, int]:
    """Return what /proc/meminfo says, in bytes (proc(5))."""
    lines = (line.partition(":") for line in (files.read("/proc/meminfo") or "").splitlines())
    return {key: int(value.split()[0]) << 10 for key, _, value in lines}
