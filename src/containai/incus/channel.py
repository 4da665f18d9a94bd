"""One stream of bytes each way on a connection that does not wait: raw, or in frames."""

from __future__ import annotations

import socket
import ssl

from containai.incus.errors import CutError
from containai.incus.message import Link

_CHUNK = 64 << 10
#: How much is taken at once: others are to have their turn.
_TURN = 256 << 10


class Channel:
    """A connection that has become a stream: what is sent on it is what the other side reads."""

    def __init__(self, link: Link) -> None:
        self._connection: ssl.SSLSocket = link.connection
        self._connection.settimeout(0)
        self._unread = bytes(link.buffer)
        self._out = bytearray()
        self._ends = False
        #: Whether the other side has sent all of its bytes.
        self.is_over = False
        #: Whether there is no connection any more.
        self.is_closed = False

    def fileno(self) -> int:
        """Return its descriptor, for poll(2)."""
        return self._connection.fileno()

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._out)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to receive that poll(2) does not know of."""
        if self.is_closed:
            return not self.is_over
        return bool(self._unread) or self._connection.pending() > 0

    def send(self, data: bytes) -> None:
        """Have bytes sent, when `flush` can."""
        self._out += data

    def finish(self) -> None:
        """Say that there is nothing more to come, once all is sent. The other way goes on."""
        self._ends = True
        self.flush()

    def flush(self) -> None:
        """Send what can be sent now."""
        while self._out and not self.is_closed:
            try:
                with memoryview(self._out) as all_of_it, all_of_it[:_CHUNK] as part:
                    sent = self._connection.send(part)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                return
            except OSError:
                # Whether something is missing is seen by what was received.
                self._out.clear()
                return
            del self._out[:sent]
        if self._ends and not self._out:
            self._ends = False
            self._said_all()

    def receive(self) -> bytes:
        """Return what is there of the stream now, b"" for nothing; see `is_over`.

        Raises CutError where it ends as no stream does, GarbageError.
        """
        taken, self._unread = bytearray(self._unread), b""
        try:
            while len(taken) < _TURN:
                part = self._connection.recv(_CHUNK)
                if not part:
                    self.is_closed = True
                    break
                taken += part
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            self.is_closed = True
        return self._read(bytes(taken))

    def close(self) -> None:
        """Close the connection."""
        self.is_closed = True
        self._connection.close()

    def _said_all(self) -> None:
        # Not TLS's own end: Python's waits for the answer to it, and loses what comes before that.
        try:
            socket.socket.shutdown(self._connection, socket.SHUT_WR)
        except OSError:
            self.is_closed = True

    def _read(self, raw: bytes) -> bytes:
        """Return what bytes of the connection are of the stream."""
        self.is_over = self.is_closed
        return raw


def cut() -> CutError:
    """Return the error for a stream that has ended before its end."""
    return CutError("the connection to the server broke")
