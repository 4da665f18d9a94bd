"""What ssh says to a control connection: OpenSSH's PROTOCOL.mux, which is the same since 5.4.

Done here, as a second ssh takes longer to start than all that it then says. The control connection
gets our descriptors and copies to and from them itself.

This module is on the warm path: it imports little.
"""

from __future__ import annotations

import _socket  # socket's own imports and enums would be an eighth of a warm start
import os
import sys
from collections.abc import Mapping, Sequence

from containai.errors import SshConnectError
from containai.light import NamedTuple

_HELLO, _NEW_SESSION, _ALIVE_CHECK = 0x00000001, 0x10000002, 0x10000004
_DENIED, _FAILURE, _EXIT = 0x80000002, 0x80000003, 0x80000004
_ALIVE, _OPENED, _NO_TERMINAL = 0x80000005, 0x80000006, 0x80000008
_VERSION = 4
#: How much a message may have: those to us are some words.
_LONGEST = 1 << 16
_NONE = 0xFFFFFFFF
#: How long a box may take to begin a session, in seconds. One that is paused never does.
PATIENCE = 60.0
#: How often, and every how many seconds, nothing may be in the way of what a command printed.
_QUIET, _MOMENT = 10, 0.1


class RefusedError(SshConnectError):
    """The control connection takes no further session: the box has as many as it lets in."""


class Request(NamedTuple):
    """A session that is asked for: a command line for the box's shell, and variables."""

    line: bytes
    variables: Mapping[str, str] = {}
    #: The name of the terminal that it gets; None for none.
    term: str | None = None


def run(path: str, line: bytes, stdin: bytes = b"", timeout: float | None = None) -> int | None:
    """Run a line over a control connection, whose output nobody sees; return its exit code.

    None where it has none within so many seconds, or the connection is not to be had.
    """
    given = os.memfd_create("stdin")
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        left = memoryview(stdin)
        while left:
            left = left[os.write(given, left) :]
        os.lseek(given, 0, os.SEEK_SET)
        connection = Connection(path, Request(line), (given, null, null))
        try:
            return connection.wait(timeout)
        finally:
            connection.close()
    except (OSError, RefusedError):
        return None
    finally:
        os.close(given)
        os.close(null)


class Connection:
    """A session over a control connection. It ends with this process, however that does."""

    def __init__(self, path: str, request: Request, descriptors: Sequence[int]) -> None:
        """`descriptors` are stdin, stdout and stderr of the session. Raises OSError."""
        #: The session's exit code, once it has ended so.
        self.code: int | None = None
        self.is_open = False
        self.has_terminal = request.term is not None
        #: The process of the control connection, which is told of another size of a terminal.
        self.master = 0
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._left = b""
        self._socket.connect(path)
        asked = _framed(_number(_HELLO) + _number(_VERSION))
        if self.has_terminal:
            asked += _framed(_number(_ALIVE_CHECK) + _number(0))
        self._send(asked + _framed(_encoded(request)))
        for descriptor in descriptors:
            passed = descriptor.to_bytes(4, sys.byteorder)
            self._socket.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)])

    def fileno(self) -> int:
        """Return what is readable when there is something to `take`."""
        return self._socket.fileno()

    def take(self) -> bool:
        """Wait for what the control connection says; return False once it says no more.

        Raises RefusedError where it takes no session.
        """
        try:
            got = self._socket.recv(_LONGEST)
        except ConnectionError:
            return False
        self._left += got
        while len(self._left) >= 4:
            end = 4 + int.from_bytes(self._left[:4], "big")
            if end > _LONGEST:
                return False
            if len(self._left) < end:
                break
            message, self._left = self._left[4:end], self._left[end:]
            self._told(message)
        return bool(got)

    def begin(self) -> None:
        """Wait until the session is there, or over.

        Raises RefusedError, and SshConnectError where the box does not answer: it is paused, say.
        """
        self._socket.settimeout(PATIENCE)
        try:
            while not self.is_open and self.code is None and self.take():
                pass
        except TimeoutError:
            raise SshConnectError(
                f"the box has not answered for {PATIENCE:g} s",
                hint="is it paused, or busy: cai status; have it go on: cai start",
            ) from None
        self._socket.settimeout(None)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the session's end and return its exit code: None where it has none."""
        self._socket.settimeout(timeout)
        while self.take():
            pass
        return self.code

    def wait_for_output(self) -> int | None:
        """Wait for the session's end, and until what it printed is with whoever reads it.

        What a command leaves behind may hold its output open for as long as it lives. It is not
        waited for once nothing of it has been in the way for a while.
        """
        while self.code is None and self.take():
            pass
        if self.code is not None:
            self._drain()
        return self.code

    def _drain(self) -> None:
        self._socket.settimeout(_MOMENT)
        left = _QUIET
        while left:
            try:
                left = _QUIET if self.take() else 0
            except TimeoutError:
                import select

                free = len(select.select([], [1, 2], [], 0)[1]) == 2
                left = left - 1 if free else _QUIET

    def close(self) -> None:
        """End it, and the session where that has not ended."""
        self._socket.close()

    def _send(self, text: bytes) -> None:
        while text:
            text = text[self._socket.send(text) :]

    def _told(self, message: bytes) -> None:
        kind, last = int.from_bytes(message[:4], "big"), int.from_bytes(message[8:12], "big")
        if kind == _EXIT:
            self.code = last & 255
        elif kind == _OPENED:
            self.is_open = True
        elif kind == _ALIVE:
            self.master = last
        elif kind == _NO_TERMINAL:
            self.has_terminal = False
        elif kind in (_DENIED, _FAILURE):
            raise RefusedError(
                f"the box takes no session: {message[12:].decode(errors='replace')}",
                hint="try again",
            )


def _encoded(request: Request) -> bytes:
    # Whether an agent comes along, the control connection knows (ForwardAgent).
    terminal, x11, agent, subsystem = int(request.term is not None), 0, 1, 0
    return b"".join(
        (
            _number(_NEW_SESSION), _number(1), _string(b""),
            *map(_number, (terminal, x11, agent, subsystem, _NONE)),
            _string(os.fsencode(request.term or "")),
            _string(request.line),
            *(_string(os.fsencode(f"{name}={value}")) for name, value in request.variables.items()),
        )
    )  # fmt: skip


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _string(text: bytes) -> bytes:
    return _number(len(text)) + text


def _framed(message: bytes) -> bytes:
    return _string(message)
