"""The cgroup2 tree beside v1 controllers ("hybrid"), which runc leaves to itself."""

import os

HYBRID = "/sys/fs/cgroup/unified"
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")


def is_hybrid() -> bool:
    """Whether cgroup2 is mounted beside the v1 controllers."""
    return os.path.exists(os.path.join(HYBRID, "cgroup.procs"))


def hybrid_path(cgroups_path: str) -> str:
    """Return the directory of a container's cgroup2, from the spec's linux.cgroupsPath."""
    return os.path.normpath(HYBRID + "/" + cgroups_path.lstrip("/"))


def delegate(path: str, owner: int) -> None:
    """Make a container's cgroup and give it to the container's root. runc joins it by itself."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, owner, owner)
    for name in _DELEGATED:
        os.chown(os.path.join(path, name), owner, owner)


def remove(path: str) -> None:
    """Remove a container's cgroup and those that its systemd made below it, if they are empty."""
    if os.path.commonpath([path, HYBRID]) != HYBRID or path == HYBRID:
        return
    for parent, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(parent)
        except OSError:
            return
