"""The way of boxes to a proxy that listens on this machine's loopback addresses only.

No box reaches those. Where the administrator has it forwarded (`cai setup`), it is on the bridge,
at a port of its own; else boxes go without that proxy, and whoever makes one is told.
"""

import os
import socket
from typing import NamedTuple

from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import files, processes, proxies
from containai.host.proxies import Proxies
from containai.host.service import Service
from containai.layout import Layout

UNIT = "containai-proxy.service"


def path(layout: Layout) -> str:
    """Return the file that names the forwarded port of 127.0.0.1. Root's."""
    return os.path.join(os.path.dirname(layout.opened_ports), "proxy-port")


def forwarded(layout: Layout) -> int:
    """Return the port of this machine's loopback address that boxes reach, or 0."""
    text = (files.read(path(layout)) or "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0


def answers(layout: Layout, network: Network) -> bool:
    """Whether it listens on the bridge."""
    if not os.path.exists(f"/sys/class/net/{layout.bridge}"):
        return False
    try:
        with socket.create_connection((network.host, networks.PROXY_PORT), timeout=0.5):
            return True
    except OSError:
        return False


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


def wanted(known: Proxies) -> int:
    """Return the port of loopback that a proxy of this machine listens on, or 0.

    There is one at most: of several, the one for https.
    """
    urls = (known.https, known.http, known.every, known.apt_https, known.apt_http)
    return next((port for url in urls if url and (port := proxies.loopback_port(url))), 0)


class Reached(NamedTuple):
    """Proxies as they are reached from a box, and the URLs of those that are not."""

    proxies: Proxies
    lost: tuple[str, ...]


def for_builds(known: Proxies, network: Network, port: int) -> dict[str, str]:
    """Return the variables for what builds an image: proxies as our engine's containers reach them.

    What apt alone is told counts for all http there, of which it is the most.
    """
    reached = from_boxes(known, network, port).proxies
    reached = reached._replace(http=reached.http or reached.apt_http)
    own = (*reached.direct, "localhost", "127.0.0.1", network.host)
    return reached._replace(direct=tuple(dict.fromkeys(own))).variables()


def from_boxes(known: Proxies, network: Network, port: int) -> Reached:
    """Return proxies as boxes reach them. `port` of loopback is forwarded to them, if it is one."""
    names, lost = {}, []
    for url in known.urls:
        local = proxies.loopback_port(url)
        if local is None:
            continue
        if local and local == port:
            names[url] = proxies.moved(url, network.host, networks.PROXY_PORT)
        else:
            names[url] = ""
            lost.append(url)
    return Reached(known.mapped(names), tuple(lost))
