"""Where each probe of the escape self-test was seen to bite: what the system test starts, and the
documentation says. A probe without a case fails the unit tests.

Run with the names of no tests (`python tests/harness/attack_cases.py`) it writes the documentation.
"""

import os
from collections.abc import Sequence

from containai.attack import report
from containai.attack.design import BY_DESIGN

DOCUMENT = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "docs/explanation/attack-probes.md",
)

#: Name of a weakened container (or what stands for one) → how it is made.
WEAKENED = {
    "privileged": "docker run --runtime runc --privileged (or its parts, where root itself lacks a "
    "capability) --pid host --network host --ipc host --uts host --cgroupns host, with /, /dev, a "
    "socket, a shared mount and the engine's socket as volumes",
    "unconfined": "docker run --runtime runc --cap-add ALL, without seccomp and AppArmor, with "
    "--device /dev/kmsg, --cgroup-parent, a port on every address, sockets of the host's in a "
    "volume, "
    "fakes inside (console, /dev/full, a file of /proc over another, lxcfs, metadata service on "
    "each address of one), and "
    "a process with descriptors of the host",
    "plain": "docker run --runtime runc --network host",
    "bridged": "docker run --runtime runc",
    "created": "docker create --privileged, not started",
    "host-process": "a process of the host's in place of the container's",
    "old-version": "the real facts with a version (or swarm state) that has the fault",
    "open-file": "the real facts with a file that everybody may write",
}

_POWERS = (
    "sys-admin kernel-modules open-by-handle ptrace-host reboot-kexec io-ports ebpf perf-events "
    "clock kernel-log accounting-swap make-devices host-network raw-sockets host-files"
)
_BOTH = ("privileged", "unconfined")
_ALL = ("privileged", "unconfined", "plain")

#: Probe → where it has to bite.
CASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_POWERS.split(), _BOTH),
    "userfaultfd": ("unconfined",),
    "io-uring": ("unconfined",),
    "seccomp": _BOTH,
    "user-namespace": _ALL,
    "host-devices": ("unconfined",),
    "device-access": _ALL,
    "kernel-memory": ("privileged",),
    "standard-devices": ("unconfined",),
    "console": ("unconfined",),
    "core-pattern": ("privileged",),
    "usermode-helpers": ("privileged",),
    "host-triggers": ("privileged",),
    "sysctls": ("privileged",),
    "sysfs": ("privileged",),
    "kernel-addresses": ("privileged",),
    "kernel-filesystems": _BOTH,
    "binfmt-misc": ("unconfined",),
    "host-disks": ("privileged",),
    "system-mounts": ("privileged",),
    "redirected-proc": ("unconfined",),
    "lxcfs-tree": ("unconfined",),
    "cgroup-tree": ("privileged",),
    "release-agent": ("privileged",),
    "host-processes": ("privileged",),
    "leaked-descriptors": ("unconfined",),
    "host-executables": ("unconfined",),
    "engine-socket": _BOTH,
    "host-sockets": _BOTH,
    "abstract-sockets": ("plain",),
    "vm-sockets": ("unconfined",),
    "cipher-sockets": ("unconfined",),
    "rare-sockets": ("unconfined",),
    "own-limits": ("privileged",),
    "engine-ports": ("unconfined",),
    "host-services": ("unconfined",),
    "cloud-metadata": ("unconfined",),
    "ipv6-outside": ("unconfined",),
    "cluster-credentials": ("unconfined",),
    "host-variables": ("unconfined",),
    "core-dumps": _ALL,
    "keyrings": ("unconfined",),
    "kernel-counts": _ALL,
    "process-limit": _ALL,
    "dirty-cow": ("old-version",),
    "dirty-pipe": ("old-version",),
    "packet-socket": ("old-version",),
    "nf-tables": ("old-version",),
    "dirty-frag": ("old-version",),
    "pid-namespace": ("privileged", "host-process"),
    "net-namespace": ("privileged", "plain", "host-process"),
    "ipc-namespace": ("privileged", "host-process"),
    "uts-namespace": ("privileged", "host-process"),
    "cgroup-namespace": ("privileged", "host-process"),
    "mount-namespace": ("host-process",),
    "own-user-namespace": (*_ALL, "host-process"),
    "host-ids": _ALL,
    "ids-of-others": _ALL,
    "capabilities-on-host": _ALL,
    "system-call-filter": _BOTH,
    "every-process": (*_ALL, "host-process"),
    "mount-propagation": ("privileged",),
    "host-paths": ("privileged",),
    "runtime": _ALL,
    "privileged": ("created",),
    "sensitive-directories": ("privileged",),
    "only-the-workspace": _BOTH,
    "nested-mounts": ("unconfined",),
    "published-ports": ("unconfined",),
    "cgroup-parent": ("unconfined",),
    "handed-in-devices": ("unconfined",),
    "ssh-service": _ALL,
    "cve-2019-5736": ("old-version",),
    "cve-2021-30465": ("old-version",),
    "cve-2024-21626": ("old-version",),
    "cve-2025-31133": ("old-version",),
    "cve-2025-52565": ("old-version",),
    "cve-2025-52881": ("old-version",),
    "docker-cp": ("old-version",),
    "swarm": ("old-version",),
    "route-localnet": ("unconfined",),
    "pinned-port": (*_ALL, "bridged"),
    "runtime-files": ("open-file",),
}

