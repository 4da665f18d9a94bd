"""What the kernel charges a container with, by its cgroup."""

from typing import NamedTuple


class _Cgroup(NamedTuple):
    """A container's own group of one controller."""

    path: str
    is_v1: bool

    def read(self, name: str) -> str:
        with open(f"{self.path}/{name}", encoding="ascii") as file:
            return file.read()

    def numbers(self, name: str) -> dict[str, int]:
        """Return what a file of it says that has a name and a number a line."""
        return {key: int(value) for key, value in map(str.split, self.read(name).splitlines())}


def memory_of(pid: str, container: str) -> tuple[int, int]:
    """Return the bytes a container's cgroup is charged with: all, and without page cache."""
    own = _of(pid, container, "memory")
    charged, cache, shared = (
        ("memory.usage_in_bytes", "total_cache", "total_shmem")
        if own.is_v1
        else ("memory.current", "file", "shmem")
    )
    whole, numbers = int(own.read(charged)), own.numbers("memory.stat")
    return whole, whole - numbers[cache] + numbers[shared]


def processor_time_of(pid: str, container: str) -> float:
    """Return the seconds of processor time that a container's cgroup has had."""
    own = _of(pid, container, "cpuacct")
    if own.is_v1:
        return int(own.read("cpuacct.usage")) / 1e9
    return own.numbers("cpu.stat")["usage_usec"] / 1e6


def _of(pid: str, container: str, controller: str) -> _Cgroup:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    v1 = [path for _, controllers, path in lines if controller in controllers.split(",")]
    # The box's systemd moved itself below the container's own group.
    path = (v1 or [path for _, controllers, path in lines if not controllers])[0]
    own = path[: path.index(container)] + container
    return _Cgroup("/sys/fs/cgroup" + (f"/{controller}" if v1 else "") + own, bool(v1))
