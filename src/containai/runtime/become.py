"""How this process becomes runc: with which arguments, limits and descriptors."""

import contextlib
import fcntl
import os
from typing import NamedTuple, NoReturn


class Ready(NamedTuple):
    """How to become runc: its arguments, a descriptor that it needs, limits that it is to have."""

    arguments: list[str]
    descriptor: int | None = None
    limits: dict[str, tuple[int, int]] = {}


def runc(program: str, ready: Ready, preserved: int) -> NoReturn:
    """Become runc."""
    close_on_exec(preserved)
    if ready.descriptor is not None:
        os.set_inheritable(ready.descriptor, True)
    if ready.limits:
        from . import limits

        # Last of all: what a container is given may be too little for us.
        limits.take(ready.limits)
    os.execv(program, [program, *ready.arguments])


def close_on_exec(preserved: int) -> None:
    """Keep descriptors from runc and thereby from the container (CVE-2024-21626).

    All but the first three and the `preserved` ones after them, which the caller wants in there.
    """
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 + preserved:
            # The one that listed them is gone by now.
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def above(fd: int, preserved: int) -> int:
    """Return a copy of a descriptor that runc does not take for one to pass on."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + preserved)


def path(fd: int) -> str:
    """Return a path of a descriptor that is runc's, too: we become it.

    A namespace lives as long as that: until runc has joined it, or is dead, and nobody else can say
    what the path means. With the dot because runc from 1.2 on reads /proc/PID/uid_map, which is its
    own, wherever a path begins with /proc/PID (userns.GetUserNamespaceMappings).
    """
    return f"/proc/./{os.getpid()}/fd/{fd}"


def memory(content: bytes, preserved: int) -> int:
    """Return a descriptor, for runc alone, of a file that has this content and no name."""
    fd = above(os.memfd_create("cai-runc"), preserved)
    with open(os.dup(fd), "wb") as file:
        file.write(content)
    return fd
