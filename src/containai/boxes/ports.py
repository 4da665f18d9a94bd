"""Host ports for boxes: free on the host, and not promised to a stopped box."""

import errno
import socket
from collections.abc import Callable, Iterable, Mapping

from containai.boxes.box import Box
from containai.config.values import PortRange
from containai.errors import PortsExhaustedError, UnsupportedError

HOST = "127.0.0.1"
#: How many boxes are named that have ports, where there is none left.
_NAMED = 8


def look() -> None:
    """Raise UnsupportedError where the host has no 127.0.0.1."""
    is_free(0)


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the host, at whatever address.

    Raises UnsupportedError where the host has no 127.0.0.1.
    """
    try:
        if not _binds(socket.AF_INET, HOST, port):
            return False
    except OSError:
        raise no_loopback() from None
    # One of both families meets who listens at any address, of either.
    try:
        return _binds(socket.AF_INET6, "::", port)
    except OSError:
        return _binds(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - nobody listens there


def _binds(family: int, address: str, port: int) -> bool:
    """Whether a port can be had at an address. Raises OSError where there is no such address."""
    with socket.socket(family) as probe:
        # docker-proxy sets SO_REUSEADDR too: ports in TIME_WAIT are free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind((address, port))
        except OSError as wrong:
            if wrong.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
        return True


def no_loopback() -> UnsupportedError:
    """Return the error for a machine whose loopback has no address of IPv4."""
    return UnsupportedError(
        f"this machine has no {HOST}, where the ports of boxes are",
        hint=f"give it to the loopback interface: ip address add {HOST}/8 dev lo",
    )


def choose(ports: PortRange, promised: Iterable[int], free: Callable[[int], bool] = is_free) -> int:
    """Return the first free port; `promised` are those of boxes that may not listen now.

    Raises PortsExhaustedError where there is none: of a mapping it says whose they are.
    """
    taken = set(promised)
    for port in range(ports.first, ports.last + 1):
        if port not in taken and free(port):
            return port
    owners = promised if isinstance(promised, Mapping) else {}
    names = [owners[port] for port in sorted(owners) if ports.first <= port <= ports.last]
    raise PortsExhaustedError(
        f"no free SSH port in {ports.first}-{ports.last}: {_said(ports, names)}",
        hint="remove a box (cai ls, cai rm) or widen ssh.port_range in config.toml",
    )


def owners(boxes: Iterable[Box], uid: int) -> dict[int, str]:
    """Return whose the ports of boxes are: a box of this user by its name, "" for others."""
    return {
        box.ssh_port: _named(box) if box.belongs_to(uid) else "" for box in boxes if box.ssh_port
    }


def _named(box: Box) -> str:
    return f"{box.name} ({box.status})" if box.status.is_off else box.name


def _said(ports: PortRange, names: list[str]) -> str:
    """Return who has the ports of a range."""
    own = [name for name in names if name]
    others = len(names) - len(own)
    elsewhere = ports.last - ports.first + 1 - len(names)
    more = len(own) - _NAMED
    parts = [*own[:_NAMED], *([f"{more} more"] if more > 0 else [])]
    parts = [f"they are of {', '.join(parts)}"] if parts else []
    parts += [f"{others} of other users' boxes"] if others else []
    parts += [f"{elsewhere} of other programs"] if elsewhere else []
    return ", ".join(parts)
