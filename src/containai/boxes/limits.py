"""What a box may use of the machine: memory, processors, and on which of them it runs. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from containai.errors import UsageError
from containai.host import machine

#: Processes and threads of a box, nested containers included: thousands for who needs them, and
#: no fork bomb takes the machine's (kernel.pid_max is 32,768 where nobody raised it).
PROCESSES = ("--pids-limit", "16384")
#: Where POSIX shared memory is.
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - in the box


class Limits(NamedTuple):
    """Bytes of memory and processor time in processors. 0 is no limit, None is not said."""

    memory: int | None = None
    cpus: float | None = None

    def over(self, others: "Limits") -> "Limits":
        """Return these, and the others where nothing is said here."""
        return Limits(
            others.memory if self.memory is None else self.memory,
            others.cpus if self.cpus is None else self.cpus,
        )


def arguments(limits: Limits, cpuset: str) -> list[str]:
    """Return the options of `docker create` and `docker update` for these limits."""
    words = []
    if limits.memory:
        # With swap on top the limit would be another one than was asked for.
        words += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
    if limits.cpus:
        words += ["--cpus", f"{limits.cpus:g}", "--cpuset-cpus", cpuset]
    return words


def shared_memory(memory: int) -> list[str]:
    """Return the command for a running box whose limit on memory has become `memory` bytes.

    runtime/guest.py makes /dev/shm half as large as the limit when a box starts. mount(8) is not to
    take the options that it has over: in a box its owner is an id that is not mapped there.
    """
    options = f"remount,nosuid,nodev,size={memory // 2}"
    return ["mount", "--options-mode", "ignore", "-t", "tmpfs", "-o", options, "shm", SHARED_MEMORY]


def check(limits: Limits, online: Sequence[int]) -> None:
    """Raise UsageError for more processors than there are."""
    if limits.cpus and limits.cpus > len(online):
        raise UsageError(
            f"{limits.cpus:g} processors were asked for; this machine has {len(online)}",
            hint="say fewer: --cpus NUMBER, or box.cpus in config.toml",
        )


def changes(now: Limits, asked: Limits) -> Limits:
    """Return what of the asked limits a box does not have yet.

    Raises UsageError for taking a limit away, which Docker cannot do.
    """
    for name, before, wanted in zip(now._fields, now, asked, strict=True):
        if wanted == 0 and before:
            raise UsageError(
                f"the box has a limit on {name}, which can be changed but not taken away",
                hint=f"make the box anew: cai rm, then cai run --{name} none",
            )
    return Limits(
        asked.memory if asked.memory and asked.memory != now.memory else None,
        asked.cpus if asked.cpus and asked.cpus != now.cpus else None,
    )


def spread(cpus: float, online: Sequence[int], taken: Iterable[str]) -> str:
    """Return the processors of a box with that limit: as many as it may use at once.

    A limit on time alone leaves nproc, and what sizes itself by it (make, test runners, thread
    pools), at the whole machine, and the surplus threads only throttle each other. So the box is
    also pinned, to the processors that the fewest other boxes have. `taken` are those boxes' sets,
    as Docker writes them ("0-2,5").
    """
    load = Counter(cpu for cpuset in taken for cpu in machine.cpu_list(cpuset))
    count = min(math.ceil(cpus), len(online))
    chosen = sorted(online, key=lambda cpu: (load[cpu], cpu))[:count]
    return ",".join(map(str, sorted(chosen)))
