"""lxcfs, which gives boxes a /proc of their own limits: started and stopped with the engine.

`cai-runc lxcfs` keeps it alive. It is optional: without it a box sees the host's figures. It is
ours alone: Debian's lxcfs.service is not used, and may run beside it.
"""

import fcntl
import os
import struct

from containai.host import files, processes
from containai.host.processes import Process
from containai.host.service import Kind, Service
from containai.layout import Layout

#: As Debian and Ubuntu have it. It runs as root: not looked up on a user's PATH.
PROGRAM = "/usr/bin/lxcfs"
DEVICE = "/dev/fuse"


def missing() -> str:
    """Return what keeps lxcfs from running on this machine, or nothing."""
    return next((path for path in (PROGRAM, DEVICE) if not os.path.exists(path)), "")


def keeper(layout: Layout) -> int:
    """Return the pid of the process that keeps our lxcfs alive, or 0: who holds its lock.

    Only root may ask that; others get what the process has written, where that is likely true.
    """
    try:
        fd = os.open(layout.lxcfs_lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return _told(layout)
    except OSError:
        return 0
    flock = "hhqqi4x"  # struct flock (fcntl(2)) on 64-bit Linux
    try:
        asked = struct.pack(flock, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(flock, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        return 0 if kind == fcntl.F_UNLCK else int(pid)
    finally:
        os.close(fd)


def _told(layout: Layout) -> int:
    """Return the pid in the keeper's file if it is of a process of root's with its command line."""
    try:
        pid = int(files.read_if_whole(layout.lxcfs_pidfile) or "0")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        ours = b"lxcfs" in words and os.fsencode(layout.runtime_dir) in b"".join(words)
        return pid if ours and processes.look(pid) is not None else 0
    except PermissionError:
        return pid  # a /proc that hides other users' processes (hidepid)
    except (OSError, ValueError):
        return 0


def _find(layout: Layout) -> list[Process]:
    pid = keeper(layout)
    process = processes.look(pid)
    # Looked at between two answers of the kernel's: it is the one that has the lock.
    return [process] if pid and process is not None and keeper(layout) == pid else []


def service(layout: Layout) -> Service:
    """Return it as a service, which the engine wants.

    The next box should have it: a start waits a moment. Once it stops, what boxes had of it is gone
    from them: they see the kernel's own files.
    """
    return Service(
        name="lxcfs",
        unit=layout.lxcfs_unit,
        log=layout.lxcfs_log,
        start_timeout=2.0,
        stop_timeout=15.0,
        find=lambda: _find(layout),
        ready=lambda: keeper(layout) != 0,
        kind=Kind.NOTIFY,
        description="lxcfs for ContainAI's boxes",
        documentation="man:lxcfs(1)",
        optional=True,
        conditions=(PROGRAM, DEVICE),
        argv=(layout.runtime_program, "lxcfs"),
        service_lines=(
            "KillMode=mixed",
            "# What a box holds in the kernel does not end; nobody waits for it.",
            "TimeoutStopSec=12",
            "Restart=always",
            "RestartSec=1",
            "OOMScoreAdjust=-500",
        ),
    )
