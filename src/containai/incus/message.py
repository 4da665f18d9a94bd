"""HTTP/1.1 on one connection: a request out, an answer in, and what came after it.

Not http.client's: its import costs more than most requests do, a server that trickles is never too
late for it, and what follows a 101 is lost in its buffers.
"""

from __future__ import annotations

import errno
import os
import ssl
import time
from collections.abc import Iterable, Mapping

from containai.incus.errors import CutError, GarbageError, TimedOutError
from containai.light import NamedTuple

#: How many bytes the head of an answer may have.
_HEAD = 64 << 10
_CHUNK = 256 << 10
#: How long a part of a body may take to be taken, in seconds.
SEND_TIMEOUT = 60.0
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
#: How the other side's end is seen in the middle of something.
_ENDS = (errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EHOSTUNREACH)


class Answer(NamedTuple):
    """A status, headers by their names in lower case, and a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def quoted(text: str) -> str:
    """Return a name for a URL: nothing in it is more than a name."""
    return "".join(chr(c) if c in _SAFE else f"%{c:02X}" for c in os.fsencode(text))


def query(values: Mapping[str, str | int]) -> str:
    """Return what follows the path of a URL, with its question mark, or ""."""
    pairs = "&".join(f"{quoted(key)}={quoted(str(value))}" for key, value in values.items())
    return f"?{pairs}" if pairs else ""


class Link:
    """A connection, and what came on it that nobody has asked for yet."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self.buffer = bytearray()
        #: Whether another request may follow.
        self.is_kept = True

    def close(self) -> None:
        """Close it."""
        self.is_kept = False
        self.connection.close()

    def is_stale(self) -> bool:
        """Whether the other side has ended it, or said something unasked, as far as is known."""
        try:
            self.connection.settimeout(0)
            # What TLS itself has to say is read, and is nothing.
            return bool(self.buffer) or self.connection.recv(1) is not None
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True

    def send(self, head: bytes, body: Iterable[bytes] = ()) -> None:
        """Send a request. It ends early where the answer is there before its body is.

        Raises CutError, TimedOutError.
        """
        try:
            self.connection.settimeout(SEND_TIMEOUT)
            self.connection.sendall(head)
            for part in body:
                if self._is_answered():
                    self.is_kept = False
                    return
                self.connection.settimeout(SEND_TIMEOUT)
                self.connection.sendall(part)
        except TimeoutError:
            raise TimedOutError("the server does not take what is sent to it") from None
        except OSError as wrong:
            # It may have answered, and ended: why is in what it said.
            self.is_kept = False
            if not (body and wrong.errno in _ENDS[:2]):
                raise _cut(wrong) from None

    def _is_answered(self) -> bool:
        try:
            self.connection.settimeout(0)
            self.buffer += self.connection.recv(_CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        return bool(self.buffer)

    def receive(self, deadline: float) -> bytes:
        """Return some bytes; b"" where the other side has ended this, as TLS does.

        `deadline` is of time.monotonic. Raises CutError, TimedOutError.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOutError("the server does not answer in time")
        try:
            self.connection.settimeout(left)
            return self.connection.recv(_CHUNK)
        except TimeoutError:
            raise TimedOutError("the server does not answer in time") from None
        except OSError as wrong:
            raise _cut(wrong) from None

    def head(self, deadline: float) -> Answer:
        """Return an answer's status and headers. Raises GarbageError, CutError, TimedOutError."""
        while True:
            while (end := self.buffer.find(b"\r\n\r\n")) < 0:
                if len(self.buffer) > _HEAD or not b"HTTP/1.".startswith(self.buffer[:7]):
                    raise _garbage(bytes(self.buffer[:60]))
                part = self.receive(deadline)
                if not part:
                    raise CutError("the server ended the connection before its answer was whole")
                self.buffer += part
            raw = bytes(self.buffer[:end])
            del self.buffer[: end + 4]
            answer = _parsed(raw)
            if answer.status >= 200 or answer.status == 101:
                return answer

    def body(self, head: Answer, deadline: float, limit: int, *, none: bool = False) -> bytes:
        """Return the body that belongs to a head; `none` is for the answer to a HEAD.

        Raises GarbageError for more than `limit` bytes, CutError, TimedOutError.
        """
        if "close" in head.headers.get("connection", "").lower():
            self.is_kept = False
        length = head.headers.get("content-length", "")
        if none or head.status in (204, 304):
            return b""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return self._chunked(deadline, limit)
        if length:
            if not (length.isascii() and length.isdecimal()):
                raise _garbage(length.encode())
            return self._exactly(_within(int(length), limit), deadline)
        self.is_kept = False
        while part := self.receive(deadline):
            self.buffer += part
            _within(len(self.buffer), limit)
        return self._taken(len(self.buffer))

    def _chunked(self, deadline: float, limit: int) -> bytes:
        whole = bytearray()
        while True:
            line = self._line(deadline)
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise _garbage(line) from None
            if size < 0:
                raise _garbage(line)
            if size == 0:
                while self._line(deadline):
                    pass
                return bytes(whole)
            whole += self._exactly(_within(size, limit - len(whole)), deadline)
            if self._exactly(2, deadline) != b"\r\n":
                raise _garbage(b"a part of it has another length")

    def _line(self, deadline: float) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > _HEAD:
                raise _garbage(bytes(self.buffer[:60]))
            self._more(deadline)
        return self._taken(end + 2)[:-2]

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self.buffer) < size:
            self._more(deadline)
        return self._taken(size)

    def _more(self, deadline: float) -> None:
        part = self.receive(deadline)
        if not part:
            raise CutError("the server ended the connection in the middle of its answer")
        self.buffer += part

    def _taken(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken


def _parsed(raw: bytes) -> Answer:
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    status = words[1] if len(words) > 1 else ""
    if not (words[0] in ("HTTP/1.1", "HTTP/1.0") and status.isdecimal() and len(status) == 3):
        raise _garbage(raw[:60])
    pairs = [line.partition(":") for line in lines]
    return Answer(int(status), {name.strip().lower(): text.strip() for name, _, text in pairs})


def _within(size: int, limit: int) -> int:
    if size > limit:
        raise GarbageError(f"the server answers with more than {limit} bytes")
    return size


def _garbage(seen: bytes) -> GarbageError:
    return GarbageError(
        f"what is there does not answer as Incus does: {seen[:60]!r}",
        hint="see whether it is the address and port of an Incus server (core.https_address)",
    )


def _cut(wrong: OSError) -> CutError:
    why = "" if isinstance(wrong, ssl.SSLError) else f" ({wrong.strerror or wrong})"
    return CutError(f"the connection to the server broke{why}")
