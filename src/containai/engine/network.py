"""The network of boxes: which addresses of the machine it takes, and the script that makes it."""

import ipaddress
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from containai.errors import EngineError
from containai.host import files, scripts
from containai.host.machine import Machine
from containai.layout import Layout

#: Networks to cut ours from. Docker's own pools start at 172.17; these are rarely used.
POOLS = ("10.203.0.0/16", "172.29.240.0/20", "192.168.240.0/20", "10.231.0.0/16", "10.77.0.0/16")
#: Prefix length of all that is an engine's: half of it for boxes (2,045 of them), half for
#: networks that somebody makes on our engine (32 of them).
PREFIX = 20
#: Where the resolver of boxes listens, on the bridge; their questions to port 53 are led there.
RESOLVER_PORT = 10053
#: Where the cache of images is on the bridge (engine/cache.py).
CACHE_PORT = 10055
#: Where proxies of this machine's loopback addresses are on the bridge, from this one on
#: (engine/forward.py).
PROXY_PORT = 10056
#: A name of this machine in boxes, beside Docker's own host.docker.internal.
HOST_NAME = "host.containai.internal"
MADE_PREFIX = 26
#: Networks to cut from what the Docker inside a box takes: none of ours above, nor of those that
#: Kubernetes (10.96/12, 10.244/16, 10.42/15), Podman (10.88/16) or a home's router begin with. The
#: last is for measurements (RFC 2544), where a VPN has all that is private.
NESTED_POOLS = (
    "10.213.0.0/16",
    "10.187.0.0/16",
    "172.20.0.0/14",
    "192.168.128.0/18",
    "198.18.0.0/15",
)
#: In place of a subnet that nobody knows.
NONE = "0.0.0.0/21"
#: Of one box: 32 networks of 254 addresses, the first of them docker0's.
NESTED_PREFIX, NESTED_SIZE = 19, 24


class Network(NamedTuple):
    """The addresses of an engine: `pool` is all of them."""

    pool: str

    @property
    def boxes(self) -> str:
        """The subnet of the bridge."""
        return str(self._halves()[0])

    @property
    def made(self) -> str:
        """Where networks come from that are made on the engine."""
        return str(self._halves()[1])

    @property
    def address(self) -> str:
        """The bridge's own address, with its prefix length."""
        return f"{self.host}/{self._halves()[0].prefixlen}"

    @property
    def host(self) -> str:
        """The bridge's own address: this machine, to boxes."""
        return str(self._halves()[0][1])

    def _halves(self) -> list[ipaddress.IPv4Network]:
        return list(ipaddress.IPv4Network(self.pool).subnets())


def of(subnet: str) -> Network:
    """Return the network whose bridge has this subnet."""
    network = ipaddress.IPv4Network(subnet)
    return Network(
        str(network if network.prefixlen <= PREFIX else network.supernet(new_prefix=PREFIX))
    )


def choose(host: Machine) -> Network:
    """Return a network that overlaps no route of this machine, nor what its own Docker is to take.

    Raises EngineError where there is none.
    """
    taken = docker_networks(files.read_if_whole("/etc/docker/daemon.json") or "")
    return free(routes(host), taken, host.layout.number)


def routes(host: Machine) -> str:
    """Return this machine's routes as `ip -json route` prints them; none before `ip` is there."""
    if not host.which("ip"):
        return "[]"
    return host.run(["ip", "-json", "-4", "route", "show", "table", "all"]).out


def free(routes: str, taken: Iterable[str] = (), start: int = 0) -> Network:
    """Return the first network, from candidate number `start` on, that nothing overlaps.

    `routes` is what `ip -json route` prints, `taken` are networks. Raises EngineError where there
    is none.
    """
    candidates = [*_cut(POOLS, PREFIX)]
    start %= len(candidates)
    network = _unused(candidates[start:] + candidates[:start], [*_networks(routes), *taken])
    if network is not None:
        return Network(str(network))
    raise EngineError(
        "every subnet that the engine may use overlaps a route of this machine",
        hint="free one of: " + ", ".join(POOLS),
    )


def routed(host: Machine) -> list[str]:
    """Return the networks that this machine has routes to, in any table."""
    # `ip` takes longer to start than a spare box may take.
    table = files.read("/proc/net/fib_trie")
    return in_trie(table) if table else _networks(routes(host))


