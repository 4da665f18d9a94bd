"""What is typed, for a session without a terminal whose stdin is ours.

The control connection would read the keyboard whoever it belongs to at the moment: it is in no job
of the shell. A local command that does not read leaves what is typed to others; here nobody knows
whether it reads, so it gets what is typed while its job is in the foreground and nobody else there
reads the keyboard, as a pager does.
"""

from __future__ import annotations

import contextlib
import os
import select

from containai.ssh.mux import Connection

#: How often it is looked whether the keyboard is ours again, in seconds.
_LOOK = 1.0


def type_into(connection: Connection, pipe: int) -> None:
    """Write what is typed to a pipe until its end, or the session's; then close that."""
    keyboard = _keyboard()
    try:
        while connection.code is None:
            ours = is_ours()
            # Whether it was ours is another matter once somebody has typed.
            watched: list[Connection | int] = [connection, keyboard] if ours else [connection]
            ready = select.select(watched, [], [], None if ours else _LOOK)[0]
            if connection in ready and not connection.take():
                return
            if keyboard in ready and is_ours() and not _typed(keyboard, pipe):
                return
    finally:
        os.close(pipe)


def is_ours() -> bool:
    """Whether what is typed is for this process, as far as anybody can tell."""
    try:
        if os.tcgetpgrp(0) != os.getpgrp():
            return False
    except OSError:
        return True  # not the terminal that controls us: there are no jobs on it
    return not any(_reads(pid) for pid in os.listdir("/proc") if pid.isdecimal())


def _keyboard() -> int:
    """Return a descriptor of the terminal that does not wait for what another was quicker to read.

    It is opened again, as one that is shared with others would not wait for them, either.
    """
    try:
        return os.open(os.ttyname(0), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return 0


def _typed(keyboard: int, pipe: int) -> bool:
    try:
        text = os.read(keyboard, 4096)
        while text:
            text = text[os.write(pipe, text) :]
            if not text:
                return True
    except BlockingIOError:
        return True
    except OSError:  # the terminal, or who reads the pipe, is gone
        pass
    return False


def _reads(pid: str) -> bool:
    """Whether it is another process of our job that has opened the terminal by its common name."""
    own = os.getpid(), os.getpgrp()
    with contextlib.suppress(OSError):
        if int(pid) != own[0] and os.getpgid(int(pid)) == own[1]:
            links = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
            return "/dev/tty" in links
    return False
