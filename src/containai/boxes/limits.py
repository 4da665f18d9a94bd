"""What a box may use of the machine, and on which of its processors it runs. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from containai.config import amounts
from containai.config.amounts import Amount
from containai.config.setting import Setting
from containai.config.settings import Settings
from containai.errors import UsageError
from containai.host import machine
from containai.host.machine import Capacity

#: Where POSIX shared memory is.
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - in the box
#: Processes and threads of a box, nested containers included: thousands for who needs them, and
#: no fork bomb takes the machine's (kernel.pid_max is 32,768 where nobody raised it).
MANY = 16384
#: The same for a container of ours that is no box.
PROCESSES = ("--pids-limit", str(MANY))
#: Bytes that are no limit: of a running container Docker changes limits, and takes none away. Less
#: than the most that the kernel takes, as cgroup v2 has the difference as the limit on swap.
UNBOUNDED, MOST = 1 << 62, (1 << 63) - 4096
#: All swap that there is.
ALL = -1


class Limits(NamedTuple):
    """Bytes of memory, processor time in processors, bytes of swap beside memory, processes, bytes.

    0 is no limit, of swap no swap; None is not said.
    """

    memory: int | None = None
    cpus: float | None = None
    swap: int | None = None
    pids: int | None = None
    #: Of its root file system, and of its own Docker's volume: each.
    disk: int | None = None

    def over(self, others: "Limits") -> "Limits":
        """Return these, and the others where nothing is said here."""
        pairs = zip(self, others, strict=True)
        return Limits(*(other if own is None else own for own, other in pairs))  # type: ignore[arg-type]

    @property
    def whole(self) -> "Limits":
        """These, with what a new box has where nothing is said (`creating`)."""
        return self.over(Limits(0, 0.0, 0, MANY, 0))

    def described(self) -> str:
        """Return what a box has, in a few words."""
        words = [f"{size(self.memory)} of memory" if self.memory else "memory without a limit"]
        if self.swap and self.memory:
            words.append("all swap" if self.swap == ALL else f"{size(self.swap)} of swap")
        plural = "" if self.cpus == 1 else "s"
        words.append(f"{self.cpus:g} processor{plural}" if self.cpus else "all processors")
        if self.pids not in (None, MANY):
            words.append(f"{self.pids or 'unlimited'} processes")
        if self.disk:
            words.append(f"{size(self.disk)} of disk, twice")
        return ", ".join(words)


def size(count: int) -> str:
    """Return bytes as limits are said, in powers of two."""
    unit, power = next(
        (each for each in (("TiB", 40), ("GiB", 30)) if count >> each[1]), ("MiB", 20)
    )
    return f"{count / (1 << power):.1f}".removesuffix(".0") + f" {unit}"


def giving_more(box: str, memory: int) -> str:
    """Return the command that gives a box twice its memory, in bytes; 0 is not known."""
    mebibytes = memory * 2 >> 20
    whole = f"{mebibytes >> 10}g" if mebibytes % 1024 == 0 else f"{mebibytes}m"
    return f"cai limit --name {box} --memory {whole if memory else 'SIZE'}"


def said(value: Callable[[Setting[Amount]], Amount | None], has: Capacity) -> Limits:
    """Return what settings say, of a machine that has so much; None is for what says nothing."""
    return Limits(
        _whole(value(Settings.box_memory), has.memory, amounts.ENOUGH_MEMORY, 1 << 20),
        _cpus(value(Settings.box_cpus), has.processors),
        _whole(value(Settings.box_swap), has.swap),
        _whole(value(Settings.box_pids), has.processes),
        _whole(value(Settings.box_disk), has.disk, unit=1 << 20),
    )


def _whole(amount: Amount | None, all_of_it: int, enough: int = 0, unit: int = 1) -> int | None:
    if amount is None:
        return None
    if amount.is_auto:
        return min(max(all_of_it // 2, enough), all_of_it) // unit * unit
    if amount.percent:
        # Not 0, which is no limit, unless there is nothing.
        return max(int(all_of_it * amount.percent / 100) // unit * unit, min(all_of_it, 1))
    return int(amount.number)


def _cpus(amount: Amount | None, there: int) -> float | None:
    if amount is None:
        return None
    if amount.is_auto:
        return min(max(there / 2, amounts.ENOUGH_PROCESSORS), float(there))
    return max(round(there * amount.percent / 100, 2), 0.01) if amount.percent else amount.number


def creating(limits: Limits, cpuset: str) -> list[str]:
    """Return the options of `docker create` for these limits."""
    limits = limits.whole
    words = ["--pids-limit", str(limits.pids or amounts.MOST_PROCESSES)]
    if limits.memory:
        words += _memory(limits)
    if limits.cpus:
        words += _processors(limits.cpus, cpuset)
    if limits.disk:
        words += ["--storage-opt", f"size={limits.disk}"]
    return words


def updating(now: Limits, new: Limits, cpuset: str) -> list[str]:
    """Return the options of `docker update` for limits that are new to a box."""
    words = []
    if new.pids is not None:
        words += ["--pids-limit", str(new.pids or amounts.MOST_PROCESSES)]
    if new.memory is not None or new.swap is not None:
        words += _memory(new.over(now))
    if new.cpus:
        words += _processors(new.cpus, cpuset)
    return words


def _memory(limits: Limits) -> list[str]:
    memory, swap = limits.memory or UNBOUNDED, limits.swap or 0
    # Docker has one limit on both. -1 would be none, which it does not raise before the first.
    both = MOST if swap == ALL or not limits.memory else memory + swap
    return ["--memory", str(memory), "--memory-swap", str(both)]


def _processors(cpus: float, cpuset: str) -> list[str]:
    return ["--cpus", f"{cpus:g}", "--cpuset-cpus", cpuset]


def shared_memory(memory: int) -> list[str]:
    """Return the command for a running box whose limit on memory has become `memory` bytes.

    runtime/guest.py makes /dev/shm half as large as the limit when a box starts. mount(8) is not to
    take the options that it has over: in a box its owner is an id that is not mapped there.
    """
    options = f"remount,nosuid,nodev,size={memory // 2 if memory else '50%'}"
    return ["mount", "--options-mode", "ignore", "-t", "tmpfs", "-o", options, "shm", SHARED_MEMORY]


def check(limits: Limits, has: Capacity) -> None:
    """Raise UsageError for what no box can have on a machine with so much."""
    if limits.cpus and limits.cpus > has.processors:
        raise UsageError(
            f"{limits.cpus:g} processors were asked for; this machine has {has.processors}",
            hint="say fewer: --cpus NUMBER, or box.cpus in config.toml",
        )
    least = [
        ("memory", limits.memory, amounts.LEAST_MEMORY, size(amounts.LEAST_MEMORY)),
        ("cpus", limits.cpus, amounts.LEAST_PROCESSORS, f"{amounts.LEAST_PROCESSORS:g}"),
        ("pids", limits.pids, amounts.LEAST_PROCESSES, str(amounts.LEAST_PROCESSES)),
        ("disk", limits.disk, amounts.LEAST_DISK, size(amounts.LEAST_DISK)),
    ]
    for name, asked, enough, shown in least:
        if asked and asked < enough:
            raise UsageError(
                f"that share of this machine is too little: box.{name} is {shown} or more",
                hint=f"say more: --{name}, or box.{name} in config.toml",
            )
    if limits.swap and limits.memory == 0:
        raise UsageError(
            "a limit on swap needs one on memory", hint="say both: --memory SIZE --swap SIZE"
        )
    if limits.disk and has.no_quota:
        raise UsageError(
            f"the storage of boxes has no limits on disk: {has.no_quota}",
            hint="leave out --disk, and box.disk in config.toml; or have the engine's directory on "
            "xfs, mounted with pquota",
        )


def changes(now: Limits, asked: Limits, cpuset: str, online: Sequence[int]) -> Limits:
    """Return what of the asked limits a box does not have yet; no limit is all processors then.

    Also processors that are there, in place of a box's own. Raises UsageError for another limit on
    disk, which Docker cannot give to what is there.
    """
    if asked.disk is not None and asked.disk != now.disk:
        raise UsageError(
            "the limit on the disk of a box that is there cannot be changed",
            hint="make it anew with it, which asks first: cai run --fresh --disk SIZE",
        )
    if asked.cpus == 0:
        asked = asked._replace(cpus=float(len(online)) if now.cpus else None)
    pairs = zip(now, asked, strict=True)
    new = Limits(*(wanted if wanted != before else None for before, wanted in pairs))  # type: ignore[arg-type]
    return new if new.cpus else new._replace(cpus=_fitting(now, cpuset, online))


def _fitting(now: Limits, cpuset: str, online: Sequence[int]) -> float | None:
    """Return how many processors a box can have of a machine that lacks some of the box's own.

    None where it lacks none. A virtual machine can have been given fewer since, and Docker starts
    nothing on processors that are not there.
    """
    if set(machine.cpu_list(cpuset)) <= set(online) and (now.cpus or 0) <= len(online):
        return None
    return min(now.cpus or math.inf, float(len(online)))


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
