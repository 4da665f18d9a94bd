"""How services run here: as units of systemd, or as background processes with a log file each.

The one decision is in `manager`.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from containai.errors import EngineError
from containai.host import proc, processes, scripts, service
from containai.host.processes import Process
from containai.host.service import MAIN_PID, Kind, Service

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: For systemctl, on top of what the service itself may take, in seconds.
_MARGIN = 15.0
#: Becomes a command with the variables of a file.
_WITH_FILE = 'set -a; [ ! -e "$0" ] || . "$0"; exec "$@"'
#: The environment of what stays: nothing of whoever starts it, as in a unit. It outlives their
#: session, and a shim takes XDG_RUNTIME_DIR for the place of its sockets, which goes with that.
_NOBODYS = {"PATH": proc.SYSTEM_PATH}
#: How long PID 1 may take until it reaps what has ended, in seconds: some never do.
_REAPED = 2.0


class Services(Protocol):
    """What can be done with services, the same way however they run."""

    def start(self, wanted: Service) -> None:
        """Start it where it does not run, with what it wants, and wait until it is ready.

        Raises EngineError where it does not start, unless it is optional.
        """

    def stop(self, wanted: Service) -> None:
        """End it. Raises EngineError where it does not end. Nothing, where it does not run."""

    def stop_companions(self, wanted: Service) -> None:
        """Stop what its start has started; what systemd started at boot stays."""

    def renew(self, wanted: Service) -> None:
        """Do a one-shot service again, as it is now, where only a first start would do it."""

    def log(self, wanted: Service, lines: int) -> str:
        """Return the last lines of its log."""

    def logs(self, wanted: Service) -> str:
        """Return the command, or the file, by which root reads its log."""

    def start_shown(self, wanted: Service) -> list[str]:
        """Return what a start does, for a dry run."""

    def stop_shown(self, wanted: Service) -> list[str]:
        """Return what a stop does, for a dry run."""

    def files(self, wanted: Sequence[Service]) -> dict[str, str]:
        """Return the files that these services need: path → text."""

    def enable(self, wanted: Sequence[Service]) -> list[list[str]]:
        """Return root's commands once those files were written, at boot to start what should."""

    def off_at_boot(self, wanted: Sequence[Service]) -> list[str]:
        """Return the units that should start at boot, and do not."""


def manager(host: "Machine") -> Services:
    """Return what has services run: systemd, for the machine's own ContainAI where it is PID 1.

    Units have one name a machine: another root (a test) has background processes anywhere.
    """
    if host.has_systemd() and host.layout.is_default:
        return Units(host)
    return Background(host)


