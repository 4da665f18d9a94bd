"""Processes of the host's root: found by user, executable and words, and signalled by pidfd.

A command line is whatever a process says it is, and a pid is somebody else's once its process has
ended: a signal goes to a descriptor of the process, which is looked at again once that is held.

Also a program, for who needs sudo: what it is to signal is its argument (`asked`).
"""

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: The system's own Python.
PYTHON = "/usr/bin/python3"
#: Real, effective, saved and file system user id (proc_pid_status(5)). What is in a box is never
#: root out here, and a set-uid program that a user started keeps that user's real id.
_ROOT = re.compile(rb"^Uid:\t0\t0\t0\t0$", re.MULTILINE)
#: In no pid namespace below ours: root of a container without ids of its own is root out here too.
_OUTSIDE = re.compile(rb"^NSpid:\t\d+$", re.MULTILINE)


class Process(NamedTuple):
    """A process: with the moment it began, in ticks since the boot, its pid is no other's."""

    pid: int
    started: int
    program: str
    words: tuple[str, ...]


def look(pid: int, *programs: str) -> Process | None:
    """Return a process if it is root's, outside of containers, and runs a file of such a name.

    Without names it may run any. Its executable is root's secret: for anyone else the command line
    speaks, and root looks again before it signals (`send`).
    """
    try:
        words = os.fsdecode(_read(pid, "cmdline")).removesuffix("\0").split("\0")
        name = os.path.basename(words[0])
        if programs and name not in programs:
            return None
        status = _read(pid, "status")
        if not _ROOT.search(status) or not _OUTSIDE.search(status):
            return None
        if programs:
            with contextlib.suppress(PermissionError):
                # A program that was exchanged on disk since is still the one.
                path = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
                name = os.path.basename(path)
        started = int(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None
    if programs and name not in programs:
        return None
    return Process(pid, started, name if programs else "", tuple(words))


def began(pid: int) -> int | None:
    """Return the moment a process began, whoever's it is, in ticks since the boot."""
    try:
        return int(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None


def find(*programs: str) -> list[Process]:
    """Return all processes that `look` takes for one of these programs."""
    pids = map(int, filter(str.isdigit, os.listdir("/proc")))
    return [process for pid in pids if (process := look(pid, *programs)) is not None]


def is_there(process: Process) -> bool:
    """Whether a process has not ended, or not been reaped: until then its pid is its own."""
    return bool(_now(process))


def runs(process: Process) -> bool:
    """Whether a process has not ended; one that is yet to be reaped has."""
    return _now(process)[:1] not in ([], [b"Z"])


def is_stopped(process: Process) -> bool:
    """Whether a signal has stopped a process (SIGSTOP), or a debugger holds it."""
    return _now(process)[:1] in ([b"T"], [b"t"])


def _at_once(path: str, flags: int) -> int:
    """Open a file; of a pipe, wait for nobody."""
    return os.open(path, flags | os.O_NONBLOCK)


def of_file(path: str, program: str, *words: str) -> list[Process]:
    """Return the process of a pid file, if it is root's, runs that program and has those words.

    A pid file alone proves nothing.
    """
    try:
        with open(path, encoding="utf-8", opener=_at_once) as file:
            process = look(int(file.read()), program)
    except (OSError, ValueError):
        return []
    return [process] if process is not None and set(words) <= set(process.words) else []


def started_as(*words: str) -> list[Process]:
    """Return root's processes whose command line begins so, after the interpreter of a script."""
    return [
        process
        for process in find()
        if words
        in (
            process.words[: len(words)],
            process.words[1 : len(words) + 1] if _is_interpreter(process.words[0]) else (),
        )
    ]


def parent(process: Process) -> int:
    """Return the pid of a process's parent, or 0 where the process has ended."""
    fields = _now(process)
    return int(fields[1]) if fields else 0


def send(
    host: "Machine", number: signal.Signals, processes: Sequence[Process], *, children: bool = False
) -> None:
    """Signal those that are still what they were, with their children first if told, as root."""
    if not processes:
        return
    if os.geteuid() == 0:
        _send(number, processes, children=children)
        return
    from containai.host import files

    argv = [PYTHON, "-IS", "-", asked(number, processes, children=children)]
    host.run(argv, stdin=files.read(__file__) or "", root=True, ok=None)


def asked(number: signal.Signals, processes: Sequence[Process], *, children: bool) -> str:
    """Return what is to be signalled, for the program that this module is."""
    return json.dumps([int(number), children, processes])


def _now(process: Process) -> list[bytes]:
    """Return the fields of a process's stat, as `_stat`; none once its pid may be another's."""
    try:
        fields = _stat(process.pid)
        return fields if int(fields[19]) == process.started else []
    except (OSError, ValueError, IndexError):
        return []


def _is_interpreter(path: str) -> bool:
    return os.path.basename(path) in ("sh", "bash", "dash", os.path.basename(PYTHON))


def _send(number: int, processes: Sequence[Process], *, children: bool) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            held = os.pidfd_open(process.pid)
            try:
                if look(process.pid, *filter(None, [process.program])) != process:
                    continue
                if children:
                    _send_to_children(number, process.pid)
                signal.pidfd_send_signal(held, number)
            finally:
                os.close(held)


def _send_to_children(number: int, parent: int) -> None:
    """Signal a process's children. Those are a box's: nothing but their parent tells whose."""
    for child in map(int, _read(parent, f"task/{parent}/children").split()):
        with contextlib.suppress(OSError):
            held = os.pidfd_open(child)
            try:
                if int(_stat(child)[1]) == parent:
                    signal.pidfd_send_signal(held, number)
            finally:
                os.close(held)


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _stat(pid: int) -> list[bytes]:
    """Return the fields of a process's stat from the third on: the second may hold blanks."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def main(text: str) -> None:
    """Signal what `asked` has put into words."""
    number, children, given = json.loads(text)
    processes = [Process(pid, at, program, tuple(words)) for pid, at, program, words in given]
    _send(number, processes, children=children)


if __name__ == "__main__":
    main(sys.argv[1])
