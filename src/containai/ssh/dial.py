"""A program: `dial.py HOST PORT SECONDS` waits for an sshd and hands ssh the connection to it.

It is ssh's ProxyCommand, with ProxyUseFdpass (ssh_config(5)), for two reasons. docker-proxy accepts
connections before sshd listens, so that a connection proves nothing, and one that only looks for
the banner costs the box a process. And ssh lets its first packets wait for each other (Nagle's
algorithm), which costs 40 ms with every new connection.
"""

import _socket  # socket's own imports would be most of the start
import os
import struct
import sys
import time

BANNER = b"SSH-2.0-"


def connected(host: str, port: int) -> _socket.socket | None:
    """Return a connection on which sshd has begun to speak, or None."""
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        connection.settimeout(1)
        connection.connect((host, port))
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # Left in the connection, for ssh to read.
        seen = connection.recv(len(BANNER), _socket.MSG_PEEK)
        if seen and BANNER.startswith(seen):
            connection.settimeout(None)
            return connection
    except OSError:
        pass
    connection.close()
    return None


def main(arguments: list[str]) -> int:
    """Return 0 when the connection was handed over, 1 when time is up."""
    host, port, seconds = arguments[0], int(arguments[1]), float(arguments[2])
    begun = time.monotonic()
    while (connection := connected(host, port)) is None:
        waited = time.monotonic() - begun
        if waited > seconds:
            return 1
        # Trying takes processor time from the box that boots: a wait is 2 % longer than it had to.
        time.sleep(max(0.005, waited / 50))
    passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", connection.fileno()))]
    _socket.socket(fileno=sys.stdout.fileno()).sendmsg([b"\0"], passed)
    return 0


if __name__ == "__main__":
    # At once: what is cleaned up at an exit is the kernel's to close.
    os._exit(main(sys.argv[1:]))
