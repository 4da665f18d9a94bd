"""The host's side: runc and its holes by version, the runtime's files, the way to its loopback."""

import re
import stat
from typing import NamedTuple

from containai.attack.facts import Facts
from containai.attack.probe import OUTSIDE, Probe, Seen, Unverified, fine, found, outside, verdict

#: A version that can be compared; a final release sorts after its candidates.
Version = tuple[int, int, int, int]
_FINAL = 1000


class Hole(NamedTuple):
    """A hole of runc: the first release of each branch without it, and what it takes.

    `debian` are Debian's packages of older versions that were mended. `needs_host_root` says that
    it is worth something only where root of the container is root of the host: what it writes to
    belongs to the host's root.
    """

    cve: str
    what: str
    fixed: tuple[Version, ...]
    debian: tuple[str, ...] = ()
    needs_host_root: bool = False


#: Sources: runc's security advisories and the CVEs' records; DSA-5615-1 for Debian's packages.
_YEAR_2025: tuple[Version, ...] = ((1, 2, 8, _FINAL), (1, 3, 3, _FINAL), (1, 4, 0, 3))
HOLES = (
    Hole("CVE-2019-5736", "runc overwritten through /proc/self/exe", ((1, 0, 0, 7),)),
    Hole("CVE-2021-30465", "a mount's place exchanged for a link", ((1, 0, 0, 95),)),
    Hole(
        "CVE-2024-21626",
        "a descriptor of a host directory left open",
        ((1, 1, 12, _FINAL),),
        ("1.1.5+ds1-1+deb12u1", "1.0.0~rc93+ds1-5+deb11u3"),
    ),
    Hole("CVE-2025-31133", "/dev/null exchanged for a link", _YEAR_2025, (), True),
    Hole("CVE-2025-52565", "/dev/pts/N exchanged for a link", _YEAR_2025, (), True),
    Hole("CVE-2025-52881", "runc's writes to /proc redirected", _YEAR_2025, (), True),
)


def runc_version(text: str) -> tuple[Version, str]:
    """Return runc's version and its package's, from `runc --version`. Raises Unverified."""
    match = re.search(r"^runc version (\d+)\.(\d+)\.(\d+)(?:[-~]rc\.?(\d+))?", text, re.MULTILINE)
    if match is None:
        raise Unverified("runc does not say its version")
    major, minor, last, candidate = match.groups()
    package = re.search(r"^commit: (\S+)", text, re.MULTILINE)
    version = (int(major), int(minor), int(last), int(candidate or _FINAL))
    return version, package[1] if package else ""


def has_hole(hole: Hole, version: Version, package: str) -> bool:
    """Whether a version of runc has a hole."""
    if package in hole.debian:
        return False
    for fixed in hole.fixed:
        if version[:2] == fixed[:2]:
            return version < fixed
    return version < max(hole.fixed)


def _check(hole: Hole) -> Probe:
    def check(facts: Facts) -> Seen:
        version, package = runc_version(facts.runc)
        shown = package or ".".join(map(str, version[:3]))
        if not has_hole(hole, version, package):
            return fine(f"runc {shown} does not have it")
        host_root = any(first == 0 for _, first, _ in facts.box.uid_map)
        if hole.needs_host_root and not host_root:
            return fine(f"runc {shown} has it; no use to a root that is nobody outside")
        return found(f"runc {shown} has it: {hole.what}")

    also = "; found only where root of the box is root of the host" if hole.needs_host_root else ""
    fixed = ", ".join(_shown(each) for each in hole.fixed)
    return Probe(
        hole.cve.lower(),
        f"{hole.cve}: {hole.what}",
        f"runc --version: mended in {fixed}{also}",
        "update runc",
        check,
    )


def _shown(version: Version) -> str:
    candidate = "" if version[3] == _FINAL else f"-rc{version[3]}"
    return ".".join(map(str, version[:3])) + candidate


OUTSIDE += map(_check, HOLES)


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
    "runtime-files",
    stands_for="CVE-2019-5736: what runs as root on the host must be written by root only",
    looks_at="owner and mode of runc, of cai-runc's files, and of every directory above them",
    remedy="run: cai setup",
)
def runtime_files(facts: Facts) -> Seen:
    """Only root writes what starts boxes."""
    bad = []
    for each in facts.files:
        sticky = stat.S_ISDIR(each["mode"]) and each["mode"] & stat.S_ISVTX
        if each["uid"] != 0 or (each["mode"] & 0o022 and not sticky):
            bad.append(each["path"])
    return verdict(bad, f"{len(facts.files)} looked at, all root's")
