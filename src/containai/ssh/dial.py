"""A program: `dial.py HOST PORT SECONDS [BRIDGE ADDRESS PORT]` waits for sshd and hands it to ssh.

It is ssh's ProxyCommand, with ProxyUseFdpass (ssh_config(5)). ADDRESS is the box's own, beyond
BRIDGE: without a process between, and not cut when the engine is exchanged, with which that process
ends. HOST and PORT, where the engine has published it, are the way in where BRIDGE is not there, or
the box cannot be reached beyond it: ssh here may be in another network namespace than the engine.

A connection there proves nothing, as docker-proxy accepts before sshd listens, and one that only
looks for the banner costs the box a process: so the one that saw it is the one that ssh gets. And
ssh lets its first packets wait for each other (Nagle's algorithm), which costs 40 ms with every new
connection.
"""

import _socket  # socket's own imports would be most of the start
import errno
import fcntl
import os
import struct
import sys
import time

BANNER = b"SSH-2.0-"
#: How long a connection may take, and the banner on one that docker-proxy has accepted, in seconds.
PATIENCE = 1.0
#: How long sshd may take for its banner once it listens, in seconds: a busy machine is late.
SLOW = 20.0


#: Asks for the address of an interface (netdevice(7)), which is in the answer's 21st to 24th byte.
SIOCGIFADDR = 0x8915
#: Any port: nothing is sent there.
DISCARD = 9


class Unreachable(OSError):  # noqa: N818 - it is no fault
    """Nobody is at an address, which is another thing than that nobody listens there."""


def connected(host: str, port: int, bridge: str = "") -> _socket.socket | None:
    """Return a connection on which sshd has begun to speak, or None.

    With a `bridge` it goes there, whatever other networks have the same addresses. Raises
    Unreachable.
    """
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        _connect(connection, host, port, bridge)
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # Its own sshd accepts what reaches a box.
        connection.settimeout(SLOW if bridge else PATIENCE)
        # Left in the connection, for ssh to read.
        seen = connection.recv(len(BANNER), _socket.MSG_PEEK)
        if seen and BANNER.startswith(seen):
            connection.settimeout(None)
            return connection
    except Unreachable:
        connection.close()
        raise
    except OSError:
        pass
    connection.close()
    return None


def _connect(connection: _socket.socket, host: str, port: int, bridge: str) -> None:
    """Connect a socket. Raises ConnectionRefusedError where nobody listens, Unreachable."""
    if bridge and not _is_beyond(bridge, host):
        raise Unreachable(errno.EHOSTUNREACH, bridge)
    try:
        connection.settimeout(PATIENCE)
        connection.connect((host, port))
    except ConnectionRefusedError:
        raise
    except OSError as wrong:
        raise Unreachable(*wrong.args) from None


def _is_beyond(bridge: str, host: str) -> bool:
    """Whether what is sent to an address leaves by a bridge: the kernel says it, nothing is sent.

    The connection is not bound to the bridge (SO_BINDTODEVICE): it would not survive that somebody
    makes the bridge anew, and only root could have it be free again.
    """
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        said = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", bridge.encode()))
        probe.connect((host, DISCARD))
        return _socket.inet_aton(probe.getsockname()[0]) == said[20:24]
    except OSError:
        return False
    finally:
        probe.close()


def either(ways: list[tuple[str, int, str]]) -> _socket.socket | None:
    """Return a connection by the first way that leads to somebody, or None."""
    for host, port, bridge in ways:
        try:
            return connected(host, port, bridge)
        except Unreachable:
            continue
    return None


def main(arguments: list[str]) -> int:
    """Return 0 when the connection was handed over, 1 when time is up."""
    host, port, seconds, *own = arguments
    ways = [(host, int(port), "")]
    if own:
        bridge, address, inside = own
        ways.insert(0, (address, int(inside), bridge))
    begun = time.monotonic()
    while (connection := either(ways)) is None:
        waited = time.monotonic() - begun
        if waited > float(seconds):
            return 1
        # Trying takes processor time from the box that boots: a wait is 2 % longer than it had to.
        time.sleep(max(0.005, waited / 50))
    passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", connection.fileno()))]
    _socket.socket(fileno=sys.stdout.fileno()).sendmsg([b"\0"], passed)
    return 0


if __name__ == "__main__":
    # At once: what is cleaned up at an exit is the kernel's to close.
    os._exit(main(sys.argv[1:]))
