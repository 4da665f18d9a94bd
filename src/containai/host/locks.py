"""Locks of this machine, which all users of an engine share.

They are files of root's that anybody may open for reading, which is enough for flock(2): nobody can
take one away, put something else in its place or fill a disk through it. All that another user can
do is to hold one, and the error says which.
"""

import contextlib
import fcntl
import os
import stat
import time
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from containai.errors import ContainAIError, PrivilegeError
from containai.host import scripts

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: How many locks the boxes have. Names share them: two that do wait for each other, no more.
BOX_LOCKS = 256
#: How long another cai may be busy with a box, in seconds.
BOX_TIMEOUT = 600.0
#: Starting the engine, setting this machine up, choosing a box's port and processors; changing or
#: copying preloaded images.
ENGINE, SETUP, CHOICE, PRELOADED = "engine", "setup", "choice", "preloaded"
#: Restoring data volumes.
DATA = "data"


def of_box(name: str) -> str:
    """Return the name of the lock of a box."""
    return f"box-{zlib.crc32(name.encode()) % BOX_LOCKS:02x}"


@contextlib.contextmanager
def hold(host: "Machine", name: str, *, wait: float, what: str) -> Iterator[None]:
    """Hold one of the machine's locks; `wait` is how long to wait for it, in seconds.

    The kernel lets go of it when the process ends, however it ends.
    Raises ContainAIError where somebody else keeps it, or there is none and it cannot be made.
    """
    directory = host.layout.lock_dir
    path = os.path.join(directory, name)
    with contextlib.ExitStack() as stack:
        handle = _opened(host, directory, path)
        stack.callback(os.close, handle)
        take(handle, path, wait=wait, what=what)
        # Who had it may have taken ContainAI off this machine: others lock a new file then.
        while not os.fstat(handle).st_nlink:
            handle = _opened(host, directory, path)
            stack.callback(os.close, handle)
            take(handle, path, wait=wait, what=what)
        yield


def hold_box(
    host: "Machine", name: str, wait: float = BOX_TIMEOUT
) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a box, as `hold`."""
    return hold(host, of_box(name), wait=wait, what=f"the box {name}")


def take(handle: int, path: str, *, wait: float, what: str) -> None:
    """Lock an open file, for as long as it is open. Raises ContainAIError after `wait` seconds."""
    deadline = time.monotonic() + wait
    pause = 0.005
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ContainAIError(
                    f"another cai has been busy with {what} for {wait:g} s",
                    hint=f"wait for it or end it: fuser {path}",
                ) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.1)


def _opened(host: "Machine", directory: str, path: str) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if _is_lock(path):
            with contextlib.suppress(FileNotFoundError):
                return os.open(path, flags)
        _make(host, directory)
        return os.open(path, flags)
    except OSError as wrong:
        raise ContainAIError(
            f"the lock {path} cannot be opened: {wrong.strerror}",
            hint=f"root is to have it, and everybody to read it: sudo rm -rf {directory}",
        ) from None


def _is_lock(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _make(host: "Machine", directory: str) -> None:
    names = [ENGINE, SETUP, CHOICE, PRELOADED, DATA]
    names += [f"box-{number:02x}" for number in range(BOX_LOCKS)]
    above = directory
    while not os.path.exists(above):
        above = os.path.dirname(above)
    try:
        host.run(
            scripts.argv("host/locks.sh", directory, *names), root=not os.access(above, os.W_OK)
        )
    except PrivilegeError as refused:
        raise PrivilegeError(
            f"root is needed to make {directory}, where the locks of this machine are",
            hint=f"{refused.hint}: cai setup",
        ) from None
