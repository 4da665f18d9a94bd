"""/proc that tells a container's own limits: lxcfs, kept alive, and its files for containers.

lxcfs is a FUSE daemon. It is mounted in a mount namespace of its own (a private /run in it holds
the mount), never on the host; with its last process it is gone. `create` takes copies of its files
from there. Where lxcfs does not run, a container sees the kernel's own files.
"""

import contextlib
import fcntl
import os
import signal
import struct
import time

from . import oom, syscalls
from .reconnect import FILES, Reconnector

#: Where lxcfs is mounted, in its own mount namespace.
MOUNT = "/run/cai-lxcfs"
#: What lxcfs may take until it is mounted, in seconds.
MOUNT_TIMEOUT = 10.0
#: Whoever crashes sooner than this many seconds waits before it is started again.
STEADY = 10.0
#: So often it may crash in a row before containers are shown the kernel's own files, and keep those
#: until they are started again: for less, theirs are dead for a moment.
CRASHES = 3
#: Directories of the host that lxcfs itself needs.
_NEEDED = ("proc", "sys", "dev", "usr", "bin", "sbin", "lib", "lib64", "etc")

_FLOCK = "hhqqi4x"  # struct flock (fcntl(2)) on 64-bit Linux


def holder(state: str) -> int:
    """Return the pid of the process that keeps lxcfs alive, or 0. The kernel knows it: its lock."""
    try:
        fd = os.open(_lock_path(state), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        return 0 if kind == fcntl.F_UNLCK else int(pid)
    finally:
        os.close(fd)


def _lock_path(state: str) -> str:
    return os.path.join(state, "lxcfs.lock")


def trees(state: str) -> dict[str, int]:
    """Return a detached, read-only mount of each file of the running lxcfs; none where it is down.

    Keys are the paths in a container, values descriptors.
    """
    pid = holder(state)
    if pid <= 0:
        return {}
    here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    directory = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}  # it has just ended
    try:
        if holder(state) != pid:
            return {}  # and its number may be another's by now
        syscalls.enter(there, syscalls.CLONE_NEWNS)
        try:
            return _trees()
        finally:
            syscalls.enter(here, syscalls.CLONE_NEWNS)
            os.fchdir(directory)
    finally:
        for fd in (here, there, directory):
            os.close(fd)


