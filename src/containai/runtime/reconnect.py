"""Files of lxcfs in running containers, replaced when there is another lxcfs.

It is done from within a container's mount namespaces, where a file system of the container's own
may be in the way and not answer. Whoever waits for one cannot always be killed: what a FUSE server
has read has to be waited out (request_wait_answer() in fs/fuse/dev.c). So a child does it for each
box, all of them at the same time, and is left behind after a while: one that is only slow, as
where the machine has too much to do, goes on by itself. One that is held ends with what holds it,
which is in its box, and no later than when there is a newer lxcfs.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import syscalls
from .ranges import SIZE

#: The files that lxcfs has a container's own version of, where they are in a container.
FILES = (
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/swaps",
    "/proc/diskstats",
    "/sys/devices/system/cpu/online",
)
#: How long a box's own file systems may keep us, in seconds.
TIMEOUT = 5.0
#: How long one that is killed, and not held, may take to end, in seconds.
ENDS = 1.0


class Stale(NamedTuple):
    """A file of an lxcfs that is no longer ours, mounted in some mount namespace."""

    path: str
    file: str


class Namespace(NamedTuple):
    """A mount namespace, by its inode, and a process that is in it."""

    inode: int
    pid: int


def stale(mountinfo: str, name: str, live: int | None) -> list[Stale]:
    """Return the mounted files of an lxcfs of this name whose device is not `live`.

    `mountinfo` is as in proc(5).
    """
    files = []
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if not dash or kind[:2] != ["fuse.lxcfs", name]:
            continue
        major, minor = map(int, fields[2].split(":"))
        if os.makedev(major, minor) != live and fields[3] in FILES:
            files.append(Stale(fields[4], fields[3]))
    return files


class Reconnector:
    """Replaces the files of any other lxcfs of a name in every mount namespace but our own.

    `fresh` returns detached mounts of the running one's, by their paths in a container.
    """

    def __init__(self, name: str, fresh: Callable[[], dict[str, int]]) -> None:
        self._name, self._fresh = name, fresh
        #: Children that were left behind, each with its box: at most one a box.
        self.held: dict[int, int] = {}

    def run(self, live: int | None) -> None:
        """Replace all files, and wait for that at most TIMEOUT seconds.

        `live` is the device of the running lxcfs; None takes them away, and the kernel's show.
        """
        self.end()
        children = {}
        for box, namespaces in boxes(os.stat("/proc/self/ns/mnt").st_ino).items():
            if box not in self.held.values():
                child = os.fork()
                if child == 0:
                    self._child(namespaces, live)
                children[child] = box
        deadline = time.monotonic() + TIMEOUT
        while children and time.monotonic() < deadline:
            children = {pid: box for pid, box in children.items() if not _ended(pid)}
            time.sleep(0.002)
        self.held |= children

    def end(self) -> None:
        """End the children that were left behind, and forget them, but for those that are held."""
        for pid in self.held:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + ENDS
        while self.held and time.monotonic() < deadline:
            self.held = {pid: box for pid, box in self.held.items() if not _ended(pid)}
            time.sleep(0.002)

    def _child(self, namespaces: list[Namespace], live: int | None) -> None:
        """Replace files in these namespaces, and end. Nothing may be imported or executed."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # From then on /proc is the container's.
            proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            for namespace in namespaces:
                with contextlib.suppress(OSError), _opened(proc, namespace) as (there, mountinfo):
                    files = stale(mountinfo, self._name, live)
                    new = self._fresh() if files and live is not None else {}
                    if files:
                        syscalls.enter(there, syscalls.CLONE_NEWNS)
                        try:
                            _replace(files, new)
                        finally:
                            syscalls.enter(here, syscalls.CLONE_NEWNS)
        finally:
            os._exit(0)


def boxes(own: int) -> dict[int, list[Namespace]]:
    """Return the mount namespaces of this machine but our own, by whose they are.

    A box has its range of ids; all that is the host's counts as one more.
    """
    seen: dict[int, tuple[int, int]] = {}
    for pid in sorted(map(int, filter(str.isdigit, os.listdir("/proc")))):
        with contextlib.suppress(OSError, ValueError, IndexError):
            inode = os.stat(f"/proc/{pid}/ns/mnt").st_ino
            # Who enters a box is the host's for a moment.
            if inode != own and not seen.get(inode, (0, 0))[0]:
                seen[inode] = (_user(pid) // SIZE, pid)
    namespaces: dict[int, list[Namespace]] = {}
    for inode, (box, pid) in seen.items():
        namespaces.setdefault(box, []).append(Namespace(inode, pid))
    return namespaces


def _user(pid: int) -> int:
    with open(f"/proc/{pid}/status", "rb") as file:
        return int(file.read().partition(b"\nUid:")[2].split(None, 1)[0])


@contextlib.contextmanager
def _opened(proc: int, namespace: Namespace) -> Iterator[tuple[int, str]]:
    """Open a mount namespace through a process in it; also yield its mountinfo.

    The process may end meanwhile, and another get its number: what was opened counts.
    Raises OSError where it is not in that namespace.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    with contextlib.ExitStack() as done:

        def opened(path: str, directory: int, flags: int) -> int:
            fd = os.open(path, flags, dir_fd=directory)
            done.callback(os.close, fd)
            return fd

        process = opened(str(namespace.pid), proc, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        there = opened("ns/mnt", process, flags)
        with open(opened("mountinfo", process, flags), "rb", closefd=False) as file:
            mountinfo = file.read().decode(errors="replace")
        for seen in (os.fstat(there), os.stat("ns/mnt", dir_fd=process)):
            if seen.st_ino != namespace.inode:
                raise ProcessLookupError(namespace.pid)
        yield there, mountinfo


def _replace(files: list[Stale], new: dict[str, int]) -> None:
    """Replace files in the mount namespace that we are in.

    All paths are resolved in it and stay in it: whatever links the container made, only its own
    mounts change.
    """
    for path, file in files:
        with contextlib.suppress(OSError):
            syscalls.unmount(path)
            # Once only: attached again, it would move.
            if (tree := new.pop(file, -1)) >= 0:
                try:
                    syscalls.attach(tree, path)
                finally:
                    os.close(tree)
    for tree in new.values():
        os.close(tree)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True  # waited for already
