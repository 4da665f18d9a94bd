"""This machine, as one object: its programs and processes, its facts, and where things are on it.

What is done to the machine goes through it, so that something else can stand in (`host/fake.py`).
"""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from containai.host import files
from containai.host.proc import Programs
from containai.layout import Layout
from containai.work.user import User

if TYPE_CHECKING:
    from containai.host.surroundings import Surroundings


class Machine(Programs):
    """The machine that this runs on."""

    def __init__(
        self,
        layout: Layout,
        *,
        elsewhere: Callable[[], Sequence[str]] = tuple,
        carried: Callable[[], tuple[bool, bool]] = lambda: (True, True),
    ) -> None:
        """`elsewhere` says where programs are that the system's directories do not have.

        `carried`: whether certificates, and whether proxies of this machine are for boxes, too.
        """
        super().__init__(elsewhere=elsewhere)
        self.layout = layout
        self._carried = carried

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

    def group_members(self, name: str) -> list[str] | None:
        """Return the users in a group of that name, or None where there is no such group."""
        import grp

        try:
            return list(grp.getgrnam(name).gr_mem)
        except KeyError:
            return None

    def is_wsl(self) -> bool:
        """Whether this is the Windows Subsystem for Linux, by what its kernel says of itself."""
        return "microsoft" in (files.read("/proc/version") or "").lower()

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
        points: dict[str, None] = {}
        for line in (files.read("/proc/self/mountinfo") or "").splitlines():
            escaped = line.split(" ")[4].split("\\")
            point = escaped[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in escaped[1:])
            if point.startswith(path.rstrip("/") + "/"):
                points[point] = None
        return list(points)

    def processors(self) -> list[int]:
        """Return the numbers of the processors that are online."""
        return cpu_list(files.read("/sys/devices/system/cpu/online") or "0")

    def free_bytes(self, path: str) -> int:
        """Return how much a path's file system has left for us, in bytes.

        The path need not exist yet; its nearest existing parent counts.
        """
        while not os.path.exists(path):
            path = os.path.dirname(path)
        seen = os.statvfs(path)
        return seen.f_bavail * seen.f_frsize


def cpu_list(text: str) -> list[int]:
    """Return the numbers in a list like "0-2,5" (cpuset(7), "List format")."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
