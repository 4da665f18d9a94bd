"""What the probes in the box look with. Nothing here changes anything outside a child process."""

import ctypes
import os
import signal
import stat
from collections.abc import Callable
from typing import NamedTuple

from containai.attack.probe import Unverified

MS_REC, MS_PRIVATE = 0x4000, 0x40000
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUSER = 0x20000, 0x2000000, 0x10000000
#: An id map of the initial user namespace (user_namespaces(7)).
INITIAL_MAP = "0 0 4294967295"
#: How long a child may take, in seconds.
CHILD_TIMEOUT = 20


class Mount(NamedTuple):
    """A line of mountinfo (proc_pid_mountinfo(5))."""

    id: int
    device: str
    root: str
    point: str
    options: frozenset[str]
    peers: tuple[str, ...]
    kind: str
    source: str
    super_options: frozenset[str]


def mounts(text: str) -> list[Mount]:
    """Parse mountinfo."""
    rows = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        words, tail = left.split(" "), right.split(" ")
        rows.append(
            Mount(
                int(words[0]),
                words[2],
                unescaped(words[3]),
                unescaped(words[4]),
                frozenset(words[5].split(",")),
                tuple(words[6:]),
                tail[0],
                unescaped(tail[1]),
                frozenset(tail[2].split(",")),
            )
        )
    return rows


def unescaped(path: str) -> str:
    """Undo mountinfo's octal escapes of blanks and backslashes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def own_mounts() -> list[Mount]:
    """Return the mounts of this mount namespace."""
    return mounts(read("/proc/self/mountinfo"))


def read(path: str) -> str:
    """Return a file's text, at most 4 MiB. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(1 << 22).decode(errors="replace")


def can_open(path: str, flags: int) -> bool:
    """Whether a file opens with these flags. Nothing is read or written."""
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True


def writable(paths: list[str]) -> list[str]:
    """Return those of the paths that are files and that the kernel would let us write.

    A file that nobody may write has nothing that takes a write, whatever root may do.
    """
    return [path for path in paths if _takes_writes(path) and _may_write(path)]


def _takes_writes(path: str) -> bool:
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode) and bool(seen.st_mode & 0o222)


def _may_write(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def on_host() -> bool:
    """Whether root here is root of the host: the user namespace is the initial one."""
    return " ".join(read("/proc/self/uid_map").split()) == INITIAL_MAP


def status(field: str) -> str:
    """Return a field of our own /proc/self/status. Raises Unverified where it has none."""
    for line in read("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise Unverified(f"/proc/self/status has no {field}")


def processes() -> list[int]:
    """Return the ids of all processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def libc() -> ctypes.CDLL:
    """Return the C library, with errno kept."""
    return ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> bool:
    """Enter new namespaces; whether that was allowed. For children only."""
    return bool(libc().unshare(flags) == 0)


def mount(source: str, target: str, kind: str, options: str = "", flags: int = 0) -> bool:
    """Mount; whether that was allowed. Only for a child that has a mount namespace of its own."""
    words = [word.encode() if word else None for word in (source, target, kind)]
    return bool(libc().mount(*words, flags, options.encode() or None) == 0)


def private_mounts(flags: int = 0) -> bool:
    """Enter a mount namespace from which nothing propagates; whether that was allowed."""
    return unshare(CLONE_NEWNS | flags) and mount("", "/", "", flags=MS_REC | MS_PRIVATE)


def in_child(act: Callable[[], str]) -> str:
    """Run a function in a child process and return what it returned, or how the child died."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(CHILD_TIMEOUT)
            os.write(writer, act().encode()[:4000])
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if code > 0:
        raise Unverified("a child process of the probe failed")
    return said.decode()
