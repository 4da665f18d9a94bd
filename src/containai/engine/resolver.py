"""The resolver of boxes: Debian's dnsmasq on the address of their bridge, beside the engine.

It asks whom this machine asks, a server on a loopback address included, and follows the machine's
resolv.conf (docs/adr/0008). `network resolve` keeps it alive. Without the package boxes go without:
they are given the machine's name servers, or Docker's own choice where those are on loopback.
"""

import os
import signal
import socket
import time

from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import machine, proc, processes
from containai.layout import Layout

#: As Debian and Ubuntu have it (package dnsmasq-base, which brings no service).
PROGRAM = "/usr/sbin/dnsmasq"
#: How long an answer may take, and a start and a stop, in seconds.
_ANSWER_TIMEOUT, _START_TIMEOUT, _STOP_TIMEOUT = 0.5, 2.0, 5.0
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


def start(layout: Layout, network: Network) -> None:
    """Start it where it can run and does not. A failure is in its log, and keeps nobody waiting."""
    if not is_there() or answers(layout, network) or not os.path.exists(layout.network_program):
        return
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "start", layout.resolver_unit], root=True, ok=None, timeout=30)
    elif not _keepers(layout):
        proc.run(["mkdir", "-p", os.path.dirname(layout.resolver_log)], root=True)
        proc.start(networks.argv(layout, network, "resolve"), log=layout.resolver_log)
    deadline = time.monotonic() + _START_TIMEOUT
    while not answers(layout, network) and time.monotonic() < deadline:
        time.sleep(0.01)


def stop(layout: Layout) -> None:
    """Stop it. Boxes have no names then: the engine stops, or it is about to be started anew."""
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "stop", layout.resolver_unit], root=True, ok=None, timeout=30)
        return
    found = _keepers(layout)
    processes.send(signal.SIGTERM, found)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while any(map(processes.is_there, found)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _keepers(layout: Layout) -> list[processes.Process]:
    wanted = (layout.network_program, "resolve", layout.bridge)
    return [each for each in processes.find() if each.words[1:4] == wanted]


def unit(layout: Layout, network: Network) -> str:
    """Return its systemd unit, which the engine's wants."""
    return f"""\
[Unit]
Description=Resolver of ContainAI's boxes
Documentation=man:dnsmasq(8)
ConditionPathExists={PROGRAM}
After={layout.network_unit}

[Service]
ExecStart={" ".join(networks.argv(layout, network, "resolve"))}
Restart=always
RestartSec=1
"""