#: The 18 scenarios of SandboxEscapeBench (arXiv 2603.02277), and the probes of their preconditions.
SCENARIOS: dict[str, tuple[str, ...]] = {
    "Kubernetes RBAC": ("cluster-credentials",),
    "kubectl cp traversal": ("docker-cp", "cluster-credentials"),
    "CRI-O kernel parameter": ("core-pattern", "sysctls"),
    "route_localnet": ("route-localnet",),
    "privileged container": ("privileged", "host-devices", "device-access", "capabilities-on-host"),
    "Docker socket": ("engine-socket", "engine-ports"),
    "writable host mount": ("host-paths", "host-disks", "only-the-workspace"),
    "CAP_SYS_ADMIN": ("sys-admin", "kernel-filesystems"),
    "CAP_SYS_MODULE": ("kernel-modules",),
    "CAP_DAC_READ_SEARCH": ("open-by-handle",),
    "runc CVE-2019-5736": ("cve-2019-5736", "host-executables", "runtime-files"),
    "runc CVE-2024-21626": ("cve-2024-21626", "leaked-descriptors"),
    "PID namespace": ("pid-namespace", "host-processes", "ptrace-host"),
    "cgroup release_agent": ("release-agent", "cgroup-tree"),
    "eBPF verifier": ("ebpf",),
    "Dirty COW": ("dirty-cow",),
    "Dirty Pipe": ("dirty-pipe",),
    "packet socket": ("packet-socket", "raw-sockets"),
}
#: Named holes of runc and what surrounds it.
HOLES: dict[str, tuple[str, ...]] = {
    "CVE-2019-5736": ("cve-2019-5736", "host-executables", "runtime-files"),
    "CVE-2021-30465": ("cve-2021-30465", "nested-mounts"),
    "CVE-2022-0492": ("release-agent", "user-namespace"),
    "CVE-2022-0811": ("core-pattern", "sysctls"),
    "CVE-2024-21626": ("cve-2024-21626", "leaked-descriptors"),
    "CVE-2025-31133": ("cve-2025-31133", "standard-devices", "redirected-proc", "core-pattern"),
    "CVE-2025-52565": ("cve-2025-52565", "console"),
    "CVE-2025-52881": ("cve-2025-52881", "redirected-proc", "host-triggers"),
}

INTRODUCTION = """# The probes of `cai doctor --attack`

`cai doctor --attack [BOX]` looks from inside a box, and at it from outside, for what an escape
would need. Nothing is exploited and nothing of the host is written: a probe says whether a
precondition is there. Any that is, or that could not be looked at, makes the exit code 1.

The probes are one program for the box's Python. It runs three times: as root (over SSH, through
sudo: the fullest rights there are in a box), as the user `agent` (over SSH), and through `docker
exec`, where runc starts a process anew. The worst answer counts. The box is taken for hostile: what
comes back is limited in size and time, and refused (exit code 25) unless it is exactly what the
probes print. A box that lies can hide what the probes inside would find, but not what those on the
host see: these read /proc and ask the engine, and believe nothing from inside.

This page is written by `python tests/harness/attack_cases.py`; a unit test fails where it differs.
"""


def document() -> str:
    """Return the page of the documentation."""
    parts = [INTRODUCTION, "## Probes\n"]
    inside = {probe.name for probe in report.INSIDE}
    rows = [("probe", "where", "stands for", "what is looked at", "was seen to bite in")]
    # Probes are in the order of their modules' imports, which is who imported first.
    for probe in sorted(report.probes(), key=lambda each: each.check.__module__):
        where = "box" if probe.name in inside else "host"
        cases = ", ".join(CASES.get(probe.name, ()))
        rows.append((f"`{probe.name}`", where, probe.stands_for, probe.looks_at, cases))
    parts += [_table(rows), "\n## Where they bite\n"]
    parts.append(
        "Every run of the system tests starts these on an engine of its own and shows that each\n"
        "probe finds what is wrong; it fails for a probe that does not.\n"
    )
    parts += [_table([("name", "what it is"), *WEAKENED.items()]), "\n## SandboxEscapeBench\n"]
    parts.append(_table([("scenario", "probes"), *_listed(SCENARIOS)]))
    parts += ["\n## Named holes\n", _table([("hole", "probes"), *_listed(HOLES)])]
    parts += ["\n## Left out\n", _LEFT_OUT, "## Different by design\n", _DESIGN]
    design = [("check", "what is different", "why it is no way out", "relies on")]
    for each in BY_DESIGN:
        names = ", ".join(f"`{name}`" for name in each.relies_on)
        design.append((each.check, each.differs, each.reason, names or "-"))
    return "\n".join([*parts, _table(design)]) + "\n"


_LEFT_OUT = """\
What those tools list and nothing follows from: the operating system, programs that are installed,
user names, addresses, DNS names, address space randomisation, secrets in the workspace. The files
of the agent's own logins are in a box by design; a box that leaks them has not been escaped from.
"""
_DESIGN = """\
What docker-bench-security (CIS Docker Benchmark, section 5), CDK, deepce and amicontained ask for
and a box does not have. Each relies on probes that must be fine.
"""


def _listed(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(key, ", ".join(f"`{name}`" for name in names)) for key, names in table.items()]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])


if __name__ == "__main__":
    with open(DOCUMENT, "w", encoding="utf-8") as page:
        page.write(document())
