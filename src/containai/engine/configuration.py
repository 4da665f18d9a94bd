"""The configuration of the private dockerd (daemon.json): as we write it, and as it is."""

import ipaddress
import json
import os
from typing import Any

from containai.engine import network as networks
from containai.engine.network import Network
from containai.errors import DamagedError
from containai.host import files, proxies
from containai.host.proxies import Proxies
from containai.layout import Layout


def text(
    layout: Layout,
    network: Network,
    programs: dict[str, str],
    runtime: str,
    *,
    resolves: bool = False,
) -> str:
    """Return daemon.json: nothing in it is shared with the host's own Docker.

    `programs` are the runtimes that are there, by name; `runtime` is the one that starts boxes;
    `resolves` says that there is a resolver for boxes on their bridge.
    """
    config: dict[str, Any] = {
        "hosts": [f"unix://{layout.engine_socket}"],
        "data-root": layout.engine_data,
        "exec-root": layout.engine_exec,
        "pidfile": layout.engine_pidfile,
        # Whoever may use this socket is root on the host: not the host's docker group.
        "group": layout.engine_group,
        "bridge": layout.bridge,
        "fixed-cidr": network.boxes,
        "default-address-pools": [{"base": network.made, "size": networks.MADE_PREFIX}],
        # Two dockerds would rewrite each other's chains. engine/network.sh does all of it, boxes
        # that cannot reach each other included.
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        # Connections to published ports outlive a dockerd.
        "userland-proxy-path": layout.published_program,
        "default-runtime": runtime,
        "runtimes": {name: {"path": path} for name, path in programs.items()},
        "default-cgroupns-mode": "private",
        "storage-driver": "overlay2",
        "features": {"containerd-snapshotter": False},
        "log-driver": "local",
        "live-restore": True,
        "shutdown-timeout": 100,
    }
    if resolves:
        config["dns"] = [network.host]
    return json.dumps(config, indent=4) + "\n"


def read(layout: Layout) -> dict[str, Any] | None:
    """Return daemon.json as it is, or None. Raises DamagedError."""
    return _read(layout, layout.engine_config)


def _read(layout: Layout, path: str) -> dict[str, Any] | None:
    written = files.read_roots(path, owners=layout.owners)
    if written is None:
        return None
    if why := wrong(written):
        raise files.damaged(path, f"is damaged: {why}")
    config: dict[str, Any] = json.loads(written)
    return config


def is_there(layout: Layout) -> bool:
    """Whether an engine was set up, even if its configuration is damaged."""
    return os.path.lexists(layout.engine_config)


def wrong(written: str) -> str:
    """Return what is wrong with a daemon.json of ours, or ""."""
    try:
        config = files.from_json(written)
        ipaddress.IPv4Network(str(config["fixed-cidr"]))
    except (LookupError, TypeError):
        return "it names no subnet of boxes"
    except ValueError as invalid:
        return str(invalid)
    return ""


def subnet(layout: Layout) -> str | None:
    """Return the subnet that is configured, or None where none is.

    Where the configuration is gone or damaged, that of the dockerd that runs tells.
    """
    for path in (layout.engine_config, layout.engine_running_config):
        try:
            config = _read(layout, path)
        except DamagedError:
            continue
        if config is not None:
            return str(config["fixed-cidr"])
    return None


def network(layout: Layout) -> Network | None:
    """Return the network that is configured, or None. Raises DamagedError as `read` does."""
    config = read(layout)
    return None if config is None else networks.of(str(config["fixed-cidr"]))


def proxies_file(layout: Layout) -> str:
    """Return the file of variables by which dockerd is told of proxies. Root's: for passwords.

    Of daemon.json, dockerd before 23 takes none.
    """
    return os.path.join(os.path.dirname(layout.engine_config), "proxies")


def proxies_text(known: Proxies) -> str:
    """Return that file, as systemd.exec(5) (EnvironmentFile=) and a shell read it."""
    return "".join(f'{name}="{value}"\n' for name, value in known.variables().items())


def proxies_shown(known: Proxies) -> str:
    """Return that file without passwords."""
    return proxies_text(known.mapped({url: proxies.shown(url) for url in known.urls}))
