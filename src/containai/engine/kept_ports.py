"""Ports that an engine keeps for nobody, since one before it was killed while a container started.

dockerd stores which ports it gave to a container that starts long before it stores that the
container has them. If it dies in between, its successor listens on them again, forgets for whom,
and from then on takes its own docker-proxy for somebody else's: until it ends too, no container can
have them, their own included (github.com/moby/libnetwork/issues/1790; seen with Docker 20.10).
"""

from typing import Any

from containai.engine import published
from containai.engine.client import Engine
from containai.host import processes
from containai.host.processes import Process


def kept(engine: Engine, dockerd: Process) -> set[int]:
    """Return the ports on which a running dockerd has docker-proxies listen for no container."""
    listening = [proxy for proxy in published.every(engine.layout) if _is_of(proxy, dockerd)]
    if not listening:
        return set()
    # In this order: a container has its address before its proxies, and until they have ended.
    owners = _owners(engine)
    words = {
        proxy: dict(zip(proxy.words[1:], proxy.words[2:], strict=False)) for proxy in listening
    }
    return {
        int(options["-host-port"])
        for proxy, options in words.items()
        if processes.is_there(proxy)
        and not may_have(owners.get(options["-container-ip"]), options["-host-port"])
    }


def _is_of(proxy: Process, dockerd: Process) -> bool:
    named = {"-host-port", "-container-ip"} <= set(proxy.words)
    return named and processes.parent(proxy) == dockerd.pid


def _owners(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return the containers that have an address of the engine's, by it. A starting one has it."""
    owners = {}
    form = "{{range $id, $endpoint := .Containers}}{{$id}} {{$endpoint.IPv4Address}}\n{{end}}"
    networks = engine.docker("network", "ls", "--quiet", "--no-trunc").out.split()
    rows = engine.docker("network", "inspect", "--format", form, *networks, ok=(0, 1)).out
    for row in filter(None, rows.splitlines()):
        container, _, address = row.partition(" ")
        owners[address.partition("/")[0]] = engine.inspect("container", container) or {}
    return owners


def may_have(container: dict[str, Any] | None, port: str) -> bool:
    """Whether a container, as inspected, may have a port of the host.

    One that is not known any more may, and one that left the choice to Docker.
    """
    if container is None:
        return False
    host = container.get("HostConfig", {"PublishAllPorts": True})
    asked = [
        binding for rows in (host.get("PortBindings") or {}).values() for binding in rows or ()
    ]
    ports = {binding.get("HostPort", "") for binding in asked}
    # Docker chooses for "" and "0", and one of "8000-8010".
    chosen = host.get("PublishAllPorts") or any(not port.strip("0").isdigit() for port in ports)
    return bool(chosen) or port in ports
