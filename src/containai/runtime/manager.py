"""Tells sysbox-mgr that a container has ended, which nobody else did.

Where the engine is killed while a container starts, sysbox-runc ends without a word, and sysbox-mgr
takes that container for one that runs, for as long as it runs itself: "redundant container
registration". It is asked over its socket, by gRPC (HTTP/2, RFC 9113; headers as in RFC 7541).
"""

import contextlib
import os
import socket
import struct

SOCKET = "/run/sysbox/sysmgr.sock"
#: How long it may take to answer, in seconds.
PATIENCE = 10.0
#: sysbox-ipc, sysboxMgrProtobuf.proto: a message with the id as its first field.
_CALL = b"/protobuf.sysboxMgrStateChannel/Unregister"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
#: Flags: the stream ends, or this acknowledges; all headers are here.
_END, _ALL = 1, 4


def forget(container: str, state: str) -> None:
    """Have sysbox-mgr take a container for stopped that is about to be made anew.

    `state` is the directory in which a runtime has those that run: one that is there is left alone.
    Nothing happens where sysbox-mgr does not know it, or does not run.
    """
    if os.path.exists(os.path.join(state, container, "state.json")):
        return
    # What is then wrong, sysbox-runc says.
    with contextlib.suppress(OSError, struct.error), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(SOCKET)
        connection.sendall(request(container))
        _wait(connection)


def request(container: str) -> bytes:
    """Return what is sent."""
    name = container.encode("ascii")
    field = b"\x0a" + bytes([len(name)]) + name
    message = b"\0" + struct.pack(">I", len(field)) + field
    headers = b"".join(
        (
            # POST, http, by their numbers; the rest as literals that nobody has to remember.
            b"\x83\x86",
            b"\x04" + _text(_CALL),
            b"\x01" + _text(b"localhost"),
            b"\x0f\x10" + _text(b"application/grpc"),
            b"\0" + _text(b"te") + _text(b"trailers"),
        )
    )
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _ALL, 1, headers),
            _frame(_DATA, _END, 1, message),
        )
    )


def _wait(connection: socket.socket) -> None:
    """Wait for the end of the answer, whatever it is."""
    with connection.makefile("rb") as answers:
        while head := answers.read(9):
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = answers.read(length)
            if kind == _SETTINGS and not flags & _END:
                connection.sendall(_frame(_SETTINGS, _END, 0, b""))
            elif kind == _PING and not flags & _END:
                connection.sendall(_frame(_PING, _END, 0, payload))
            is_last = kind in (_HEADERS, _DATA) and stream == 1 and flags & _END
            if is_last or kind in (_GOAWAY, _RESET):
                return


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _text(word: bytes) -> bytes:
    """Return a string of fewer than 127 bytes, as it is."""
    return bytes([len(word)]) + word
