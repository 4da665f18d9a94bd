"""Commands of the fake Incus server: websockets that lead to a function in place of a program."""

import contextlib
import os
import queue
import socket
import ssl
import threading
import uuid
from collections.abc import Callable

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(kind: int, payload: bytes = b"", *, last: bool = True, masked: bool = False) -> bytes:
    """Return a frame as a server sends it; or as it must not, masked."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 1 << 16 else 127
    more = size.to_bytes(2) if short == 126 else size.to_bytes(8) if short == 127 else b""
    head = bytes((kind | (0x80 if last else 0), short | (0x80 if masked else 0)))
    return head + more + (b"\0\0\0\0" if masked else b"") + payload


class Stream:
    """One websocket of a command, once it is connected."""

    def __init__(self) -> None:
        #: What came, frame by frame: (kind, payload); None is for the connection's end.
        self.came: queue.Queue[tuple[int, bytes] | None] = queue.Queue()
        self.is_connected = threading.Event()
        self._ends = threading.Event()
        self._connection: ssl.SSLSocket | None = None
        self._out: queue.Queue[bytes] = queue.Queue()
        self.is_lost = threading.Event()

    def serve(self, connection: ssl.SSLSocket) -> None:
        """Read what comes until the stream is ended."""
        self._connection = connection
        # One that both reads and writes in two threads is not for Python's TLS: it takes turns.
        connection.settimeout(0.01)
        self.is_connected.set()
        raw = bytearray()
        while not self._ends.is_set():
            try:
                part = connection.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                self._pass()
                continue
            except OSError:
                break
            if not part:
                break
            raw += part
            while (found := _first(raw)) is not None:
                self.came.put(found)
            self._pass()
        self._pass()
        if not self._ends.is_set():
            self.is_lost.set()
        self.came.put(None)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._out.put(data)

    def say(self, data: bytes) -> None:
        """Send bytes of the stream."""
        self.raw(frame(BINARY, data))

    def over(self) -> None:
        """Say that the stream is over."""
        self.raw(frame(TEXT))

    def end(self) -> None:
        """End the connection, once all is sent."""
        self._ends.set()

    def cut(self) -> None:
        """End the connection at once."""
        self._ends.set()
        self.is_connected.wait(5)
        assert self._connection is not None
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def read_all(self) -> bytes:
        """Return what came until its end."""
        whole = b""
        while (found := self.came.get(timeout=20)) is not None and found[0] != TEXT:
            whole += found[1] if found[0] == BINARY else b""
        return whole

    def _pass(self) -> None:
        with contextlib.suppress(queue.Empty, OSError):
            while True:
                data = self._out.get_nowait()
                self._connection.settimeout(20)
                self._connection.sendall(data)
                self._connection.settimeout(0.01)


def _first(raw: bytearray) -> tuple[int, bytes] | None:
    """Take the first frame of a client's out of what came of it."""
    if len(raw) < 6:
        return None
    assert raw[1] & 0x80, "a client's frames are masked"
    short = raw[1] & 127
    more = {126: 2, 127: 8}.get(short, 0)
    size = int.from_bytes(raw[2 : 2 + more]) if more else short
    at = 2 + more
    if len(raw) < at + 4 + size:
        return None
    mask, payload = raw[at : at + 4], raw[at + 4 : at + 4 + size]
    found = raw[0] & 15, bytes(c ^ mask[i % 4] for i, c in enumerate(payload))
    del raw[: at + 4 + size]
    return found


class Operation:
    """An operation: `ended` is None while it runs."""

    def __init__(self, metadata: dict | None = None, *, err: str = "", ends: bool = True) -> None:
        self.id = str(uuid.uuid4())
        self.metadata, self.err = metadata or {}, err
        self.status = (400 if err else 200) if ends else 103
        self.may_cancel = False

    def end(self, metadata: dict | None = None, err: str = "") -> None:
        """Have it ended."""
        self.metadata |= metadata or {}
        self.err, self.status = err, 400 if err else 200

    def value(self) -> dict:
        """Return what it is as JSON."""
        return {
            "id": self.id, "class": "task", "description": "Doing it", "status_code": self.status,
            "metadata": self.metadata, "may_cancel": self.may_cancel, "err": self.err,
        }  # fmt: skip


class Running:
    """A command: what it was asked as, and its streams."""

    def __init__(self, asked: dict, operation: Operation) -> None:
        self.asked, self.operation = asked, operation
        self.streams = {name: Stream() for name in ("0", "1", "2", "control")}
        self.secrets = {os.urandom(8).hex(): name for name in self.streams}

    def __getitem__(self, name: str) -> Stream:
        """Return a stream."""
        return self.streams[name]

    def end(self, code: int, out: bytes = b"", err: bytes = b"") -> None:
        """Say something, and end with a code."""
        for name, data in (("1", out), ("2", err)):
            if data:
                self[name].say(data)
            self[name].over()
        self.operation.end({"return": code})
        for each in self.streams.values():
            each.end()


class Execs:
    """Commands of the server: `program` is called with each, in a thread, once it is connected."""

    def __init__(self) -> None:
        self.running: list[Running] = []
        self.program: Callable[[Running], object] = lambda running: running.end(0)

    def begin(self, asked: dict) -> Operation:
        """Begin a command; return its operation."""
        operation = Operation(ends=False)
        running = Running(asked, operation)
        fds = {name: secret for secret, name in running.secrets.items()}
        operation.metadata = {"fds": fds}
        self.running.append(running)
        threading.Thread(target=self._run, args=(running,), daemon=True).start()
        return operation

    def end(self) -> None:
        """Lose all that still runs."""
        for running in self.running:
            for each in running.streams.values():
                each.end()

    def stream(self, secret: str) -> Stream | None:
        """Return the stream that a secret is for."""
        for each in self.running:
            if secret in each.secrets:
                return each.streams[each.secrets[secret]]
        return None

    def _run(self, running: Running) -> None:
        if all(each.is_connected.wait(5) for each in running.streams.values()):
            self.program(running)
        else:
            running.operation.end(err="Timed out waiting for websockets to connect")
