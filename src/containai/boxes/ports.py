"""Host ports for boxes: free on the host, and not promised to a stopped box."""

import socket
from collections.abc import Callable, Iterable

from containai.config.values import PortRange
from containai.errors import PortsExhaustedError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of the host that a publish on loopback would meet."""
    with socket.socket() as probe:
        # docker-proxy sets SO_REUSEADDR too: ports in TIME_WAIT are free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(ports: PortRange, promised: Iterable[int], free: Callable[[int], bool] = is_free) -> int:
    """Return the first free port. Raises PortsExhaustedError where there is none."""
    taken = set(promised)
    for port in range(ports.first, ports.last + 1):
        if port not in taken and free(port):
            return port
    raise PortsExhaustedError(
        f"no free SSH port in {ports.first}-{ports.last}",
        hint="remove a box (cai ls, cai rm) or widen ssh.port_range in config.toml",
    )