class Units:
    """Services as units of systemd."""

    def __init__(self, host: "Machine") -> None:
        self.host = host

    def start(self, wanted: Service) -> None:
        """Start its unit; systemd knows what is wanted."""
        if wanted.ready() or (wanted.optional and wanted.missing):
            return
        timeout = wanted.start_timeout + _MARGIN
        # One that failed too often is not started again by itself, nor when it is asked for.
        self.host.run(["systemctl", "reset-failed", wanted.unit], root=True, ok=None)
        done = self.host.run(
            ["systemctl", "start", wanted.unit], root=True, ok=None, timeout=timeout
        )
        failed = done.code != 0 or (wanted.kind is not Kind.ONESHOT and not _wait(wanted, None))
        if failed and not wanted.optional:
            raise _failure(self, wanted)

    def stop(self, wanted: Service) -> None:
        """Stop its unit."""
        ok = None if wanted.optional else (0,)
        timeout = wanted.stop_timeout + _MARGIN
        if wanted.guarded:
            # For systemd it has then ended by itself, well, and is not started again.
            _ended(self, wanted, lambda: self.host.run(self._end_argv(wanted), root=True, ok=None))
            return
        self.host.run(["systemctl", "stop", wanted.unit], root=True, ok=ok, timeout=timeout)

    def stop_companions(self, wanted: Service) -> None:
        """Stop what would not start by itself at boot."""
        for other in reversed(wanted.wants + wanted.needs):
            if not other.at_boot:
                self.stop(other)

    def renew(self, wanted: Service) -> None:
        """Restart its unit, which may have changed."""
        self.host.run(["systemctl", "restart", wanted.unit], root=True)

    def log(self, wanted: Service, lines: int) -> str:
        """Ask the journal."""
        argv = ["journalctl", "--unit", wanted.unit, "--no-pager", "--lines", str(lines)]
        return self.host.run(argv, root=True, ok=None).out

    def logs(self, wanted: Service) -> str:
        """Return what journalctl(1) is asked."""
        return wanted.logs or f"journalctl --unit {wanted.unit}"

    def start_shown(self, wanted: Service) -> list[str]:
        """Return the command."""
        return [f"# systemctl start {wanted.unit}"]

    def stop_shown(self, wanted: Service) -> list[str]:
        """Return the command."""
        words = self._end_argv(wanted) if wanted.guarded else ["systemctl", "stop", wanted.unit]
        return [f"# {proc.describe(words)}"]

    def _end_argv(self, wanted: Service) -> list[str]:
        return ["systemctl", "kill", "--signal=TERM", wanted.unit]

    def files(self, wanted: Sequence[Service]) -> dict[str, str]:
        """Return their units."""
        return {self.host.layout.unit_file(one.unit): service.unit(one) for one in wanted}

    def enable(self, wanted: Sequence[Service]) -> list[list[str]]:
        """Have systemd read the units, and start at boot what should."""
        at_boot = [one.unit for one in wanted if one.at_boot]
        return [["systemctl", "daemon-reload"], ["systemctl", "enable", *at_boot]]

    def off_at_boot(self, wanted: Sequence[Service]) -> list[str]:
        """Look for the links that `systemctl enable` makes, as the units say (WantedBy=)."""
        directory = self.host.layout.unit_file(f"{service.AT_BOOT}.wants")
        return [
            one.unit
            for one in wanted
            if one.at_boot and not os.path.lexists(os.path.join(directory, one.unit))
        ]


