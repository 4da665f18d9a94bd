"""A cache of images for the Docker in boxes: Debian's docker-registry on their bridge.

It is a registry that hands out what one other has, and keeps it: it takes nothing from boxes, and
asks nobody else. `network cache` keeps it alive, without rights, and what it keeps below a bound.
Off unless the setting image.cache says of which registry; boxes then ask it first, and that
registry themselves where it does not answer.
"""

import os
import re
import socket

from containai.engine import network as networks
from containai.engine.network import Network
from containai.host import files, processes
from containai.host.service import Service
from containai.layout import Layout

UNIT = "containai-cache.service"
#: Of Debian and Ubuntu, whose package has the same name.
PACKAGE = "docker-registry"
PROGRAM = "/usr/bin/docker-registry"
#: What it may keep, in bytes: of more all of it goes, as where the file system is nearly full.
LIMIT = 32 << 30


def path(layout: Layout) -> str:
    """Return its configuration, root's; it has no `proxy` where there is to be no cache."""
    return os.path.join(os.path.dirname(layout.opened_ports), "cache.yml")


def data(layout: Layout) -> str:
    """Return the directory of what it keeps, and of its log."""
    return os.path.join(layout.root, "var/lib/containai-cache")


def log(layout: Layout) -> str:
    """Return its log: boxes decide how much it says, so that it is bounded, too."""
    return os.path.join(data(layout), "log")


def text(layout: Layout, network: Network, upstream: str, limit: int = LIMIT) -> str:
    """Return the configuration for a registry's URL, or for none.

    Network.sh reads of it that there is a proxy, the bound (in KiB) and the directory.
    """
    if not upstream:
        return "# There is no cache of images.\n"
    return (
        f"# limit: {limit >> 10}\n"
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        "storage:\n"
        "  filesystem:\n"
        f"    rootdirectory: {data(layout)}/data\n"
        "http:\n"
        f"  addr: {network.host}:{networks.CACHE_PORT}\n"
        "proxy:\n"
        f"  remoteurl: {upstream}\n"
    )


def upstream(layout: Layout) -> str:
    """Return the URL of the registry that is cached, or "" where none is."""
    text = files.read_if_whole(path(layout)) or ""
    found = re.search(r"^  remoteurl: (\S+)$", text, re.MULTILINE)
    return found[1] if found else ""


def for_boxes(layout: Layout, network: Network) -> dict[str, list[str]]:
    """Return, as of daemon.json, what has the Docker in a box ask it; nothing without one."""
    if not upstream(layout):
        return {}
    return {"registry-mirrors": [f"http://{network.host}:{networks.CACHE_PORT}"]}


def answers(layout: Layout, network: Network) -> bool:
    """Whether it listens on the bridge."""
    if not os.path.exists(f"/sys/class/net/{layout.bridge}"):
        return False
    try:
        with socket.create_connection((network.host, networks.CACHE_PORT), timeout=0.5):
            return True
    except OSError:
        return False


def service(layout: Layout, network: Network | None) -> Service:
    """Return it as a service, which the engine wants; to stop it, no network has to be known.

    It begins to answer once the registry does, for which no start of the engine waits.
    """
    seen = Service(
        name="the cache of images",
        unit=UNIT,
        log=log(layout),
        logs=log(layout),
        start_timeout=10.0,
        stop_timeout=15.0,
        find=lambda: processes.started_as(layout.network_program, "cache", layout.bridge),
        description="Cache of images for the Docker in ContainAI's boxes",
        optional=True,
        conditions=(path(layout), PROGRAM),
        after=(layout.network_unit,),
        service_lines=("Restart=on-failure", "RestartSec=1", "MemoryMax=1G"),
    )
    if network is None:
        return seen
    return seen._replace(
        ready=lambda: not upstream(layout) or bool(seen.find()),
        argv=tuple(networks.argv(layout, network, "cache")),
    )


def answering_service(layout: Layout, network: Network | None) -> Service:
    """Return the service for who waits until it answers."""
    seen = service(layout, network)
    return seen if network is None else seen._replace(ready=lambda: answers(layout, network))
