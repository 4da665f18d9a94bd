"""The resolver of boxes: Debian's dnsmasq on the address of their bridge, beside the engine.

It asks whom this machine asks, a server on a loopback address included, and follows the machine's
resolv.conf (docs/adr/0008). `network resolve` keeps it alive. Without the package boxes go without:
they are given the machine's name servers, or Docker's own choice where those are on loopback.
"""

import os
import socket

from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import processes
from containai.host.processes import Process
from containai.host.service import Service
from containai.layout import Layout

#: As Debian and Ubuntu have it (package dnsmasq-base, which brings no service).
PROGRAM = "/usr/sbin/dnsmasq"
#: How long an answer may take, in seconds.
_ANSWER_TIMEOUT = 0.5
#: A question for the address of a name that it knows by itself (RFC 1035, 4.1): its number, flags
#: "recursion desired", one question; the name; type A, class IN.
_QUESTION = (
    b"\x0c\xa1\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    + b"".join(bytes([len(part)]) + part for part in networks.HOST_NAME.encode().split(b"."))
    + b"\x00\x00\x01\x00\x01"
)


def is_there() -> bool:
    """Whether this machine has the program."""
    return os.path.exists(PROGRAM)


def answers(layout: Layout, network: Network) -> bool:
    """Whether it answers on the bridge, which costs less to ask than to look for a process."""
    if not os.path.exists(f"/sys/class/net/{layout.bridge}"):
        return False  # the question would leave the machine
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(_ANSWER_TIMEOUT)
            asking.connect((network.host, networks.RESOLVER_PORT))
            asking.send(_QUESTION)
            return asking.recv(512)[:2] == _QUESTION[:2]
    except OSError:
        return False


def processes_of(layout: Layout) -> list[Process]:
    """Return the processes that keep it alive: one, or none."""
    return processes.started_as(layout.network_program, "resolve", layout.bridge)


def service(layout: Layout, network: Network | None) -> Service:
    """Return it as a service, which the engine wants; to stop it, no network has to be known.

    Without it boxes have no names: it stops with the engine, or to be started anew.
    """
    seen = Service(
        name="the resolver of boxes",
        unit=layout.resolver_unit,
        log=layout.resolver_log,
        start_timeout=2.0,
        stop_timeout=15.0,
        find=lambda: processes_of(layout),
        description="Resolver of ContainAI's boxes",
        documentation="man:dnsmasq(8)",
        optional=True,
        conditions=(PROGRAM,),
        after=(layout.network_unit,),
        service_lines=("Restart=always", "RestartSec=1"),
    )
    if network is None:
        return seen
    return seen._replace(
        ready=lambda: answers(layout, network),
        argv=tuple(networks.argv(layout, network, "resolve")),
    )
