"""What benchmarks ask for and a box does not have, on purpose, and why that is no way out of it."""

from typing import NamedTuple


class ByDesign(NamedTuple):
    """A check that a box would fail, what is different, and what makes it harmless.

    `relies_on` are the probes that must be fine for that to hold.
    """

    check: str
    differs: str
    reason: str
    relies_on: tuple[str, ...]


_IDS = ("user-namespace", "host-ids", "capabilities-on-host")

BY_DESIGN = (
    ByDesign(
        "CIS 5.2, 5.3",
        "no AppArmor profile and no SELinux label of Docker's",
        "they forbid mounts, which systemd and nested Docker need; what they keep from root of a "
        "container is kept by the user namespace here",
        (*_IDS, "core-pattern", "sysctls", "sysfs", "kernel-filesystems"),
    ),
    ByDesign(
        "CIS 5.4, 5.23; CDK, deepce, amicontained capabilities",
        "every capability, also in docker exec",
        "they count in the box's own user namespace; over the host they are none",
        _IDS,
    ),
    ByDesign(
        "CIS 5.7; deepce sshd",
        "sshd runs in the box",
        "it is the way in; it listens on 127.0.0.1 of this machine only and takes keys only",
        ("ssh-service", "published-ports"),
    ),
    ByDesign(
        "CIS 5.9",
        "whoever publishes more ports decides it",
        "a published port leads into the box and not out of it",
        ("published-ports",),
    ),
    ByDesign(
        "CIS 5.11, 5.12",
        "half of the memory and of the processors for each box, unless you say otherwise",
        "several greedy boxes can slow this machine down, as programs do; it is no way out",
        ("cgroup-tree", "cgroup-namespace"),
    ),
    ByDesign(
        "CIS 5.13",
        "the root file system can be written",
        "it is the box's own computer: packages are installed there; nothing of the host is in it",
        ("host-disks", "host-paths"),
    ),
    ByDesign(
        "CIS 5.15, 5.27",
        "a restart policy without a limit, no health check of Docker's",
        "boxes come back with the machine; systemd in the box watches its services; no boundary",
        (),
    ),
    ByDesign(
        "CIS 5.19",
        "no ulimit of the engine's own",
        "limits are the box's systemd's to set; root of a box cannot raise the hard ones it has",
        _IDS,
    ),
    ByDesign(
        "CIS 5.24",
        "commands may be run as root",
        "root of the box is nobody outside",
        _IDS,
    ),
    ByDesign(
        "CIS 5.26",
        "no-new-privileges is off",
        "sudo and newuidmap in the box need it off; what they give is root of the box",
        _IDS,
    ),
    ByDesign(
        "CIS 5.28",
        "the image is built here, and not pulled at every start",
        "its recipe is the version's; a new version builds a new image",
        (),
    ),
    ByDesign(
        "CIS 5.30",
        "all boxes are on the engine's one bridge",
        "the bridge is ContainAI's own and not docker0; between its boxes nothing passes (icc off)",
        ("net-namespace",),
    ),
    ByDesign(
        "CIS 5.32; CDK, deepce docker.sock and docker group",
        "there is a /run/docker.sock, and the agent may use it",
        "the dockerd behind it is the box's own, in the box",
        ("engine-socket", "user-namespace"),
    ),
    ByDesign(
        "amicontained blocked calls",
        "mount, unshare, setns, pivot_root, ptrace and others that Docker refuses",
        "systemd and nested Docker need them; they act on namespaces of the box's own",
        (*_IDS, "seccomp"),
    ),
)
