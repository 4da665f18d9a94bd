"""What the kernel ends for want of memory: noted by container, for `cai` to tell its user.

The kernel's log names process and cgroup, and only root reads it. A process of the keeper's follows
it, and leaves a file for each container in which something was ended.
"""

import contextlib
import glob
import json
import os
import re
import select
import signal
import time
from typing import NamedTuple

#: Where the log is, and where cgroups are.
LOG, CGROUPS = "/dev/kmsg", "/sys/fs/cgroup"
#: A directory of the runtime's state.
NAME = "oom"
#: How many of a container's are kept, and for how many seconds.
KEPT, LASTING = 20, 30 * 86400
_BOOT = "/proc/sys/kernel/random/boot_id"
#: Of a task that was chosen (mm/oom_kill.c, dump_oom_victim). A cgroup's name has no slash, so the
#: first path is the kernel's; the container's is the first id in it, as below that it named them.
#: What a process calls itself (at most 15 bytes, any) stands before its numbers, at the end.
_CHOSEN = re.compile(
    r"oom-kill:constraint=(?P<why>\w+),.*?(?P<whose>oom_memcg|global_oom,task_memcg)="
    r"/(?:[^/,]+/)*?(?:docker-)?(?P<id>[0-9a-f]{64})(?:\.scope)?(?P<below>(?:/[^,]*)?)"
    r"(?:,.*)?,task=(?P<task>.{0,60}),pid=\d+,uid=-?\d+"
)
_ID = re.compile("[0-9a-f]{64}")


class Kill(NamedTuple):
    """A process that the kernel ended in a container.

    `below` is the cgroup of its own whose limit was reached, or ""; with `of_machine` there was no
    memory left on the machine.
    """

    container: str
    #: Of the record, in microseconds of the log's clock.
    at: int
    task: str
    below: str
    of_machine: bool


def parsed(record: str) -> Kill | None:
    """Return what a record of the log says, if it says that something was ended in a container."""
    head, _, rest = record.partition(";")
    # 0 is the kernel's own; others are what programs wrote there.
    priority, _, at, *_ = [*head.split(","), "", "", ""]
    if not (priority.isdigit() and at.isdigit()) or int(priority) >> 3:
        return None
    found = _CHOSEN.fullmatch(rest.partition("\n")[0])
    if found is None:
        return None
    below, of_machine = found["below"], found["whose"] != "oom_memcg"
    return Kill(found["id"], int(at), found["task"], "" if of_machine else below, of_machine)


def start(state: str) -> None:
    """Follow the log in a process of its own, which ends with this one."""
    keeper = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        # Nobody's child: the keeper waits for its own.
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                Follower(os.path.join(state, NAME)).run(keeper)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(keeper)


class Follower:
    """Reads the log from where it was left, and notes what concerns containers."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def run(self, keeper: int) -> None:
        """Go on until the process behind a descriptor ends."""
        os.makedirs(self.directory, mode=0o711, exist_ok=True)
        self._forget_old()
        last = self._last()
        log = os.open(LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        waiting = select.poll()
        waiting.register(log, select.POLLIN)
        waiting.register(keeper, select.POLLIN)
        while True:
            try:
                record = os.read(log, 1 << 14).decode(errors="replace")
            except BlockingIOError:
                if any(fd == keeper for fd, _ in waiting.poll()):
                    return
                continue
            except BrokenPipeError:
                continue  # it went before it was read
            number = int(record.split(",", 2)[1])
            kill = parsed(record) if number > last else None
            if kill is not None:
                with contextlib.suppress(OSError, ValueError):
                    self.note(kill)
                self._set_last(number)

    def note(self, kill: Kill) -> None:
        """Write down what was ended, if that container is there."""
        group = group_of(kill.container)
        if not group:
            return
        path = os.path.join(self.directory, kill.container)
        try:
            with open(path, encoding="utf-8") as file:
                rows = json.load(file)
        except FileNotFoundError:
            rows = []
        # The kernel writes what is no character as \x00.
        ago = max(time.monotonic() - kill.at / 1e6, 0)
        row = {"time": time.time() - ago, "process": kill.task, "below": kill.below}
        row |= {"limit": 0 if kill.of_machine else _limit(group + kill.below)}
        row |= {"of_machine": kill.of_machine}
        _write(path, json.dumps([*rows, row][-KEPT:]))

    def _last(self) -> int:
        """Return the number of the last record that was looked at, of this boot; else -1."""
        try:
            with open(os.path.join(self.directory, "last"), encoding="ascii") as file:
                boot, number = file.read().split()
            return int(number) if boot == _boot() else -1
        except (OSError, ValueError):
            return -1

    def _set_last(self, number: int) -> None:
        with contextlib.suppress(OSError):
            _write(os.path.join(self.directory, "last"), f"{_boot()} {number}\n")

    def _forget_old(self) -> None:
        for name in filter(_ID.fullmatch, os.listdir(self.directory)):
            path = os.path.join(self.directory, name)
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime < time.time() - LASTING:
                    os.unlink(path)


def group_of(container: str) -> str:
    """Return the cgroup of a container that has the limit on memory, or ""."""
    for top in (f"{CGROUPS}/memory", CGROUPS):
        for pattern in (f"*/{container}", f"*/*-{container}.scope", f"*/*/{container}"):
            for path in glob.iglob(f"{top}/{pattern}"):
                if os.path.exists(f"{path}/cgroup.procs"):
                    return path
    return ""


def _limit(group: str) -> int:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(f"{group}/{name}", "rb") as file:
            return int(file.read())
    return 0


def _boot() -> str:
    with open(_BOOT, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, text: str) -> None:
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, 0o644)
        file.write(text)
    os.rename(path + ".new", path)
