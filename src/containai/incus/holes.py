"""Known holes of Incus by version: what each gives away, and where it is mended.

A row is what was published together, with the worst of it. Most are for whoever has a user's
certificate, or a box made by somebody who does. Sources: the CVE records of lxc/incus; the
changelogs of Debian's packages, which mend without another version.
"""

import re
from typing import NamedTuple

Version = tuple[int, ...]
#: The upstream versions that Debian has, and mends by packages of its own (trixie, its backports).
PACKAGED: tuple[Version, ...] = ((6, 0, 4), (7, 0, 2))


class Hole(NamedTuple):
    """A hole, and the first release of each branch, and the first packages, without it."""

    cve: str
    gives: str
    fixed: tuple[Version, ...]
    packages: tuple[str, ...]


#: The newest first. Of the last one no release of a branch with long-term support was out when it
#: was written down: it is in what comes next there.
HOLES = (
    Hole(
        "CVE-2026-130773",
        "a user of a project makes networks of the whole server, which run programs as its root",
        ((6, 0, 8), (7, 0, 3), (7, 6)),
        ("6.0.4-2+deb13u12", "7.0.2-3"),
    ),
    Hole(
        "CVE-2026-115377",
        "a copy that is received writes files of the server",
        ((6, 0, 7), (7, 0, 2), (7, 5)),
        ("6.0.4-2+deb13u11", "7.0.1-5"),
    ),
    Hole(
        "CVE-2026-62940",
        "a copy or a move of a box brings settings that its project refuses",
        ((6, 0, 7), (7, 0, 2), (7, 3)),
        ("6.0.4-2+deb13u9", "7.0.1-2"),
    ),
    Hole(
        "CVE-2026-48749",
        "an image with links reads and writes files of the server",
        ((6, 0, 7), (7, 0, 1), (7, 2)),
        ("6.0.4-2+deb13u8",),
    ),
    Hole(
        "CVE-2026-33897",
        "a template of an image reads and writes files of the server",
        ((6, 0, 7), (6, 23)),
        ("6.0.4-2+deb13u5",),
    ),
    Hole(
        "CVE-2026-23954",
        "a template of an image is written outside of its box",
        ((6, 0, 6), (6, 21)),
        ("6.0.4-2+deb13u4",),
    ),
)


def parsed(text: str) -> Version:
    """Return a version's numbers; of what is none, ()."""
    return (
        tuple(int(each) for each in text.split(".")) if re.fullmatch(r"\d+(\.\d+)*", text) else ()
    )


def known(version: Version, package: str = "") -> list[Hole]:
    """Return the holes that a version has, as far as its package does not mend them."""
    return [each for each in HOLES if not _is_in(each, version) and not _mends(each, package)]


def _is_in(hole: Hole, version: Version) -> bool:
    """Whether a version has what mends a hole: by its branch, or as newer than all of them."""
    branch = [each for each in hole.fixed if len(each) == 3 and each[:2] == version[:2]]
    return version >= min(branch, default=max(hole.fixed))


def _mends(hole: Hole, package: str) -> bool:
    """Whether Debian's package does, of the same upstream version."""
    upstream, dash, revision = package.partition("-")
    for each in hole.packages:
        of, _, first = each.partition("-")
        if dash and of == upstream and _numbers(revision) >= _numbers(first):
            return True
    return False


def _numbers(revision: str) -> Version:
    """Return what revisions of one upstream version are compared by.

    What is behind a tilde was only built anew elsewhere.
    """
    return tuple(map(int, re.findall(r"\d+", revision.partition("~")[0])))
