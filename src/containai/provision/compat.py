"""What is known about kernel, Docker, containerd, runc and Sysbox together, with its source.

Consulted before Sysbox is installed and by `cai doctor`. What no row says is not assumed to work:
`cai setup` probes it.
"""

import os
import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from containai.host import files, proc
from containai.host.machine import Machine

Version = tuple[int, ...]

#: capabilities(7); root in some virtual machines and containers lacks it.
_CAP_SYS_RESOURCE = 24


class Facts(NamedTuple):
    """Versions and properties of a machine; () is a version that nobody knows."""

    kernel: Version = ()
    docker: Version = ()
    containerd: Version = ()
    runc: Version = ()
    #: The Sysbox that would be used: the pinned release, or the host's own.
    sysbox: Version = ()
    #: Whether the kernel takes modules.
    modules: bool = True
    #: Whether root may set limits and oom scores beyond its own.
    resource: bool = True
    #: Whether AppArmor confines fusermount3.
    fuse_confined: bool = False
    #: Whether this machine is itself a container of Sysbox.
    nested: bool = False


class Verdict(StrEnum):
    """What a row says."""

    WORKS = "works"
    #: Reported as broken, not understood: the probe decides.
    DOUBTFUL = "doubtful"
    BREAKS = "breaks"


class Known(NamedTuple):
    """A row: what was seen, where it applies, and who says so."""

    verdict: Verdict
    what: str
    applies: Callable[[Facts], bool]
    source: str
    advice: str = ""


def _below(version: Version, limit: Version) -> bool:
    return version != () and version < limit


def _from(version: Version, limit: Version) -> bool:
    return version != () and version >= limit


_ISSUES = "https://github.com/nestybox/sysbox/issues/"
_HERE = "measured, see docs/explanation/sysbox.md"

#: What is known about Sysbox.
SYSBOX = (
    Known(
        Verdict.BREAKS,
        "below kernel 5.19 Sysbox shifts ids by chown, and changes can be lost over a reboot",
        lambda facts: _below(facts.kernel, (5, 19)),
        "Sysbox's user guide, host requirements",
    ),
    Known(
        Verdict.BREAKS,
        "Docker 29.5 and newer asks for a time namespace, which Sysbox up to 0.7.0 refuses",
        lambda facts: _from(facts.docker, (29, 5)) and _below(facts.sysbox, (0, 7, 1)),
        _ISSUES + "1011",
        "take Sysbox 0.7.1, or switch the engine's feature time-namespaces off",
    ),
    Known(
        Verdict.BREAKS,
        "runc 1.2.8, 1.3.3 and newer fails inside Sysbox before 0.7.0 (unsafe procfs detected)",
        lambda facts: _below(facts.sysbox, (0, 7)),
        _ISSUES + "973",
        "take Sysbox 0.7.1",
    ),
    Known(
        Verdict.BREAKS,
        "Sysbox before 0.7.1 cannot mount sysfs with kernel 6.8 or newer and containerd 2",
        lambda facts: (
            _below(facts.sysbox, (0, 7, 1))
            and _from(facts.kernel, (6, 8))
            and _from(facts.containerd, (2,))
        ),
        _ISSUES + "1013",
        "take Sysbox 0.7.1",
    ),
    Known(
        Verdict.BREAKS,
        "sysbox-mgr ends on a kernel without loadable modules: it reads /proc/modules",
        lambda facts: not facts.modules,
        _HERE,
    ),
    Known(
        Verdict.BREAKS,
        "sysbox-runc ends where root lacks CAP_SYS_RESOURCE: it lowers its own oom score",
        lambda facts: not facts.resource,
        _HERE,
    ),
    Known(
        Verdict.BREAKS,
        "Sysbox does not run inside Sysbox",
        lambda facts: facts.nested,
        "Sysbox's user guide, limitations",
    ),
    Known(
        Verdict.DOUBTFUL,
        "kernel 6.17 and newer with containerd 2.2.1 and newer: a sysctl cannot be written",
        lambda facts: _from(facts.kernel, (6, 17)) and _from(facts.containerd, (2, 2, 1)),
        _ISSUES + "1035",
    ),
    Known(
        Verdict.DOUBTFUL,
        "AppArmor's profile of fusermount3 (Ubuntu 25.04 and newer) forbids sysbox-fs to mount",
        lambda facts: facts.fuse_confined,
        _ISSUES + "947",
        "allow mounts below the directory of sysbox-fs in /etc/apparmor.d/local/fusermount3",
    ),
)

#: What is known about the embedded runtime.
EMBEDDED = (
    Known(
        Verdict.BREAKS,
        "overlay on idmapped layers came with kernel 5.19",
        lambda facts: _below(facts.kernel, (5, 19)),
        "Documentation/filesystems/overlayfs.rst in Linux",
    ),
    Known(
        Verdict.WORKS,
        "kernel 6.18, Docker 20.10, containerd 1.6, runc 1.1 (Debian 12)",
        lambda facts: _is(facts, (6, 18), (20, 10), (1, 6), (1, 1)),
        "tests/system",
    ),
    Known(
        Verdict.WORKS,
        "kernel 6.12, Docker 26.1, containerd 1.7, runc 1.1 (Debian 13)",
        lambda facts: _is(facts, (6, 12), (26, 1), (1, 7), (1, 1)),
        "tests/machine",
    ),
)


def _is(facts: Facts, kernel: Version, docker: Version, containerd: Version, runc: Version) -> bool:
    seen = (facts.kernel[:2], facts.docker[:2], facts.containerd[:2], facts.runc[:2])
    return seen == (kernel, docker, containerd, runc)


def known(rows: tuple[Known, ...], facts: Facts, *verdicts: Verdict) -> list[Known]:
    """Return the rows that apply to a machine and say one of these verdicts."""
    return [row for row in rows if row.verdict in verdicts and row.applies(facts)]


def parse_version(text: str) -> Version:
    """Return the first version in what a program prints, () where there is none."""
    version = re.search(r"(?<![\w.])v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in version.groups() if part) if version else ()


def gather(host: Machine, sysbox: Version) -> Facts:
    """Return the facts of this machine; `sysbox` is the version that would be used."""
    return Facts(
        kernel=host.kernel(),
        docker=version_of(host, "dockerd"),
        containerd=version_of(host, "containerd"),
        runc=version_of(host, "runc"),
        sysbox=sysbox,
        modules=os.path.exists("/proc/modules"),
        resource=may(files.read("/proc/self/status") or "", _CAP_SYS_RESOURCE),
        fuse_confined=os.path.exists("/etc/apparmor.d/fusermount3")
        and os.path.isdir("/sys/kernel/security/apparmor"),
        nested=in_sysbox(files.read("/proc/self/mountinfo") or ""),
    )


def may(status: str, capability: int) -> bool:
    """Whether root's processes can have a capability. `status` is /proc/self/status (proc(5))."""
    bound = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bound is None or bool(int(bound[1], 16) >> capability & 1)


def in_sysbox(mountinfo: str) -> bool:
    """Whether Sysbox shows this machine its /proc/sys. `mountinfo` as in proc(5)."""
    return (
        re.search(r"^\S+ \S+ \S+ \S+ /proc/sys .* sysboxfs ", mountinfo, re.MULTILINE) is not None
    )


def version_of(host: Machine, program: str) -> Version:
    """Return the version that a program says it is, () where it is missing or does not say."""
    try:
        return parse_version(host.told_version(program).out)
    except proc.ProcessError:
        # Missing, or too slow to tell.
        return ()
