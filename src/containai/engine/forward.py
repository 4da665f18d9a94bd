"""The way of boxes to a proxy that listens on this machine's loopback addresses only.

No box reaches those. Where the administrator has it forwarded (`cai setup`), it is on the bridge,
at a port of its own; else boxes go without that proxy, and whoever makes one is told.
"""

import os
from typing import NamedTuple

from containai.engine.network import Network
from containai.host import files, proxies
from containai.host.proxies import Proxies
from containai.layout import Layout

#: Where it is on the bridge.
PORT = 10054


def path(layout: Layout) -> str:
    """Return the file that names the forwarded port of 127.0.0.1. Root's."""
    return os.path.join(os.path.dirname(layout.opened_ports), "proxy-port")


def forwarded(layout: Layout) -> int:
    """Return the port of this machine's loopback address that boxes reach, or 0."""
    text = (files.read(path(layout)) or "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0


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


def from_boxes(known: Proxies, network: Network, port: int) -> Reached:
    """Return proxies as boxes reach them. `port` of loopback is forwarded to them, if it is one."""
    names, lost = {}, []
    for url in known.urls:
        local = proxies.loopback_port(url)
        if local is None:
            continue
        if local and local == port:
            names[url] = proxies.moved(url, network.host, PORT)
        else:
            names[url] = ""
            lost.append(url)
    return Reached(known.mapped(names), tuple(lost))
