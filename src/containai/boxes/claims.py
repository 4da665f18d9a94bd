"""What is asked of the process that keeps spare boxes (flows/keeper.py). On the warm path."""

from __future__ import annotations

import _socket
import os
import sys

from containai import __version__
from containai.layout import SPARE, Layout
from containai.ssh import session

#: To have a box for a workspace, for somebody who can be asked something or not, to look whether
#: spares are lacking, and to end.
CLAIM_AT_TERMINAL, CLAIM, LOOK, END = "claim at a terminal", "claim", "look", "end"
#: How long it may take to answer, in seconds: a claim has 20 (boxes/spares.py).
_PATIENCE = 30.0


def socket_path(layout: Layout) -> str:
    """Return where that process listens: in a directory of this user's alone."""
    return layout.control_socket(SPARE)


def box(layout: Layout, path: str | None) -> list[str] | None:
    """Have a spare box be that of a PATH; return what there is to be said, or None for no box.

    Where something is to be asked first, there is none either.
    """
    at_terminal = all(map(os.isatty, (0, 1, 2)))
    return ask(layout, CLAIM_AT_TERMINAL if at_terminal else CLAIM, path or ".")


def ask(layout: Layout, what: str, path: str = "") -> list[str] | None:
    """Ask the keeper for something; return its answer, None where there is no good one."""
    if not session.has_own_directory(layout):
        return None
    words = [what, version(), os.getcwd(), path]
    words += [f"{name}={value}" for name, value in os.environ.items()]
    asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asking.settimeout(_PATIENCE)
        asking.connect(socket_path(layout))
        asking.sendall(b"\0".join(map(os.fsencode, words)))
        asking.shutdown(_socket.SHUT_WR)
        answer = b""
        while more := asking.recv(1 << 16):
            answer += more
    except OSError:
        return None
    finally:
        asking.close()
    # Without its last word it was ended in the middle.
    *said, last = os.fsdecode(answer).split("\0")
    return said if last == "." else None


def version() -> str:
    """Return what another source, or another Python, has another of."""
    seen = os.stat(__file__)
    return f"{__version__} {sys.version} {__file__} {seen.st_ino} {seen.st_mtime_ns}"
