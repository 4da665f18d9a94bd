"""The host's side: runc and its holes by version, the runtime's files, the way to its loopback."""

import re
import stat

from containai.attack.facts import Facts
from containai.attack.holes import RUNC, Hole, Version, has_hole, parse_runc, shown
from containai.attack.probe import OUTSIDE, Probe, Seen, Unverified, fine, found, outside, verdict


def runc_version(text: str) -> tuple[Version, str]:
    """Return runc's version and its package's, from `runc --version`. Raises Unverified."""
    told = parse_runc(text)
    if told is None:
        raise Unverified("runc does not say its version")
    return told


def _check(hole: Hole) -> Probe:
    def check(facts: Facts) -> Seen:
        version, package = runc_version(facts.runc)
        name = package or shown(version)
        if not has_hole(hole, version, package):
            return fine(f"runc {name} does not have it")
        host_root = any(first == 0 for _, first, _ in facts.box.uid_map)
        if hole.needs_host_root and not host_root:
            return fine(f"runc {name} has it; no use to a root that is nobody outside")
        return found(f"runc {name} has it: {hole.what}")

    also = "; found only where root of the box is root of the host" if hole.needs_host_root else ""
    fixed = ", ".join(shown(version) for version in hole.fixed)
    return Probe(
        hole.cve.lower(),
        f"{hole.cve}: {hole.what}",
        f"runc --version: mended in {fixed}{also}",
        "update runc",
        check,
    )


OUTSIDE += map(_check, RUNC)


@outside(
    "docker-cp",
    stands_for="SandboxEscapeBench kubectl cp; CVE-2018-15664, CVE-2019-14271: copying out of a "
    "box as root of the host",
    looks_at="the engine's version: 19.03.1 or newer",
    remedy="update Docker",
)
def docker_cp(facts: Facts) -> Seen:
    """Copying follows no link of the box on the host."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", facts.engine)
    if match is None:
        raise Unverified(f"the engine's version is {facts.engine!r}")
    old = tuple(map(int, match.groups())) < (19, 3, 1)
    return found(f"{facts.engine} follows links") if old else fine(facts.engine)


@outside(
    "swarm",
    stands_for="CIS 5.1",
    looks_at="Swarm.LocalNodeState of docker info: inactive",
    remedy="docker swarm leave",
)
def swarm(facts: Facts) -> Seen:
    """The engine takes orders from no other machine."""
    return fine("inactive") if facts.swarm == "inactive" else found(facts.swarm)


@outside(
    "route-localnet",
    stands_for="SandboxEscapeBench route_localnet; CVE-2020-8558; CDK sysctl check",
    looks_at="net.ipv4.conf.{all,BRIDGE}.route_localnet on the host: 0",
    remedy="sysctl net.ipv4.conf.all.route_localnet=0, and for the bridge",
)
def route_localnet(facts: Facts) -> Seen:
    """What listens on the host's 127.0.0.1 is not for boxes."""
    bad = [
        f"{name} is 1" for name in ("all", *facts.bridges) if facts.route_localnet.get(name) == "1"
    ]
    return verdict(bad, "off")


@outside(
    "pinned-port",
    stands_for="ARP spoofing: a box that takes the address of another, or of the host, reads what "
    "is sent to it",
    looks_at="each of its networks: a port of the engine's bridge that is isolated, and that the "
    "nftables sets `ports` and `boxes` pin to the MAC and the address that Docker gave it",
    remedy="run: cai doctor --fix, then start it anew with the runtime cai-runc: cai stop, cai run",
)
def pinned_port(facts: Facts) -> Seen:
    """It sends under its own MAC and address only, and to no other box."""
    bad, good = [], []
    for name, network in facts.container["NetworkSettings"]["Networks"].items():
        own = [network["MacAddress"], network["IPAddress"]]
        pinned = [port for port, *other in facts.pins if other == own and port in facts.ports]
        bad += [f"{port} is not isolated" for port in pinned if not facts.ports[port]]
        good += pinned
        # With --network none there is nothing to pin.
        if not pinned and name != "none":
            bad.append(f"in the network {name}: no port of the engine's bridge is pinned to it")
    return verdict(bad, ", ".join(good) or "no network")


@outside(
    "runtime-files",
    stands_for="CVE-2019-5736: what runs as root on the host must be written by root only",
    looks_at="owner and mode of runc, of cai-runc's files, and of every directory above them",
    remedy="run: cai setup",
)
def runtime_files(facts: Facts) -> Seen:
    """Only root writes what starts boxes."""
    bad = []
    for file in facts.files:
        sticky = stat.S_ISDIR(file["mode"]) and file["mode"] & stat.S_ISVTX
        if file["uid"] != 0 or (file["mode"] & 0o022 and not sticky):
            bad.append(file["path"])
    return verdict(bad, f"{len(facts.files)} looked at, all root's")
