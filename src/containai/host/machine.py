"""Facts about this machine."""

import os

from containai.host import files


def has_systemd() -> bool:
    """Whether systemd is PID 1 (sd_booted(3): this directory exists exactly then)."""
    return os.path.isdir("/run/systemd/system")


def kernel() -> tuple[int, int]:
    """Return the kernel's major and minor version."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or "0")


def os_release() -> dict[str, str]:
    """Return /etc/os-release (os-release(5)) as a dictionary."""
    import shlex

    pairs = {}
    for line in (files.read("/etc/os-release") or "").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            pairs[key] = "".join(shlex.split(value))
    return pairs


def processors() -> list[int]:
    """Return the numbers of the processors that are online."""
    return cpu_list(files.read("/sys/devices/system/cpu/online") or "0")


def cpu_list(text: str) -> list[int]:
    """Return the numbers in a list like "0-2,5" (cpuset(7), "List format")."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def free_bytes(path: str) -> int:
    """Return how much a path's file system has left for us, in bytes.

    The path need not exist yet; its nearest existing parent counts.
    """
    while not os.path.exists(path):
        path = os.path.dirname(path)
    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize
