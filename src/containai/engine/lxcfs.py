"""lxcfs, which gives boxes a /proc of their own limits: started and stopped with the engine.

`cai-runc lxcfs` keeps it alive. It is optional: without it a box sees the host's figures. It is
ours alone: Debian's lxcfs.service is not used, and may run beside it.
"""

import fcntl
import os
import signal
import struct
import time

from containai.errors import EngineError
from containai.host import files, machine, proc, processes
from containai.layout import Layout

#: As Debian and Ubuntu have it. It runs as root: not looked up on a user's PATH.
PROGRAM = "/usr/bin/lxcfs"
DEVICE = "/dev/fuse"
_START_TIMEOUT = 2.0
_STOP_TIMEOUT = 15.0


def missing() -> str:
    """Return what keeps lxcfs from running on this machine, or nothing."""
    return next((path for path in (PROGRAM, DEVICE) if not os.path.exists(path)), "")


def keeper(layout: Layout) -> int:
    """Return the pid of the process that keeps our lxcfs alive, or 0: who holds its lock.

    Only root may ask that; others get what the process has written, where that is likely true.
    """
    try:
        fd = os.open(layout.lxcfs_lock, os.O_RDONLY | os.O_CLOEXEC)
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
        pid = int(files.read(layout.lxcfs_pidfile) or "0")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        ours = b"lxcfs" in words and os.fsencode(layout.runtime_dir) in b"".join(words)
        return pid if ours and processes.look(pid) is not None else 0
    except PermissionError:
        return pid  # a /proc that hides other users' processes (hidepid)
    except (OSError, ValueError):
        return 0


def start(layout: Layout) -> None:
    """Start it where it can run and does not. A failure is in its log, and keeps nobody waiting."""
    if missing() or keeper(layout) or not os.path.exists(layout.runtime_program):
        return
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "start", layout.lxcfs_unit], root=True, ok=None, timeout=30)
    else:
        proc.run(["mkdir", "-p", os.path.dirname(layout.lxcfs_log)], root=True)
        proc.start([layout.runtime_program, "lxcfs"], log=layout.lxcfs_log)
        # The next box should have it. Where it does not come up, a box goes without.
        deadline = time.monotonic() + _START_TIMEOUT
        while not keeper(layout) and time.monotonic() < deadline:
            time.sleep(0.01)


def stop(layout: Layout) -> None:
    """Stop it. What boxes had of it is gone from them then: they see the kernel's own files."""
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "stop", layout.lxcfs_unit], root=True, ok=None, timeout=30)
        return
    pid = keeper(layout)
    found = processes.look(pid)
    # Looked at between two answers of the kernel's: it is the one that has the lock.
    if not pid or found is None or keeper(layout) != pid:
        return
    processes.send(signal.SIGTERM, [found])
    deadline = time.monotonic() + _STOP_TIMEOUT
    while keeper(layout) == pid:
        if time.monotonic() > deadline:
            raise EngineError(
                f"lxcfs (pid {pid}) did not end within {_STOP_TIMEOUT:g} s",
                hint=f"see: {layout.lxcfs_log}",
            )
        time.sleep(0.02)


def unit(layout: Layout) -> str:
    """Return its systemd unit, which the engine's wants."""
    return f"""\
[Unit]
Description=lxcfs for ContainAI's boxes
Documentation=man:lxcfs(1)
ConditionPathExists={PROGRAM}
ConditionPathExists={DEVICE}

[Service]
Type=notify
ExecStart={layout.runtime_program} lxcfs
KillMode=mixed
# What a box holds in the kernel does not end; nobody waits for it.
TimeoutStopSec=12
Restart=always
RestartSec=1
OOMScoreAdjust=-500
"""
