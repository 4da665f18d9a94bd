"""The way of boxes to proxies that listen on a loopback address of this machine.

`python3 -IS forward.py ADDRESS PORT TARGET ...` listens on the bridge and hands over to
127.0.0.1:TARGET, from the next port to the next target. To a proxy boxes are this machine: what it
fetches for one may be what is closed to all of them. So each connection carries one request, of the
kinds that are for a proxy (RFC 9110, 7.1), and none for this machine itself or what is link-local.
A name that others let lead here is for the proxy to refuse. It runs without rights; `network
forward` starts it.
"""

import contextlib
import ipaddress
import os
import re
import select
import socket
import sys
import threading

#: What the head of a request may have, in bytes, and how long it may take, in seconds.
HEAD, HEAD_TIMEOUT = 1 << 16, 60.0
#: How many connections there may be, and of one box.
MOST, MOST_OF_ONE = 1024, 256
HOSTS = "/etc/hosts"
#: Closed to boxes on the bridge, too (engine/network.nft).
CLOSED = ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
_NETWORKS = tuple(map(ipaddress.ip_network, CLOSED))
_REQUEST = re.compile(rb"([A-Z]{3,16}) (\S{1,8192}) (HTTP/1\.[01])")
_URL = re.compile(r"(?:https?|ftp)://(?:[^/?#@]*@)?([^/?#@]+)", re.IGNORECASE)


class Refused(Exception):  # noqa: N818 - a request is
    """A request that is not handed over: a status, and why."""


def host_of(method: str, target: str) -> str:
    """Return whom a request is for. Raises Refused for what no proxy is asked."""
    matched = _URL.match(target)
    place = target if method == "CONNECT" else matched[1] if matched else ""
    host = place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
    if not host or "/" in place:
        raise Refused("400 Bad Request", "this is the way to a proxy, and no server")
    return host


def is_closed(host: str, own_names: frozenset[str]) -> bool:
    """Whether a host is this machine, or what no box may reach."""
    name = host.rstrip(".").lower()
    if name in own_names or name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(name)
    if address is None:
        return False
    if address.is_loopback or address.is_unspecified or address.is_link_local:
        return True
    if address.is_multicast or any(address in each for each in _NETWORKS):
        return True
    return _is_own(address)


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, in any form that a resolver takes (inet_aton(3))."""
    with contextlib.suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(name))
    try:
        found = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of this machine's: nothing else can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.bind((str(address), 0))
    except OSError:
        return False
    return True


def own_names() -> frozenset[str]:
    """Return the names that /etc/hosts has for addresses that are closed, and this machine's."""
    names = {socket.gethostname().lower()}
    with contextlib.suppress(OSError), open(HOSTS, encoding="utf-8", errors="replace") as file:
        for line in file:
            address, *others = line.partition("#")[0].lower().split() or [""]
            if others and is_closed(address, frozenset()):
                names.update(others)
    return frozenset(names)


def handed_over(head: bytes, own: frozenset[str]) -> bytes:
    """Return the head of a request as the proxy gets it. Raises Refused.

    It is the last of its connection, so that nothing else follows that was not looked at.
    """
    first, *lines = head.split(b"\r\n")
    matched = _REQUEST.fullmatch(first)
    if matched is None:
        raise Refused("400 Bad Request", "no request for a proxy")
    method, target = (each.decode("latin-1") for each in matched.groups()[:2])
    host = host_of(method, target)
    if is_closed(host, own):
        raise Refused("403 Forbidden", f"{host!r} is closed to boxes")
    if method == "CONNECT":
        return head
    gone = (b"connection:", b"proxy-connection:", b"keep-alive:", b"upgrade:")
    kept = [line for line in lines if line and not line.lower().startswith(gone)]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request, with the empty line after it, and what came after."""
    connection.settimeout(HEAD_TIMEOUT)
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(1 << 14)
        got += part
        if not part or len(got) > HEAD:
            raise Refused("400 Bad Request", "no request for a proxy")
    head, end, rest = got.partition(b"\r\n\r\n")
    return head + end, rest


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Hand over between two connections until both have said all."""
    to = {one.fileno(): (one, other), other.fileno(): (other, one)}
    waiting = select.poll()
    for fd in to:
        waiting.register(fd, select.POLLIN)
    while to:
        for fd, _ in waiting.poll():
            source, target = to[fd]
            part = source.recv(1 << 16)
            if part:
                target.sendall(part)
                continue
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            waiting.unregister(fd)
            del to[fd]


def serve_one(connection: socket.socket, target: int) -> None:
    """Hand one request over to the proxy, or refuse it."""
    try:
        head, rest = _read_head(connection)
        head = handed_over(head, own_names())
        with socket.create_connection(("127.0.0.1", target), timeout=HEAD_TIMEOUT) as proxy:
            for each in (connection, proxy):
                each.settimeout(None)
            proxy.sendall(head + rest)
            _relay(connection, proxy)
    except Refused as refused:
        status, why = refused.args
        _say(connection, status, f"{why}; this leads to 127.0.0.1:{target}")
    except ConnectionRefusedError:
        _say(connection, "502 Bad Gateway", f"no proxy listens on 127.0.0.1:{target}")
    except OSError:
        return


def _say(connection: socket.socket, status: str, why: str) -> None:
    body = f"ContainAI: {why}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    with contextlib.suppress(OSError):
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)


class Shares:
    """The connections that boxes have, to all proxies together: a box has its share of them."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), dict[str, int]()

    def take(self, box: str) -> bool:
        """Count one more of a box; return whether it may have it."""
        with self._lock:
            mine = self._open.get(box, 0)
            if sum(self._open.values()) >= MOST or mine >= MOST_OF_ONE:
                return False
            self._open[box] = mine + 1
        return True

    def give_back(self, box: str) -> None:
        """Count one less of a box."""
        with self._lock:
            self._open[box] -= 1
            if not self._open[box]:
                del self._open[box]


def serve(listener: socket.socket, target: int, shares: Shares) -> None:
    """Serve for ever."""

    def one(connection: socket.socket, box: str) -> None:
        with connection:
            serve_one(connection, target)
        shares.give_back(box)

    while True:
        try:
            connection, (box, *_) = listener.accept()
        except OSError:
            continue  # it had gone, or there are no descriptors for a moment
        if not shares.take(box):
            connection.close()
            continue
        threading.Thread(target=one, args=(connection, box), daemon=True).start()


def main(address: str, port: str, *targets: str) -> None:
    """Listen and serve."""
    shares = Shares()
    with contextlib.ExitStack() as open_:
        serving = []
        for at, target in enumerate(targets, int(port)):
            listener = open_.enter_context(socket.create_server((address, at), backlog=128))
            serving.append((listener, int(target), shares))
        for each in serving[1:]:
            threading.Thread(target=serve, args=each, daemon=True).start()
        serve(*serving[0])


if __name__ == "__main__":
    os.chdir("/")
    main(*sys.argv[1:])
