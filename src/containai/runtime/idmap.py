"""Id mappings of mounts, and the user namespaces that carry them."""

import errno
import os
import signal
from typing import NamedTuple

from . import limits, syscalls

#: The unprivileged user that works in a box. The owner of a bind-mounted tree appears as it.
AGENT = 1000


class Extent(NamedTuple):
    """`length` ids: on disk they begin at `stored`, for the kernel at `seen`."""

    stored: int
    seen: int
    length: int


class Mapping(NamedTuple):
    """What a mount does to user and to group ids."""

    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]


def shifted(base: int, size: int) -> Mapping:
    """Return the mapping that moves ids from 0 on into the container's range."""
    extents = (Extent(0, base, size),)
    return Mapping(extents, extents)


def owned(uid: int, gid: int, base: int, size: int, stored: int) -> Mapping:
    """Return the mapping for a tree of somebody's on the host.

    Its owner's files are the agent's inside, and what the agent makes is the owner's. What others
    in the container make, root above all, has on disk the ids from `stored` on, which are nobody's
    on the host and the same for all containers: what one leaves, the next has. All other ids of the
    host are unmapped: they show as nobody and cannot be written.
    """
    return Mapping(_owned(uid, base, size, stored), _owned(gid, base, size, stored))


def _owned(owner: int, base: int, size: int, stored: int) -> tuple[Extent, ...]:
    if stored <= owner < stored + size:
        # A directory that somebody in a container made: it is nobody's on the host, so that the
        # agent acts for nobody either, and each file is in here whose it was in there.
        return (Extent(stored, base, size),)
    after = AGENT + 1
    return (
        Extent(owner, base + AGENT, 1),
        Extent(stored, base, AGENT),
        Extent(stored + after, base + after, size - after),
    )


def text(extents: tuple[Extent, ...]) -> str:
    """Return extents as uid_map and gid_map take them (user_namespaces(7))."""
    return "".join(f"{extent.stored} {extent.seen} {extent.length}\n" for extent in extents)


#: What a child writes when its namespace is there; else it writes the error's number.
READY = b"\0"

#: error → why unshare(2) gives it for a user namespace.
_WHY = {
    errno.EPERM: "this is a chroot, or something forbids it (unshare(2))",
    errno.ENOSPC: "user.max_user_namespaces is reached, or 0",
    errno.EUSERS: "user.max_user_namespaces is reached, or 0",
    errno.EINVAL: "this kernel has none",
}


def _refusal(number: int) -> str:
    why = _WHY.get(number, os.strerror(number) if number else "its process was killed")
    return f"a user namespace could not be made: {why}"


def user_namespace(mapping: Mapping, owner: int) -> int:
    """Return a descriptor of a new user namespace with that mapping and no process in it.

    `owner` is the id that makes it: what the kernel counts for the namespace (inotify, namespaces,
    locked memory, pending signals) it charges to that id (kernel/ucount.c), and what that process
    may have of it is the most for all in there (kernel/user_namespace.c, create_user_ns).
    """
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            syscalls.become(owner)
            limits.raise_counted()
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.write(ready[1], READY)
            os.close(go[1])
            os.read(go[0], 1)
        except OSError as refused:
            os.write(ready[1], bytes([refused.errno or errno.EPERM]))
        finally:
            os._exit(0)
    try:
        os.close(ready[1])
        said = os.read(ready[0], 1)
        if said != READY:
            raise OSError(_refusal(said[0] if said else 0))
        for name, extents in (("uid_map", mapping.uids), ("gid_map", mapping.gids)):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
                file.write(text(extents))
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for fd in (ready[0], *go):
            os.close(fd)
