"""A container's cgroups.

On a "hybrid" host, with cgroup2 beside the v1 controllers, runc leaves the cgroup2 tree to us. In
any tree, what a killed runc left is ours to remove.
"""

import contextlib
import os

from .errors import RuntimeRefusal

ROOT = "/sys/fs/cgroup"
HYBRID = ROOT + "/unified"
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
#: How deep and how many the container's own cgroups may be: systemd with a nested Docker needs 6
#: and some hundreds. More would be the kernel's memory, and hard to remove.
_LIMITS = {"cgroup.max.depth": 32, "cgroup.max.descendants": 8192}


def is_hybrid() -> bool:
    """Whether cgroup2 is mounted beside the v1 controllers."""
    return os.path.exists(os.path.join(HYBRID, "cgroup.procs"))


def checked(cgroups_path: str) -> str:
    """Return a container's cgroup below the root of each tree, from the spec's linux.cgroupsPath.

    "" stands for one that systemd makes ("slice:prefix:name"), and removes.
    Raises RuntimeRefusal for what is outside, or is not the container's alone.
    """
    if ":" in cgroups_path:
        return ""
    parts = [part for part in cgroups_path.split("/") if part]
    if not parts or "\0" in cgroups_path or {".", ".."}.intersection(parts):
        raise RuntimeRefusal(f"config.json: linux.cgroupsPath: {cgroups_path!r} is not a cgroup")
    return "/".join(parts)


def delegate(group: str, owner: int) -> None:
    """Make a container's cgroup and give it to the container's root. runc joins it by itself.

    Raises RuntimeRefusal where somebody is in there.
    """
    path = os.path.join(HYBRID, group)
    if _is_populated(path):
        raise RuntimeRefusal(f"the cgroup {path} has processes in it")
    # What a killed runtime left there, and the cgroups of an earlier life.
    remove(group)
    os.makedirs(path, exist_ok=True)
    for name, limit in _LIMITS.items():
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(str(limit))
    os.chown(path, owner, owner)
    for name in _DELEGATED:
        os.chown(os.path.join(path, name), owner, owner)


def remove(group: str) -> None:
    """Remove a container's cgroups and those made below them, in every tree, if they are empty."""
    if group:
        for tree in _trees():
            with contextlib.suppress(OSError):
                _remove(os.path.join(tree, group))


def is_used(group: str) -> bool:
    """Whether a process is in one of a container's cgroups."""
    return bool(group) and any(_is_populated(os.path.join(tree, group)) for tree in _trees())


def _trees() -> list[str]:
    if os.path.exists(os.path.join(ROOT, "cgroup.procs")):
        return [ROOT]
    with os.scandir(ROOT) as found:
        # Not the links, which are other names of controllers that share a tree.
        return [each.path for each in found if each.is_dir(follow_symlinks=False)]


def _is_populated(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        for _, _, _, fd in os.fwalk(path):
            procs = os.open("cgroup.procs", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            with open(procs, encoding="ascii") as file, contextlib.suppress(OSError):
                if file.read(1):
                    return True
    return False


def _remove(path: str) -> None:
    # By descriptor: the container chose the names below, and may have made paths too long to use.
    for _, children, _, fd in os.fwalk(path, topdown=False):
        for child in children:
            os.rmdir(child, dir_fd=fd)
    os.rmdir(path)
