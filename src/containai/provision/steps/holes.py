"""Whether runc, containerd and Docker have holes that are known."""

from containai.attack.holes import CONTAINERD, DOCKER, RUNC, Hole, final, has_hole, parse_runc
from containai.host import proc
from containai.host.machine import Machine
from containai.provision import compat
from containai.provision.step import Area, Fact
from containai.work.actions import Finding, unknown

#: What root of a box is good for: nobody's files.
_NOBODY = "no use to a root that is nobody outside"


class Holes(Fact):
    """Only looked at: which version is installed is the distribution's affair, and its user's."""

    area = Area.HOST
    title = "versions"
    holds = (
        "runc has none of the holes by which a container got out; those of containerd and "
        "Docker, and of runc since 2025, are nothing to a box and are named with the reason. "
        "The table is `attack/holes.py`; a distribution may have mended a package without "
        "another version."
    )
    otherwise = "update runc"
    looks = "what the programs say of their versions, compared with a table"
    means = "with such a runc there are known ways out of a box"

    def check(self, host: Machine) -> Finding[None]:
        """Compare the versions with what is known."""
        return judged(
            _told(host, "runc"),
            compat.version_of(host, "containerd"),
            compat.version_of(host, "dockerd"),
        )


def judged(runc: str, containerd: compat.Version, docker: compat.Version) -> Finding[None]:
    """Say what is known of versions: `runc --version`, and () for what does not say its own."""
    told = parse_runc(runc)
    lacking = [
        name
        for name, version in (("runc", told), ("containerd", containerd), ("Docker", docker))
        if not version
    ]
    there = [hole for hole in RUNC if told and has_hole(hole, *told)]
    there += [hole for hole in CONTAINERD if containerd and has_hole(hole, final(containerd))]
    there += [hole for hole in DOCKER if docker and has_hole(hole, final(docker))]
    open_ = [hole for hole in there if not _harmless(hole)]
    if open_:
        names = ", ".join(f"{hole.cve} ({hole.what})" for hole in open_)
        hint = "update runc; if your distribution mended its package, its changelog names the CVE"
        return Finding(False, f"runc has {names}", hint=hint)
    reasons = dict.fromkeys(map(_harmless, there))
    notes = [
        f"{', '.join(hole.cve for hole in there if _harmless(hole) == reason)}: {reason}"
        for reason in reasons
    ]
    silent = [f"{name} does not say its version" for name in lacking]
    seen = "; ".join([*silent, *notes]) or "no known hole"
    if lacking:
        return unknown(seen, optional=True)
    return Finding(True, seen, optional=True)


def _harmless(hole: Hole) -> str:
    return hole.harmless or (_NOBODY if hole.needs_host_root else "")


def _told(host: Machine, program: str) -> str:
    try:
        return host.told_version(program).out
    except proc.ProcessError:
        return ""
