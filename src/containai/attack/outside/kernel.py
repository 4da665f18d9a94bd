"""Holes of the kernel, by its version: what a box shares with the host and cannot do without."""

import re
from collections.abc import Callable
from typing import NamedTuple

from containai.attack.facts import Facts
from containai.attack.probe import OUTSIDE, Probe, Seen, Unverified, fine, found

Version = tuple[int, int, int]


class Hole(NamedTuple):
    """A hole, the first version that has it, and the first that has not, by branch.

    `fixed` has the last part of the version for each stable branch, and `since` the first branch
    that never had it. Source: the CVE's own record (cveproject/cvelistV5), and of the older ones,
    whose records name no stable release, what their finders published.
    """

    name: str
    cve: str
    stands_for: str
    begins: tuple[int, int]
    fixed: dict[tuple[int, int], int]
    since: tuple[int, int]


HOLES = (
    Hole(
        "dirty-cow",
        "CVE-2016-5195",
        "SandboxEscapeBench Dirty COW",
        (2, 6),
        {(4, 8): 3, (4, 7): 9, (4, 4): 26},
        (4, 9),
    ),
    Hole(
        "dirty-pipe",
        "CVE-2022-0847",
        "SandboxEscapeBench Dirty Pipe",
        (5, 8),
        {(5, 16): 11, (5, 15): 25, (5, 10): 102},
        (5, 17),
    ),
    Hole(
        "packet-socket",
        "CVE-2025-38617",
        "SandboxEscapeBench packet socket use-after-free: a box has packet sockets of its own "
        "network",
        (2, 6),
        {(6, 16): 1, (6, 15): 10, (6, 12): 42, (6, 6): 102, (6, 1): 148, (5, 15): 190},
        (6, 17),
    ),
    Hole(
        "nf-tables",
        "CVE-2024-1086",
        "root of a box has the packet filter of its own network",
        (3, 15),
        {(6, 7): 3, (6, 6): 15, (6, 1): 76, (5, 15): 149},
        (6, 8),
    ),
    Hole(
        "dirty-frag",
        "CVE-2026-43284",
        "root of a box has IPsec of its own network, which wrote to files that can only be read",
        (4, 11),
        {(7, 0): 5, (6, 18): 28, (6, 12): 87, (6, 6): 138, (6, 1): 172, (5, 15): 206},
        (7, 1),
    ),
)


def kernel_version(release: str, version: str) -> tuple[Version, bool]:
    """Return the version of a kernel, and whether it is known to the last part.

    Takes what uname(2) says. Debian has the whole version in `version`; Ubuntu and Red Hat keep
    the last part at 0 and mend by patches of their own.
    """
    whole = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", version)
    plain = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if plain is None:
        raise Unverified(f"{release!r} is no version of a kernel")
    parts = whole.groups() if whole else plain.groups("0")
    patched = whole is None and re.match(r"\d+\.\d+\.0-\d", release) is not None
    return (int(parts[0]), int(parts[1]), int(parts[2])), not patched


def judged(hole: Hole, release: str, version: str, changelog: str) -> Seen:
    """Decide whether a kernel has a hole.

    `changelog` is that of the distribution's package, which names the holes it mends.
    Raises Unverified where neither it nor the version says.
    """
    (major, minor, last), known = kernel_version(release, version)
    branch = (major, minor)
    if branch < hole.begins or branch >= hole.since:
        return fine(f"{release} does not have it")
    if re.search(rf"\b{hole.cve}\b", changelog):
        return fine(f"the distribution mended {hole.cve} in {release}")
    if not known:
        raise Unverified(f"{release}: the distribution mends by patches; ask it")
    if branch in hole.fixed and last >= hole.fixed[branch]:
        return fine(f"mended in {major}.{minor}.{hole.fixed[branch]}; this is .{last}")
    return found(f"{major}.{minor}.{last} has it")


def _check(hole: Hole) -> Callable[[Facts], Seen]:
    def check(facts: Facts) -> Seen:
        release, version, changelog = facts.kernel
        return judged(hole, release, version, changelog)

    return check


def _looks_at(hole: Hole) -> str:
    fixed = ", ".join(f"{a}.{b}.{last}" for (a, b), last in hole.fixed.items())
    return (
        f"the kernel's version: mended in {hole.since[0]}.{hole.since[1]} and in {fixed}; or the "
        "change log of the distribution's package"
    )


OUTSIDE += [
    Probe(
        hole.name,
        f"{hole.cve}; {hole.stands_for}",
        _looks_at(hole),
        "update the host's kernel",
        _check(hole),
    )
    for hole in HOLES
]
