"""A container's cgroups.

On a "hybrid" host, with cgroup2 beside the v1 controllers, runc leaves the cgroup2 tree to us. In
any tree, what a killed runc left is ours to remove.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from .errors import RuntimeRefusal

ROOT = "/sys/fs/cgroup"
HYBRID = ROOT + "/unified"
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
#: How deep and how many the container's own cgroups may be: systemd with a nested Docker needs 6
#: and some hundreds. The machine has 65,535 with a memory controller (mm/memcontrol.c), and what is
#: removed is not counted. In a tree that is cgroup2 alone the launcher sets the same at `start`:
#: there runc or systemd makes the container's cgroup.
_LIMITS = {"cgroup.max.depth": 32, "cgroup.max.descendants": 1024}
#: How many steps down and up a tree are made at most.
_STEPS = 100_000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    with os.scandir(ROOT) as entries:
        # Not the links, which are other names of controllers that share a tree.
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _is_populated(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        for parent, name in _below(path):
            procs = _open(f"{name}/cgroup.procs", parent, os.O_RDONLY)
            with open(procs, encoding="ascii") as file, contextlib.suppress(OSError):
                if file.read(1):
                    return True
    return False


def _remove(path: str) -> None:
    for parent, name in _below(path):
        os.rmdir(name, dir_fd=parent)


def _below(top: str) -> Iterator[tuple[int, str]]:
    """Yield a cgroup and those in it, each after its children: its parent's descriptor, its name.

    By descriptor, as the container chose the names and may have made paths too long to use, and by
    one at a time, as it chose the depth. Raises OSError for a tree without an end.
    """
    parent, first = os.path.split(top)
    fd = os.open(parent, _DIRECTORY)
    inside: list[str] = []
    left = [[first]]
    try:
        for _ in range(_STEPS):
            if left[-1]:
                inside.append(left[-1].pop())
                fd = _replaced(fd, inside[-1])
                with os.scandir(fd) as entries:
                    left.append(
                        [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
                    )
            elif inside:
                left.pop()
                # No cgroup is ever moved to another parent.
                fd = _replaced(fd, "..")
                yield fd, inside.pop()
            else:
                return
        raise OSError(errno.E2BIG, f"{top}: more cgroups than a container can have")
    finally:
        os.close(fd)


def _replaced(fd: int, name: str) -> int:
    other = _open(name, fd, _DIRECTORY)
    os.close(fd)
    return other


def _open(name: str, directory: int, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
