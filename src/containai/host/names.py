"""Who tells this machine names: whom it asks by resolv.conf(5), and whether they answer."""

import contextlib
import os
import select
import socket
import time
from collections.abc import Sequence

PORT = 53
#: A query for the name servers of the root, which every server answers, if only with a refusal
#: (RFC 1035, 4.1); what comes before it is its number.
_QUERY = b"\1\0" + b"\0\1" + b"\0\0" * 3 + b"\0" + b"\0\2" + b"\0\1"


def servers(text: str) -> list[str]:
    """Return the addresses of name servers in a resolv.conf."""
    words = [line.split() for line in text.splitlines()]
    return [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]


def silent(servers: Sequence[str], patience: float, port: int = PORT) -> list[str]:
    """Return those that give no answer to any question; all are asked at once, for seconds."""
    asked: dict[socket.socket, tuple[str, bytes]] = {}
    try:
        for server in servers:
            number = os.urandom(2)
            with contextlib.suppress(OSError):
                [(family, _, _, _, address), *_] = socket.getaddrinfo(
                    server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
                )
                own = socket.socket(family, socket.SOCK_DGRAM)
                asked[own] = server, number
                own.connect(address)
                own.send(number + _QUERY)
        heard = _heard(asked, time.monotonic() + patience)
    finally:
        for own in asked:
            own.close()
    return [server for server in servers if server not in heard]


def _heard(asked: dict[socket.socket, tuple[str, bytes]], until: float) -> set[str]:
    waiting, heard = set(asked), set[str]()
    while waiting and (left := until - time.monotonic()) > 0:
        for own in select.select(waiting, [], [], left)[0]:
            server, number = asked[own]
            try:
                answer = own.recv(512)
            except OSError:  # nobody is at that port
                waiting.discard(own)
                continue
            # An answer to this very question (QR is its third byte's first bit).
            if answer[:2] == number and len(answer) > 2 and answer[2] & 0x80:
                heard.add(server)
                waiting.discard(own)
    return heard
