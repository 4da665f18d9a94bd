"""Limits of processes (getrlimit(2)), a container's and its namespace's; and its processors."""

import contextlib
import os
import resource
from typing import Any

from .errors import RuntimeRefusal

#: With this and no other value the kernel does not start the host's program for core dumps, which
#: it would run as the host's root; 0 is for dumps into files (core(5); fs/coredump.c).
NO_CORE = (1, 1)

_CAP_SYS_RESOURCE = 24
#: What a user namespace has as a whole of these is what its creator had of them.
_COUNTED = ("NPROC", "MEMLOCK", "MSGQUEUE", "SIGPENDING")
#: Of these its cgroup has the true limit: processes, and memory that is locked or not.
_UNBOUNDED = ("NPROC", "MEMLOCK")
_INFINITY = 2**64 - 1

Limit = tuple[int, int]


def raise_counted() -> None:
    """Raise, for a user namespace that this process makes, what all in it may have together."""
    for name in _COUNTED:
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        resource.setrlimit(number, (most, most))
        if name in _UNBOUNDED:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def may_raise() -> bool:
    """Whether we have CAP_SYS_RESOURCE, without which runc cannot set the container's limits."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def may_score(score: int) -> bool:
    """Whether the kernel lets us have this oom_score_adj (proc(5)). Its floor cannot be read."""
    path = "/proc/self/oom_score_adj"
    with open(path, encoding="ascii") as file:
        before = file.read()
    try:
        for value in (str(score), before):
            with open(path, "w", encoding="ascii") as file:
                file.write(value)
    except PermissionError:
        return False
    return True


def divided(process: dict[str, Any], *, may_raise: bool) -> tuple[dict[str, Any], dict[str, Limit]]:
    """Return a process as runc is to get it, and the limits that runc has to be given before.

    A process inherits its limits. Those that it asks for, runc sets from outside; without
    CAP_SYS_RESOURCE, as in most containers, the kernel lets nobody do that to other ids.
    """
    rlimits = process.get("rlimits") or []
    ours: dict[str, Limit] = {}
    if not asks_for_core(process):
        rlimits = [limit for limit in rlimits if limit.get("type") != "RLIMIT_CORE"]
        ours = {"RLIMIT_CORE": NO_CORE}
    if not may_raise:
        # Of two of one kind runc would refuse the second.
        for limit in rlimits:
            ours[limit.get("type", "")] = (limit.get("soft", 0), limit.get("hard", 0))
        rlimits = []
    return process | {"rlimits": rlimits}, ours


def asks_for_core(process: dict[str, Any]) -> bool:
    """Whether a process is to have core dumps (`--ulimit core=...`)."""
    return any(
        limit.get("type") == "RLIMIT_CORE" and limit.get("hard")
        for limit in process.get("rlimits") or []
    )


def take(limits: dict[str, Limit]) -> None:
    """Set limits of this process. Raises RuntimeRefusal for one that it may not have."""
    for name, (soft, hard) in limits.items():
        number = getattr(resource, name, None)
        if number is None or not name.startswith("RLIMIT_"):
            raise RuntimeRefusal(f"process.rlimits: {name!r} is no limit")
        try:
            resource.setrlimit(number, (_number(soft), _number(hard)))
        except (OSError, ValueError, OverflowError):
            _, most = resource.getrlimit(number)
            raise RuntimeRefusal(
                f"process.rlimits: {name} {soft}:{hard}: the engine may give {most} at most"
            ) from None


def online(asked: str, there: str) -> str:
    """Return those of a container's processors that are there; nothing, which means all, if none.

    The kernel takes no others (cpuset(7)). Without this no container that has them would come back
    with a virtual machine that was given fewer.
    """
    numbers = _numbers(asked)
    left = numbers & _numbers(there)
    return asked if left == numbers else ",".join(map(str, sorted(left)))


def _numbers(text: str) -> set[int]:
    """Return the numbers of a list like "0-2,5" (cpuset(7), "List format")."""
    ends = [part.partition("-") for part in text.strip().split(",") if part]
    return {number for a, _, b in ends for number in range(int(a), int(b or a) + 1)}


def with_hook(spec: dict[str, Any], program: str, *words: object) -> dict[str, Any]:
    """Return a container's spec with a hook on the host: a call of a program of ours."""
    hook = {"path": program, "args": [program, *map(str, words)]}
    hooks = spec.get("hooks") or {}
    return spec | {"hooks": hooks | {"createRuntime": [*(hooks.get("createRuntime") or []), hook]}}


def set_files(pid: int, owner: int, soft: int, hard: int) -> None:
    """Give a process of `owner`'s this limit of open files, by becoming that owner.

    What it inherited is not what runc was given: Go raises the soft limit for itself, and before
    1.19.9 gave it to its children so (golang/go#59064).
    """
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_number(soft), _number(hard)))


def _number(limit: int) -> int:
    return resource.RLIM_INFINITY if limit == _INFINITY else limit
