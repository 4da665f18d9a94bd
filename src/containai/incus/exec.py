"""Commands in an instance that runs, as one of its users.

Each of a command's streams is a websocket of its own. A fourth one ends it when it is lost, so that
nothing runs on when we are gone (cmd/incusd/instance_exec.go).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from containai.incus import websocket
from containai.incus.client import Incus
from containai.incus.errors import (
    ForgottenError,
    GarbageError,
    IncusError,
    OperationError,
    TimedOutError,
)
from containai.incus.message import quoted
from containai.incus.relay import Kept, relay
from containai.incus.websocket import WebSocket
from containai.incus.wire import Wire
from containai.light import Any, NamedTuple

STREAMS = ("0", "1", "2", "control")
#: How many bytes a command may say, where the caller does not say.
LIMIT = 4 << 20
#: What the server says of a command that could not be started, and the exit code for it.
_UNSTARTED = {"Command not executable": 126, "Command not found": 127}
#: The name of the thread that waits for a command's end.
WAITING = "incus-wait"
#: How long is waited for what ends the wait of a command that is lost, in seconds.
_PATIENCE = 2.0


class Command(NamedTuple):
    """A command: its words, as whom and where it runs, and what is in its environment.

    It has PATH and LANG by itself, and HOME and USER where it is root's.
    """

    argv: Sequence[str]
    uid: int = 0
    gid: int = 0
    cwd: str = "/"
    env: Mapping[str, str] = {}


class Ended(NamedTuple):
    """A command that has ended: its code, 128 + n for a signal n, and what it said."""

    code: int
    out: bytes
    err: bytes


def run(
    incus: Incus,
    instance: str,
    command: Command,
    stdin: bytes = b"",
    *,
    timeout: float = 60.0,
    limit: int = LIMIT,
    on_out: Callable[[bytes], object] = len,
) -> Ended:
    """Run a command to its end; `timeout` is in seconds, `limit` in bytes of each output.

    `on_out` gets what it says as it does. Code 126 and 127 are for one that is no program, or is
    not there. Raises an IncusError: TimedOutError, and GarbageError for too much output, when it is
    killed; NotFoundError without such an instance, 400 for one that does not run.
    """
    end = time.monotonic() + timeout
    out, err = Kept(limit, on_out), Kept(limit)
    outcome: _Outcome | None = None
    try:
        with attached(incus, instance, command) as (operation, sockets):
            outcome = _Outcome(incus, operation, timeout)
            to, control = sockets["0"], sockets["control"]
            try:
                to.send(stdin)
                to.finish()
                sinks = [(sockets["1"], out), (sockets["2"], err)]
                relay(to, sinks, others=[control], end=end)
                code = outcome.code(end)
            except (TimedOutError, OverflowError) as wrong:
                control.send_text('{"command":"signal","signal":9}')
                if isinstance(wrong, OverflowError):
                    raise GarbageError(f"{command.argv[0]} says {wrong}") from None
                why = f"{command.argv[0]} has not ended within {timeout:g} s"
                raise TimedOutError(why) from None
    finally:
        if outcome is not None:
            outcome.leave()
    return Ended(code, bytes(out.data), bytes(err.data))


@contextlib.contextmanager
def attached(
    incus: Incus, instance: str, command: Command
) -> Iterator[tuple[str, dict[str, WebSocket]]]:
    """Start a command; give its operation and its streams, by name (STREAMS).

    What still runs of it at the end is killed, as its control is lost. Raises an IncusError.
    """
    begun = incus.send("POST", f"/instances/{quoted(instance)}/exec", _body(command))
    secrets = begun.value.get("metadata") if isinstance(begun.value, dict) else None
    secrets = secrets.get("fds") if isinstance(secrets, dict) else None
    if not begun.operation or not isinstance(secrets, dict):
        raise GarbageError("the server gives no streams for a command")
    sockets = _connected(incus, begun.operation, secrets)
    try:
        yield begun.operation, sockets
    finally:
        for each in sockets.values():
            each.close()


def _body(command: Command) -> dict[str, Any]:
    return {
        "command": list(command.argv),
        "wait-for-websocket": True,
        "interactive": False,
        "record-output": False,
        "environment": dict(command.env),
        "user": command.uid,
        "group": command.gid,
        "cwd": command.cwd,
        "width": 0,
        "height": 0,
    }


def _connected(incus: Incus, operation: str, secrets: Mapping[str, Any]) -> dict[str, WebSocket]:
    """Connect all streams at once: the server waits for 5 s, and each takes three round trips."""
    made: dict[str, WebSocket] = {}
    failed: list[Exception] = []

    def connect(name: str) -> None:
        query = {"secret": str(secrets.get(name, ""))}
        target = incus.target(f"/operations/{quoted(operation)}/websocket", query)
        try:
            made[name] = websocket.connect(incus.dialler, target)
        except Exception as wrong:
            failed.append(wrong)

    threads = [threading.Thread(target=connect, args=(name,), daemon=True) for name in STREAMS]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        for socket in made.values():
            socket.close()
        raise failed[0]
    return made


class _Outcome:
    """How a command ends. It is waited for from the beginning: it is forgotten 5 s after its end.

    While it is, the connection of `incus` is its.
    """

    def __init__(self, incus: Incus, operation: str, timeout: float) -> None:
        self._of = incus
        self._incus = Incus(incus.server, incus.project, patience=incus.patience)
        self._incus.wire = incus.wire
        self._operation, self._timeout = operation, timeout
        self._ended: dict[str, Any] | IncusError | None = None
        self._thread = threading.Thread(target=self._wait, name=WAITING, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        try:
            self._ended = self._incus.wait(self._operation, self._timeout + 5.0)
        except IncusError as wrong:
            self._ended = wrong
        except Exception as wrong:
            self._ended = IncusError(str(wrong))

    def code(self, end: float) -> int:
        """Return the exit code. Raises an IncusError."""
        self._thread.join(max(_PATIENCE, end - time.monotonic()))
        ended = self._ended
        if isinstance(ended, dict):
            return _code(ended.get("metadata"))
        if isinstance(ended, ForgottenError):
            raise IncusError("the server has forgotten how the command ended", code=404)
        if isinstance(ended, OperationError):
            for text, code in _UNSTARTED.items():
                if text in ended.text:
                    return code
        if ended is None:
            raise TimedOutError("the server does not say how the command ended")
        raise ended

    def leave(self) -> None:
        """Give the connection back, or leave it to the wait where that goes on."""
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._of.wire = Wire(self._of.dialler)


def _code(metadata: Any) -> int:
    code = metadata.get("return") if isinstance(metadata, dict) else None
    if not isinstance(code, int):
        raise GarbageError("the server does not say how the command ended")
    return code