def in_trie(table: str) -> list[str]:
    """Return the networks in what the kernel shows of its tables of routes, but for the default.

    A leaf says an address, and the lines after it each a prefix length and what it is
    (fib_trie_seq_show in net/ipv4/fib_trie.c).
    """
    found: dict[str, None] = {}
    address = ""
    for line in table.splitlines():
        words = line.split()
        if words[0] == "|--":
            address = words[1]
        elif words[0].startswith("/") and words[0] != "/0":
            found[address + words[0]] = None
    return [*found]


def nested(taken: Iterable[str]) -> dict[str, Any]:
    """Return, as of daemon.json, where the Docker inside a box is to take its networks from.

    None of them overlaps one of `taken`. Where there is none it is nothing, and that Docker's own
    choice.
    """
    network = _unused(_cut(NESTED_POOLS, NESTED_PREFIX), taken)
    return (
        {"default-address-pools": [{"base": str(network), "size": NESTED_SIZE}]} if network else {}
    )


def user_of(routes: str, subnet: str, own_bridge: str) -> str | None:
    """Return the interface, other than our bridge, that gets what is sent to a subnet, or None.

    A wider route, of a VPN say, does not: the bridge's is more specific.
    """
    for interface, network in _destinations(routes):
        if interface != own_bridge and network.subnet_of(ipaddress.IPv4Network(subnet)):
            return interface
    return None


def of_bridge(routes: str, bridge: str) -> str | None:
    """Return the subnet that a bridge of ours has now, or None."""
    found = [network for name, network in _destinations(routes) if name == bridge]
    return next((str(each) for each in found if each.prefixlen == PREFIX + 1), None)


def _cut(pools: Iterable[str], prefix: int) -> Iterator[ipaddress.IPv4Network]:
    for pool in map(ipaddress.IPv4Network, pools):
        yield from pool.subnets(new_prefix=prefix)


def _unused(
    candidates: Iterable[ipaddress.IPv4Network], taken: Iterable[str]
) -> ipaddress.IPv4Network | None:
    used = [ipaddress.IPv4Network(network, strict=False) for network in taken]
    for network in candidates:
        if not any(network.overlaps(other) for other in used):
            return network
    return None


def _networks(routes: str) -> list[str]:
    return [str(network) for _, network in _destinations(routes)]


def _destinations(routes: str) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    for route in json.loads(routes or "[]"):
        if route["dst"] not in ("default", "0.0.0.0/0"):
            yield route.get("dev", "?"), ipaddress.IPv4Network(route["dst"], strict=False)


def docker_networks(daemon_json: str) -> list[str]:
    """Return the IPv4 networks that another dockerd's daemon.json keeps for it.

    That dockerd may be stopped now, and its networks without a route.
    """
    try:
        config = json.loads(daemon_json or "{}")
        pools = [pool["base"] for pool in config.get("default-address-pools", [])]
        words = [config.get("bip"), config.get("fixed-cidr"), *pools]
        return [str(ipaddress.IPv4Network(word, strict=False)) for word in words if word]
    except (ValueError, TypeError, AttributeError, KeyError):
        # Damaged, or IPv6: what dockerd itself cannot use is not taken.
        return []


def script() -> str:
    """Return the program that makes the network; it is installed where only root writes."""
    program = scripts.text("engine/network.sh")
    program = program.replace("@TABLE@\n", scripts.text("engine/network.nft"))
    program = program.replace("@KEEPERS@\n", scripts.text("engine/keepers.sh"))
    ports = {"@DNS@": RESOLVER_PORT, "@PROXY@": PROXY_PORT, "@CACHE@": CACHE_PORT}
    for name, port in ports.items():
        program = program.replace(name, str(port))
    return program.replace("@HOST@", HOST_NAME)


def argv(layout: Layout, network: Network, action: str) -> list[str]:
    """Return the command that makes (`up`), checks or removes (`down`) the network.

    `tidy` removes what a killed dockerd left in it; `resolve` becomes the resolver of boxes.
    """
    words = [action, layout.bridge, network.address, network.pool]
    where = [layout.opened_ports, layout.engine_pins, layout.host_resolver]
    return [layout.network_program, *words, *where]


def missing(host: Machine, network: Network) -> list[str]:
    """Return what is not there of the network, in words. Asks as root."""
    done = host.run(argv(host.layout, network, "check"), root=True, ok=None)
    return done.out.splitlines() or (["all of it"] if done.code else [])
