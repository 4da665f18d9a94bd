"""What a box is told of the network around this machine: certificates to trust, proxies to use.

It is one file in the box, which its `network` program makes everything from. Pure.
"""

import zlib
from collections.abc import Sequence

from containai.engine import forward
from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import proxies
from containai.host.proxies import Proxies
from containai.host.surroundings import Surroundings

#: The file, and the program in the box that takes another from stdin.
FILE_IN_BOX = "etc/containai/network"
PLACE = ("/usr/local/lib/containai/network", "place")
#: How long that may take in a box that runs, in seconds.
TIMEOUT = 60.0


def text(around: Surroundings, network: Network, name: str, forwarded: Sequence[int]) -> str:
    """Return the file for a box of that name; nothing where there is nothing to tell."""
    reached = forward.from_boxes(around.proxies, network, forwarded)
    lines = [f"{key}={value}\n" for key, value in _told(reached, network, name).items()]
    return "".join([*lines, *(each.text for each in around.certificates)])


def mark(text: str) -> str:
    """Return what tells a file from another, in a word."""
    return f"{zlib.crc32(text.encode()):08x}" if text else "none"


def shown(text: str) -> str:
    """Return a file for people to look at: without passwords, certificates by their number."""
    lines = text.splitlines(keepends=True)
    urls = [proxies.shown(line) for line in lines if "=" in line and "_proxy=" in line]
    count = lines.count("-----BEGIN CERTIFICATE-----\n")
    return "".join(urls) + (f"({count} certificates)\n" if count else "")


def _told(known: Proxies, network: Network, name: str) -> dict[str, str]:
    said = {
        "http_proxy": known.http,
        "https_proxy": known.https,
        "all_proxy": known.every,
        "apt_http_proxy": known.apt_http,
        "apt_https_proxy": known.apt_https,
    }
    found = {key: url for key, url in said.items() if url}
    if found:
        found["no_proxy"] = ",".join(direct(known, network, name))
    return found


def direct(known: Proxies, network: Network, name: str) -> tuple[str, ...]:
    """Return what a box reaches without a proxy: itself, this machine, and what it is told.

    The box adds the networks of its own Docker.
    """
    own = ("localhost", "127.0.0.1", "::1", name, "host.docker.internal", networks.HOST_NAME)
    return tuple(dict.fromkeys((*own, network.host, network.pool, *known.direct)))
