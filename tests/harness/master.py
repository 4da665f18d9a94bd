"""A control connection of the tests' own: it notes what it is asked, and answers as ssh would."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Asked(NamedTuple):
    """A session that was asked for."""

    line: bytes
    variables: dict[str, str]
    term: str | None
    descriptors: list[int]
    #: Sends what is no answer yet.
    send: Callable[[bytes], None]


#: What becomes of a session: an exit code, or None where there is none; bytes are sent as they are.
Answer = Callable[[Asked], "int | bytes | None"]


def said(*numbers: int, text: bytes = b"") -> bytes:
    """Return a message of a control connection."""
    body = b"".join(number.to_bytes(4, "big") for number in numbers) + text
    return len(body).to_bytes(4, "big") + body


class Master:
    """Listens at a path until it is closed."""

    def __init__(self, path: str, answer: Answer) -> None:
        self.asked: list[Asked] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Be gone."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                peer = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._speak, args=[peer], daemon=True).start()

    def _speak(self, peer: socket.socket) -> None:
        # Whoever only looked whether somebody listens has gone.
        with peer, contextlib.suppress(ConnectionError):
            peer.sendall(said(1, 4))
            for body in _messages(peer):
                kind = int.from_bytes(body[:4], "big")
                if kind == 0x10000004:
                    peer.sendall(said(0x80000005, 0, os.getpid()))
                if kind == 0x10000002:
                    self._serve(peer, body)
                    return

    def _serve(self, peer: socket.socket, body: bytes) -> None:
        descriptors = [socket.recv_fds(peer, 1, 1)[1][0] for _ in range(3)]
        asked = _asked(body, descriptors, peer.sendall)
        self.asked.append(asked)
        peer.sendall(said(0x80000006, 1, 2))
        code = self._answer(asked)
        for each in descriptors:
            with contextlib.suppress(OSError):
                os.close(each)
        if isinstance(code, int):
            peer.sendall(said(0x80000004, 2, code))
        elif code:
            peer.sendall(code)


def _messages(peer: socket.socket) -> Iterator[bytes]:
    while len(head := peer.recv(4, socket.MSG_WAITALL)) == 4:
        yield peer.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)


def _asked(body: bytes, descriptors: list[int], send: Callable[[bytes], None]) -> Asked:
    # Kind, id, reserved, terminal, X11, agent, subsystem, escape.
    terminal, strings = body[12:16] != bytes(4), body[32:]
    texts = []
    while strings:
        end = 4 + int.from_bytes(strings[:4], "big")
        texts.append(strings[4:end])
        strings = strings[end:]
    term, line, *variables = texts
    return Asked(
        line,
        dict(os.fsdecode(each).split("=", 1) for each in variables),
        term.decode() if terminal else None,
        descriptors,
        send,
    )