class Background:
    """Services as background processes, which nobody starts again."""

    def __init__(self, host: "Machine") -> None:
        self.host = host

    def start(self, wanted: Service) -> None:
        """Start it here; first what it wants and needs, then its preparations."""
        if wanted.ready() or (wanted.optional and wanted.missing):
            return
        watched = wanted.find()
        if not watched:
            if wanted.missing:
                raise EngineError(f"{wanted.missing} is missing", hint="run: cai setup")
            for other in wanted.wants + wanted.needs:
                self.start(other)
            for argv in wanted.prepare:
                self.host.run(argv, root=True)
            if wanted.kind is Kind.ONESHOT:
                self.host.run(wanted.argv, root=True)
                return
            watched = self._launch(wanted)
        if not _wait(wanted, watched) and not wanted.optional:
            raise _failure(self, wanted)

    def _launch(self, wanted: Service) -> Sequence[Process]:
        if wanted.launch:
            try:
                self.host.run(wanted.launch, root=True, timeout=wanted.start_timeout, env=_NOBODYS)
            except proc.ProcessError as failed:
                if wanted.optional:
                    return []
                said = (failed.done.err.strip() or f"code {failed.done.code}").splitlines()[-1]
                raise _failure(self, wanted, said) from None
            return wanted.find()
        wanted.clear()
        # By PATH programs are looked for that it starts; no unit has a language.
        given = {"PATH": proc.SYSTEM_PATH, "LC_ALL": "C", **dict(wanted.environment)}
        words = ["env", *(f"{key}={value}" for key, value in given.items()), *wanted.argv]
        if wanted.environment_file:
            words = ["sh", "-c", _WITH_FILE, wanted.environment_file, *words]
        limits = [f"{key}={text.replace('infinity', 'unlimited')}" for key, text in wanted.limits]
        argv = scripts.argv("host/background.sh", wanted.log, *limits, "--", *words)
        started = self.host.run(argv, root=True, env=_NOBODYS)
        launched = processes.look(int(started.out))
        return () if launched is None else (launched,)

    def stop(self, wanted: Service) -> None:
        """End its processes, or undo what its command did."""
        if wanted.kind is Kind.ONESHOT:
            if wanted.stop and not wanted.missing:
                self.host.run(wanted.stop, root=True)
            return
        running = wanted.find()
        if not running:
            return
        _ended(self, wanted, lambda: self._end(wanted, running))
        # A successor may take a pid file's process for alive until it is reaped.
        deadline = time.monotonic() + _REAPED
        while any(map(processes.is_there, running)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _end(self, wanted: Service, running: Sequence[Process]) -> None:
        if not wanted.stop:
            import signal

            processes.send(self.host, signal.SIGTERM, running)
            return
        for process in running:
            argv = [str(process.pid) if word == MAIN_PID else word for word in wanted.stop]
            self.host.run(argv, root=True, timeout=wanted.stop_timeout)

    def stop_companions(self, wanted: Service) -> None:
        """Stop all of them, the last first."""
        for other in reversed(wanted.wants + wanted.needs):
            self.stop(other)

    def renew(self, wanted: Service) -> None:
        """Nothing: every start of who wants it does it."""

    def log(self, wanted: Service, lines: int) -> str:
        """Read the end of its file."""
        return self.host.run(["tail", "-n", str(lines), wanted.log], root=True, ok=None).out

    def logs(self, wanted: Service) -> str:
        """Return the file."""
        return wanted.logs or wanted.log

    def start_shown(self, wanted: Service) -> list[str]:
        """Return the commands, what it wants first."""
        shown = [line for other in wanted.wants for line in self.start_shown(other)]
        shown += [f"# {proc.describe(argv)}" for argv in wanted.prepare]
        if wanted.kind is Kind.ONESHOT:
            return [*shown, f"# {proc.describe(wanted.argv)}"]
        where = f", where {wanted.conditions[0]} is there" if wanted.conditions else ""
        end = f", in the background{where}, its output to {wanted.log}"
        return [*shown, f"# {proc.describe(wanted.argv)}{end}"]

    def stop_shown(self, wanted: Service) -> list[str]:
        """Return the command, or which processes are signalled."""
        if not wanted.stop:
            return [f"SIGTERM to {wanted.argv[0]}"]
        words = ["PID" if word == MAIN_PID else word for word in wanted.stop]
        return [f"# {proc.describe(words)}"]

    def files(self, wanted: Sequence[Service]) -> dict[str, str]:
        """Nothing: a start has it all."""
        return {}

    def enable(self, wanted: Sequence[Service]) -> list[list[str]]:
        """Nothing: who uses boxes starts them."""
        return []

    def off_at_boot(self, wanted: Sequence[Service]) -> list[str]:
        """Nothing: none does."""
        return []


def _ended(services: Services, wanted: Service, end: Callable[[], object]) -> None:
    """End a service's processes and wait for it. Raises EngineError where one stays."""
    running = wanted.find()
    deadline = time.monotonic() + wanted.stop_timeout
    try:
        end()
    except proc.ProcessError as failed:
        raise _stuck(services, wanted, running, str(failed)) from None
    while any(map(processes.runs, running)):
        if time.monotonic() > deadline:
            why = f"not within {wanted.stop_timeout:g} s"
            raise _stuck(services, wanted, running, why)
        time.sleep(0.02)


def _stuck(
    services: Services, wanted: Service, running: Sequence[Process], why: str
) -> EngineError:
    pids = " ".join(str(process.pid) for process in running)
    return EngineError(
        f"{wanted.name} (pid {pids}) did not end: {why}", hint=f"see: {services.logs(wanted)}"
    )


def _wait(wanted: Service, watched: Sequence[Process] | None) -> bool:
    """Wait until a service is ready; return whether it is.

    It never is once what was watched has ended. None is for what somebody else starts again.
    """
    deadline = time.monotonic() + wanted.start_timeout
    pause = 0.01
    while not wanted.ready():
        if watched is not None and not any(map(processes.runs, watched)):
            return wanted.ready()
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return True


def _failure(services: Services, wanted: Service, said: str = "") -> EngineError:
    """Return the error for what does not start: why, if that is known, or how its log ends."""
    if not said:
        lines = services.log(wanted, 8).splitlines() or ["its log is empty"]
        said = "its log ends with:\n  " + "\n  ".join(lines)
    return EngineError(
        f"{wanted.name} does not start: {said}", hint=f"see: {services.logs(wanted)}"
    )
