"""A spare box becomes a workspace's: it runs already, and gets what one made for it would have.

`:await` (main.py) leaves a process beside a container, which waits on a socket for one claim and
ends with it, or with the container. An exec would take ten times as long. Whoever may connect is
who the container is for, as long as they may use the engine: they could have that mount the same in
a container of their own.

The record is what makes it that workspace's, and is written last: killed before, or where whoever
asked has gone by then, it is a spare still, in which something is in the way: the socket stays
behind, by which cai knows it, and no second claim succeeds. Killed afterwards, it is a box.
"""

import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

from . import attach, attached, idmap, naming, staging, syscalls
from .attached import Record
from .config import Config
from .errors import RuntimeRefusal
from .ranges import SIZE, Range

#: How the socket is called, beside the record.
SOCKET = ".claim"
#: What has it wait for nothing any more: whoever removes a spare sees first that nobody gets it.
END = b"end\n"
#: What a claim may say, in bytes, and how long it may take to say it, in seconds.
LIMIT, PATIENCE = 1 << 16, 5.0
#: Where an image of ours has the host name (images/base: etc-files).
_NAMED = ("/etc", "/var/lib/containai/etc/before")
_FAILURES = (RuntimeRefusal, OSError, ValueError, TypeError, LookupError, RecursionError)


def parse(raw: bytes) -> Record:
    """Return what a claim says. Raises ValueError where it says none."""
    said = attached.parse(raw)
    if not said.hostname or said.added:
        raise ValueError("a claim says a hostname, and the mounts that are claimed")
    return said


def claim(
    config: Config,
    mine: Range,
    process: int,
    wanted: Record,
    asking: Callable[[], bool],
    copies: staging.Trees,
) -> None:
    """Give a container that runs what it would have been made with. Raises RuntimeRefusal.

    `asking` says at last whether somebody is there still who wants it.
    """
    claimed = tuple(attach.checked(config, each) for each in wanted.mounts)
    record = wanted._replace(claimed=claimed)
    with attach.changing(config, mine, process) as (lock, inside):
        if attached.read(config.attached, mine.container) != Record():
            raise RuntimeRefusal("it is somebody's already")
        old = record.replaced
        there = {
            each.destination
            for each in claimed
            if inside.points.count(each.destination) != old.count(each.destination)
        }
        if there:
            raise RuntimeRefusal(f"something is mounted there already: {', '.join(sorted(there))}")

        def act() -> None:
            attach.mount(inside, config.stage, placed, instead=old)
            syscalls.enter(inside.uts, syscalls.CLONE_NEWUTS)
            socket.sethostname(wanted.hostname)
            # Its own files by now, and what they are compared with at the next boot.
            for files in _NAMED:
                if os.path.exists(os.path.join(files, "hosts")):
                    naming.tell(files, wanted.hostname)

        with attach.trees(config, mine, record.mounts, copies) as placed:
            attach.in_child(lock, act)
        try:
            if not asking():
                raise RuntimeRefusal("whoever wanted it has gone")
            attached.write(config.attached, mine.container, record)
        except (RuntimeRefusal, OSError):
            # Nobody's workspace stays in what is nobody's.
            off = [each.destination for each in reversed(record.mounts)]
            attach.in_child(lock, lambda: attach.unmount(inside, off))
            raise


def wait(config: Config, mine: Range, process: int, owner: int) -> None:
    """Have a process wait for a claim, where none does yet: of that user's, or of root's."""
    os.makedirs(config.attached, mode=0o711, exist_ok=True)
    # By descriptor: a socket's path holds 107 bytes (unix(7)).
    directory = os.open(config.attached, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{directory}/{mine.container}{SOCKET}"
    if _is_heard(path):
        return
    end = os.pidfd_open(process)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o777)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    # Whoever has left the engine's group, or goes through sudo, is nobody here.
    os.chown(path, 0, os.stat(config.given).st_gid)
    os.chmod(path, 0o660)
    listener.listen()
    if child := os.fork():
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _become_nobodys()
            if _serve(config, mine, process, owner, listener, end):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
    finally:
        os._exit(0)


def _is_heard(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except OSError:
            return False
        return True


def _become_nobodys() -> None:
    """Keep nothing of whoever made the exec: its pipes are read until all have closed them."""
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _serve(
    config: Config, mine: Range, process: int, owner: int, listener: socket.socket, end: int
) -> bool:
    """Wait for a claim; return whether the container is whole: a box, a spare, or gone."""
    copies = _prepared(config, mine, owner)
    while True:
        ready, _, _ = select.select([listener.fileno(), end], [], [])
        if end in ready:
            return True
        connection, _ = listener.accept()
        with connection:
            if _peer(connection) not in (0, owner):
                continue
            try:
                asked = _request(connection)
                wanted = Record() if asked == END else parse(asked)
            except _FAILURES:
                # Who only looked whether somebody waits, or broke off.
                continue
            said = ""
            try:
                if wanted != Record():
                    claim(config, mine, process, wanted, partial(_is_there, connection), copies)
            except _FAILURES as failed:
                said = str(failed) or type(failed).__name__
            with contextlib.suppress(OSError):
                connection.sendall(b"." + said.encode(errors="replace"))
            return not said


def _prepared(config: Config, mine: Range, owner: int) -> staging.Trees:
    """Have the namespace that most workspaces of a user are mapped by, whose group has their id.

    To make it takes as long as the mount.
    """
    copies = staging.Trees(mine.base)
    # Where it cannot be had, the claim says why.
    with contextlib.suppress(*_FAILURES):
        copies.namespace(idmap.owned(owner, owner, mine.base, SIZE, config.id_stored))
    return copies


def _peer(connection: socket.socket) -> int:
    """Return the uid of who connected (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("3i", said)[1]
    return uid


def _is_there(connection: socket.socket) -> bool:
    """Whether whoever connected has not closed that: they wait no longer, or were killed."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return not poll.poll(0)


def _request(connection: socket.socket) -> bytes:
    """Return a line: whoever is killed in the middle has asked for nothing."""
    raw, end = b"", time.monotonic() + PATIENCE
    while not raw.endswith(b"\n"):
        connection.settimeout(max(0.01, end - time.monotonic()))
        more = connection.recv(LIMIT)
        raw += more
        if not more or len(raw) > LIMIT:
            raise ValueError("no whole claim")
    return raw
