"""Websockets as Incus speaks them (RFC 6455; shared/ws/rwc.go).

Bytes are in binary frames; a text frame, whatever is in it, is the end of a direction. The server
closes none: it ends the connection.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time

from containai.incus.channel import Channel, cut
from containai.incus.errors import GarbageError
from containai.incus.message import Link
from containai.incus.tls import Dialler
from containai.incus.wire import LIMIT, failure, head
from containai.light import NamedTuple

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: How many bytes a frame of the server may have: it reads 128 KiB at once (shared/ws/rwc.go).
LARGEST = 16 << 20
#: How many bytes are in a frame of ours.
_FRAME = 64 << 10
#: How long a websocket may take to be one, in seconds: it has five until the server gives up.
_TIMEOUT = 10.0


class Frame(NamedTuple):
    """A part of a frame: all of what is there of its bytes, and what it is of."""

    kind: int
    payload: bytes


def encoded(kind: int, payload: bytes) -> bytes:
    """Return a whole frame of a client's, which has to be masked."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 1 << 16:
        length = bytes((0x80 | 126,)) + size.to_bytes(2)
    else:
        length = bytes((0x80 | 127,)) + size.to_bytes(8)
    mask = os.urandom(4)
    pattern = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload) ^ int.from_bytes(pattern)
    return bytes((0x80 | kind,)) + length + mask + masked.to_bytes(size)


class Decoder:
    """Reads frames of a server as they come: those of data in parts, those of control whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: How much is missing of the frame that has begun, and what it is.
        self._left = 0
        self._kind = CONTINUED
        #: What the message that has begun is, CONTINUED where none has.
        self._message = CONTINUED

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return what they complete. Raises GarbageError for what is no frame."""
        self._buffer += data
        frames = []
        while self._buffer:
            if self._left:
                part = bytes(self._buffer[: self._left])
                del self._buffer[: len(part)]
                self._left -= len(part)
                frames.append(Frame(self._kind, part))
                continue
            frame = self._begun()
            if frame is None:
                break
            frames.append(frame)
        return frames

    def _begun(self) -> Frame | None:
        """Take the head of a frame; return what is whole of it, or None where more has to come."""
        if len(self._buffer) < 2:
            return None
        first, second = self._buffer[:2]
        kind, is_last, short = first & 15, bool(first & 0x80), second & 127
        more = {126: 2, 127: 8}.get(short, 0)
        if first & 0x70 or second & 0x80:
            raise _wrong("is masked, or compressed")
        if kind >= CLOSE and (short > 125 or not is_last):
            raise _wrong("of control is too long")
        if len(self._buffer) < 2 + more:
            return None
        size = int.from_bytes(self._buffer[2 : 2 + more]) if more else short
        if size > LARGEST:
            raise _wrong(f"has {size} bytes")
        if kind >= CLOSE:
            return self._of_control(kind, size)
        del self._buffer[: 2 + more]
        self._kind, self._left = self._of_data(kind, is_last), size
        return Frame(self._kind, b"")

    def _of_control(self, kind: int, size: int) -> Frame | None:
        if kind not in (CLOSE, PING, PONG):
            raise _wrong(f"is of kind {kind}")
        if len(self._buffer) < 2 + size:
            return None
        payload = bytes(self._buffer[2 : 2 + size])
        del self._buffer[: 2 + size]
        return Frame(kind, payload)

    def _of_data(self, kind: int, is_last: bool) -> int:  # noqa: FBT001 - as it is in the frame
        """Return what a frame of data is a part of."""
        if kind not in (CONTINUED, TEXT, BINARY):
            raise _wrong(f"is of kind {kind}")
        if (kind == CONTINUED) != (self._message != CONTINUED):
            raise _wrong("is out of order")
        kind = kind or self._message
        self._message = CONTINUED if is_last else kind
        return kind


class WebSocket(Channel):
    """A stream in frames. What ends it is a frame, so that a broken one is told from a whole one.

    Of a `control` one, whose messages are text, nothing is read.
    """

    def __init__(self, link: Link) -> None:
        self._decoder = Decoder()
        super().__init__(link)

    def send(self, data: bytes) -> None:
        """Have bytes sent, in frames, when `flush` can."""
        for at in range(0, len(data), _FRAME):
            super().send(encoded(BINARY, data[at : at + _FRAME]))

    def send_text(self, text: str) -> None:
        """Have a message sent that is text: of the control channel."""
        super().send(encoded(TEXT, text.encode()))
        self.flush()

    def _said_all(self) -> None:
        super().send(encoded(TEXT, b""))
        self.flush()

    def _read(self, raw: bytes) -> bytes:
        taken = bytearray()
        for kind, payload in self._decoder.feed(raw):
            if kind == BINARY and not self.is_over:
                taken += payload
            elif kind in (TEXT, CLOSE):
                self.is_over = True
            elif kind == PING:
                super().send(encoded(PONG, payload))
                self.flush()
        if self.is_closed and not self.is_over and not taken:
            raise cut()
        return bytes(taken)


def connect(dialler: Dialler, target: str) -> WebSocket:
    """Return a websocket of what is asked for: a quoted path with its query.

    Raises an IncusError, or OtherCertificateError.
    """
    link = Link(dialler.connect())
    try:
        key = base64.b64encode(os.urandom(16))
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key.decode(),
        }
        link.send(head("GET", target, dialler.where, headers))
        deadline = time.monotonic() + _TIMEOUT
        answer = link.head(deadline)
        if answer.status != 101:
            raise failure(answer._replace(body=link.body(answer, deadline, LIMIT)))
        expected = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - RFC 6455
        if answer.headers.get("sec-websocket-accept", "").encode() != expected:
            raise GarbageError("the server answers with no websocket")
        return WebSocket(link)
    except BaseException:
        link.close()
        raise


def _wrong(why: str) -> GarbageError:
    return GarbageError(f"a frame of the server's websocket {why}")
