"""Known holes of runc, containerd and Docker by version, and what each is to a box.

Sources: the projects' security advisories and the CVEs' records; DSA-5615-1 for Debian's packages.
"""

import re
from typing import NamedTuple

#: A version that can be compared; a final release sorts after its candidates.
Version = tuple[int, int, int, int]
_FINAL = 1000


class Hole(NamedTuple):
    """A hole: the first release of each branch without it, and what it takes.

    `debian` are Debian's packages of older versions that were mended. `needs_host_root` says that
    it is worth something only where root of the container is root of the host: what it writes to
    belongs to the host's root.
    """

    cve: str
    what: str
    fixed: tuple[Version, ...]
    debian: tuple[str, ...] = ()
    needs_host_root: bool = False
    #: Why it is nothing to a box on our engine, "" where it is.
    harmless: str = ""
    #: The first release that had it.
    since: Version = (0, 0, 0, 0)


_YEAR_2025: tuple[Version, ...] = ((1, 2, 8, _FINAL), (1, 3, 3, _FINAL), (1, 4, 0, 3))
RUNC = (
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


#: What needs no CRI: dockerd asks containerd for containers by another interface.
_NO_CRI = "the engine does not use Kubernetes' interface of containerd"
_FALL_2025: tuple[Version, ...] = (
    (1, 7, 29, _FINAL),
    (2, 0, 7, _FINAL),
    (2, 1, 5, _FINAL),
    (2, 2, 0, _FINAL),
)
CONTAINERD = (
    Hole(
        "CVE-2022-23471",
        "a terminal's resizing uses up memory",
        ((1, 5, 16, _FINAL), (1, 6, 12, _FINAL)),
        harmless=_NO_CRI,
    ),
    Hole(
        "CVE-2022-31030",
        "a command's output uses up memory",
        ((1, 5, 13, _FINAL), (1, 6, 6, _FINAL)),
        harmless=_NO_CRI,
    ),
    Hole(
        "CVE-2024-25621",
        "directories that other users of the host may enter",
        _FALL_2025,
        harmless="they are on the host, below directories of the engine that only root may enter",
    ),
    Hole("CVE-2025-64329", "attaching uses up memory", _FALL_2025, harmless=_NO_CRI),
)
DOCKER = (
    Hole(
        "CVE-2024-29018",
        "names are looked up outside from an internal network",
        ((23, 0, 11, _FINAL), (25, 0, 5, _FINAL), (26, 0, 0, 3)),
        harmless="boxes are on no internal network",
    ),
    Hole(
        "CVE-2024-41110",
        "a request passes authorization plugins without its body",
        (
            (23, 0, 15, _FINAL),
            (24, 0, 10, _FINAL),
            (25, 0, 6, _FINAL),
            (26, 1, 5, _FINAL),
            (27, 1, 1, _FINAL),
        ),
        harmless="the engine has no such plugin, and no box reaches its socket",
    ),
    Hole(
        "CVE-2025-54388",
        "ports of 127.0.0.1 are open to neighbors after a reload of firewalld",
        ((28, 3, 3, _FINAL),),
        harmless="the engine's Docker writes no firewall rules",
        since=(28, 2, 0, 0),
    ),
)


def final(version: tuple[int, ...]) -> Version:
    """Return a release as it is compared: with three numbers, after its candidates."""
    major, minor, last = (*version, 0, 0, 0)[:3]
    return major, minor, last, _FINAL


def shown(version: Version) -> str:
    """Return a version as people write it."""
    candidate = "" if version[3] == _FINAL else f"-rc{version[3]}"
    return ".".join(map(str, version[:3])) + candidate


def parse_runc(text: str) -> tuple[Version, str] | None:
    """Return runc's version and its package's, from `runc --version`; None where it says none."""
    match = re.search(r"^runc version (\d+)\.(\d+)\.(\d+)(?:[-~]rc\.?(\d+))?", text, re.MULTILINE)
    if match is None:
        return None
    major, minor, last, candidate = match.groups()
    package = re.search(r"^commit: (\S+)", text, re.MULTILINE)
    version = (int(major), int(minor), int(last), int(candidate or _FINAL))
    return version, package[1] if package else ""


def has_hole(hole: Hole, version: Version, package: str = "") -> bool:
    """Whether a version has a hole; `package` is the distribution's name for it."""
    if package in hole.debian or version < hole.since:
        return False
    for fixed in hole.fixed:
        if version[:2] == fixed[:2]:
            return version < fixed
    return version < max(hole.fixed)
