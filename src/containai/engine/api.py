"""Requests to the engine over its socket: one costs 2 ms here, and 20 with docker's client.

Only what is on the way to a new box goes this way; the rest is the client's.
"""

import json
import os
import socket
import struct
import time
from typing import Any, NamedTuple

from containai.host import noted

#: How long an answer may take, in seconds: a busy engine answers late, a dead one not at all.
TIMEOUT = 60.0
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:")


class Answer(NamedTuple):
    """An HTTP status, and what came with it."""

    status: int
    body: bytes

    @property
    def value(self) -> Any:
        """The body's JSON. Raises ValueError."""
        return json.loads(self.body)


def quoted(text: str) -> str:
    """Return text for a URL, in which a slash stays one."""
    raw = os.fsencode(text)
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in raw)


def get(path: str, address: str) -> Answer:
    """Ask the dockerd at the socket `path` for the resource at `address`, which is quoted.

    Raises OSError where it does not answer, and ValueError where it does not speak HTTP.
    """
    return request(path, "GET", address)


def request(
    path: str,
    method: str,
    address: str,
    body: bytes = b"",
    *,
    kind: str = "application/x-tar",
    timeout: float = TIMEOUT,
) -> Answer:
    """Make a request of the dockerd at the socket `path`; `timeout` is in seconds.

    `kind` is what the body is. Raises as `get` does.
    """
    begun, status = time.monotonic(), None
    try:
        answer = _answered(path, method, address, body, kind, timeout)
        status = answer.status
        return answer
    finally:
        noted.tell(f"engine: {method} {address}", time.monotonic() - begun, status)


def _answered(
    path: str, method: str, address: str, body: bytes, kind: str, timeout: float
) -> Answer:
    # HTTP/1.0: the answer ends with the connection. http.client's import would cost more than all
    # that is asked here.
    head = f"{method} {address} HTTP/1.0\r\nHost: docker\r\n"
    if method != "GET":
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    with _connected(path, timeout) as connection:
        connection.sendall(head.encode("ascii") + b"\r\n" + body)
        with connection.makefile("rb") as file:
            raw = file.read()
    start, _, body = raw.partition(b"\r\n\r\n")
    words = start.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError(f"no HTTP answer: {raw[:80]!r}")
    return Answer(int(words[1]), body)


def listener(path: str) -> int:
    """Return the pid of the process that listens on a socket.

    Raises OSError where none does.
    """
    with _connected(path, TIMEOUT) as connection:
        return peer(connection).pid


class Peer(NamedTuple):
    """Who is at the other end of a socket."""

    pid: int
    uid: int
    gid: int


def peer(connection: socket.socket) -> Peer:
    """Return who is at the other end of a connected socket (SO_PEERCRED, unix(7))."""
    size = struct.calcsize("3i")
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return Peer(*struct.unpack("3i", said))


def _connected(path: str, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
