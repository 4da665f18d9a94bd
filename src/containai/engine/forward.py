"""The way of boxes to proxies that listen on this machine's loopback addresses only.

No box reaches those. Where the administrator has them forwarded (`cai setup`), they are on the
bridge, each at a port of its own; else boxes go without, which `explained` says.
"""

import os
import re
import socket
from collections.abc import Sequence

from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import files, processes, proxies
from containai.host.proxies import Proxies
from containai.host.service import Service
from containai.layout import Layout

UNIT = "containai-proxy.service"
#: How much of an answer is looked at, in bytes.
SAID_LIMIT = 1 << 12


def path(layout: Layout) -> str:
    """Return the file that names the forwarded ports of 127.0.0.1, one a line. Root's."""
    return os.path.join(os.path.dirname(layout.opened_ports), "proxy-port")


def forwarded(layout: Layout) -> tuple[int, ...]:
    """Return the ports of this machine's loopback address that boxes reach, in their order."""
    lines = (files.read_if_whole(path(layout)) or "").splitlines()
    return tuple(int(line) for line in lines if line.isascii() and line.isdigit())


def text(ports: Sequence[int]) -> str:
    """Return what the file says."""
    return "".join(f"{port}\n" for port in ports) or "none\n"


def on_bridge(ports: Sequence[int]) -> dict[int, int]:
    """Return at which port of the bridge each port of loopback is."""
    return {port: networks.PROXY_PORT + index for index, port in enumerate(ports)}


def answers(layout: Layout, network: Network) -> bool:
    """Whether what listens on the bridge leads to the ports that are forwarded now."""
    if not os.path.exists(f"/sys/class/net/{layout.bridge}"):
        return False
    there = on_bridge(forwarded(layout))
    return all(_leads_to(network.host, at) == port for port, at in there.items())


def _leads_to(address: str, at: int) -> int:
    """Return the port of loopback that a port of the bridge leads to, or 0.

    It says so to whoever asks it for what is no proxy's (runtime/forward.py).
    """
    try:
        with socket.create_connection((address, at), timeout=0.5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with connection.makefile("rb") as answer:
                said = answer.read(SAID_LIMIT)
    except OSError:
        return 0
    found = re.search(rb"leads to 127\.0\.0\.1:(\d+)", said)
    return int(found[1]) if found else 0


def service(layout: Layout, network: Network | None) -> Service:
    """Return it as a service, which the engine wants where a port is forwarded.

    To stop it, no network has to be known.
    """
    seen = Service(
        name="the way to the proxy",
        unit=UNIT,
        log=layout.resolver_log,
        start_timeout=5.0,
        stop_timeout=15.0,
        find=lambda: processes.started_as(layout.network_program, "forward", layout.bridge),
        description="Way of ContainAI's boxes to a proxy on a loopback address",
        optional=True,
        conditions=(path(layout),),
        after=(layout.network_unit,),
        service_lines=("Restart=on-failure", "RestartSec=1"),
    )
    if network is None:
        return seen
    return seen._replace(
        # Without a proxy there is nothing to be ready for.
        ready=lambda: not forwarded(layout) or answers(layout, network),
        argv=tuple(networks.argv(layout, network, "forward")),
    )


def wanted(known: Proxies) -> tuple[int, ...]:
    """Return the ports of loopback that proxies of this machine listen on.

    Their order is that of their ports on the bridge.
    """
    urls = (known.https, known.http, known.every, known.apt_https, known.apt_http)
    ports = [proxies.loopback_port(url) for url in urls if url]
    return tuple(dict.fromkeys(port for port in ports if port))


def explained(known: Proxies, ports: Sequence[int]) -> list[str]:
    """Return what boxes go without and why, a line each, where these `ports` are forwarded."""
    lines = []
    for url in known.urls:
        local = proxies.loopback_port(url)
        if local is None or local in ports:
            continue
        what = f"boxes go without the proxy {proxies.shown(url)}, which is on a loopback address"
        why = ", until `cai setup` has it handed over" if local else ": only HTTP is handed over"
        lines.append(what + why)
    return lines


def for_builds(known: Proxies, network: Network, ports: Sequence[int]) -> dict[str, str]:
    """Return the variables for what builds an image: proxies as our engine's containers reach them.

    What apt alone is told counts for all http there, of which it is the most.
    """
    reached = from_boxes(known, network, ports)
    reached = reached._replace(http=reached.http or reached.apt_http)
    own = (*reached.direct, "localhost", "127.0.0.1", network.host)
    return reached._replace(direct=tuple(dict.fromkeys(own))).variables()


def from_boxes(known: Proxies, network: Network, ports: Sequence[int]) -> Proxies:
    """Return proxies as boxes reach them, where these `ports` of loopback are forwarded."""
    names, there = {}, on_bridge(ports)
    for url in known.urls:
        local = proxies.loopback_port(url)
        if local is not None:
            at = there.get(local)
            names[url] = proxies.moved(url, network.host, at) if at else ""
    return known.mapped(names)