def _trees() -> dict[str, int]:
    files: dict[str, int] = {}
    for path in FILES:
        try:
            fd = os.open(MOUNT + path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not mounted, dead, or a version without this file
        try:
            files[path] = syscalls.open_tree(fd, 0)
            syscalls.set_attributes(files[path], syscalls.MOUNT_ATTR_SYSFS)
        finally:
            os.close(fd)
    return files


class Keeper:
    """Runs one lxcfs and starts it again when it dies.

    Containers that hold files of a dead one get those of its successor: until then reading them
    fails (ENOTCONN). `name` tells our lxcfs from any other in a mount table.
    """

    def __init__(self, state: str, program: str, name: str) -> None:
        self.state, self.program, self.name = state, program, name
        self._reconnector = Reconnector(name, _trees)
        self._child = 0
        self._ending = False

    def run(self) -> int:
        """Keep lxcfs alive until SIGTERM. Returns an exit code."""
        if not self._lock():
            return 0  # another keeper was faster
        notify = _notifier()
        # Before it leaves the host's mounts: cgroups are there.
        oom.start(self.state)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        _leave_host()
        pause, crashes = 0.0, 0
        while not self._ending:
            began = time.monotonic()
            if self._start():
                self._reconnector.run(live=os.stat(MOUNT).st_dev)
                self._end_orphans()
                notify()
            self._wait()
            if time.monotonic() - began > STEADY:
                pause, crashes = 0.0, 0
            elif not self._ending:
                crashes += 1
                if crashes >= CRASHES:
                    self._reconnector.run(live=None)
                pause = min(pause * 2 or 0.1, 60.0)
                _say(f"lxcfs ended after {time.monotonic() - began:.1f} s; again in {pause:g} s")
                self._sleep(pause)
        self._reconnector.run(live=None)
        self._reconnector.end()
        return 0

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._ending and time.monotonic() < deadline:
            time.sleep(0.1)

    def _lock(self) -> bool:
        os.makedirs(self.state, mode=0o711, exist_ok=True)
        # Never closed: a record lock goes with any descriptor of its file.
        self._held = os.open(_lock_path(self.state), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Who may read it could lock it, and keep us from starting.
        os.fchmod(self._held, 0o600)
        try:
            fcntl.lockf(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._tell()
        return True

    def _tell(self) -> None:
        """Write our pid where users read it, who cannot ask the lock."""
        path = os.path.join(self.state, "lxcfs.pid")
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o644)
            file.write(f"{os.getpid()}\n")
        os.rename(path + ".new", path)

    def _end(self, *_: object) -> None:
        self._ending = True
        if self._child:
            # It has no state. On SIGTERM it leaves its files dead for the seconds that it takes.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)

    def _start(self) -> bool:
        """Start lxcfs; return whether it is mounted."""
        argv = [
            self.program,
            "-f",
            "--pidfile", MOUNT + ".pid",
            "--enable-loadavg",
            "--enable-cfs",
            "-o", f"allow_other,fsname={self.name},subtype=lxcfs",
            MOUNT,
        ]  # fmt: skip
        self._child = os.posix_spawn(self.program, argv, os.environ)
        deadline = time.monotonic() + MOUNT_TIMEOUT
        while not os.path.ismount(MOUNT):
            if os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return False
            if time.monotonic() > deadline:
                os.kill(self._child, signal.SIGKILL)
                return False
            time.sleep(0.01)
        return True

    def _wait(self) -> None:
        # Of the others, those that a box has let go end now and then.
        while (ended := os.wait()[0]) != self._child:
            self._reconnector.held.pop(ended, None)
        self._child = 0
        with contextlib.suppress(OSError):
            syscalls.unmount(MOUNT)

    def _end_orphans(self) -> None:
        """End the lxcfs of a killed predecessor: no container has a file of it any more.

        What is in a container cannot pass for one: it is never uid 0 out here, or not lxcfs. The
        descriptor is of the process that was looked at, whoever has its pid by then.
        """
        wanted = f"allow_other,fsname={self.name},subtype=lxcfs".encode()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
                if wanted not in words or pid == self._child:
                    continue
                held = os.pidfd_open(pid)
                try:
                    if self._is_lxcfs(pid, wanted):
                        signal.pidfd_send_signal(held, signal.SIGKILL)
                finally:
                    os.close(held)

    def _is_lxcfs(self, pid: int, wanted: bytes) -> bool:
        """Whether a process is the host root's, and runs lxcfs, with a word."""
        with open(f"/proc/{pid}/status", "rb") as file:
            root = b"\nUid:\t0\t0\t0\t0\n" in file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        # One that a package exchanged on disk since is still the one.
        path = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        name = os.path.basename(os.path.realpath(self.program))
        return root and wanted in words and os.path.basename(path) == name


def _leave_host() -> None:
    """Enter a mount namespace of our own, with a place to mount lxcfs at."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", "none", syscalls.MS_REC | syscalls.MS_SLAVE)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split(" ")[4] for line in file]
    for point in reversed(points):
        # Where the host's mounts are private, a copy here would keep a disk busy that is unmounted
        # there. Names with blanks are escaped in that file, and stay.
        if point != "/" and point.split("/")[1] not in _NEEDED:
            with contextlib.suppress(OSError):
                syscalls.unmount(point)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("cai-lxcfs", "/run", "tmpfs", flags, "mode=700,size=1m")
    os.mkdir(MOUNT)


def _notifier() -> "_Notifier":
    return _Notifier(os.environ.get("NOTIFY_SOCKET", ""))


class _Notifier:
    """Tells systemd that we are ready (sd_notify(3)). Connected before /run is hidden."""

    def __init__(self, address: str) -> None:
        self._socket = None
        if address:
            import socket

            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)

    def __call__(self) -> None:
        if self._socket is not None:
            self._socket.send(b"READY=1")


def _say(message: str) -> None:
    os.write(2, f"cai-runc: {message}\n".encode())
