"""What the Docker in a box that is made now is configured with by this machine."""

import json

from containai.engine import cache, configuration
from containai.engine import network as networks
from containai.host import files
from containai.host.machine import Machine


def settings(host: Machine) -> str:
    """Return it as JSON, as of daemon.json: where to take networks from, and whom to pull from."""
    layout = host.layout
    taken = networks.docker_networks(files.read_if_whole("/etc/docker/daemon.json") or "")
    # Of our own, what is kept for networks that are yet to be made has no route.
    own = networks.docker_networks(files.read_if_whole(layout.engine_config) or "")
    taken += [networks.of(subnet).pool for subnet in own]
    config = networks.nested([*networks.routed(host), *taken])
    subnet = configuration.subnet(layout)
    if subnet is not None:
        config |= cache.for_boxes(layout, networks.of(subnet))
    return json.dumps(config) + "\n"
