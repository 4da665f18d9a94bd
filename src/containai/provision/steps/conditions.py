"""What of this machine decides how boxes fare, and is its administrator's to change."""

import os
import time
from collections.abc import Callable, Iterator

import containai
from containai.errors import NoSpaceError
from containai.host import files
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision.step import Area, Fact
from containai.work.actions import Finding

#: How many files have to be left: a start of a box makes a few dozen.
INODES = 1000
#: A clock that is set by hand, or kept in local time, is off by less, in seconds.
TOLERANCE = 48 * 3600
#: Limits of namespaces for a user (namespaces(7)); 0 forbids the kind.
KINDS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
#: What limits of boxes need (cgroups(7)).
CONTROLLERS = ("cpu", "memory", "pids")


class Inodes(Fact):
    """Files that can still be made, where we make any."""

    area = Area.HOST
    title = "inodes"
    holds = "1,000 files can still be made where boxes, their records and your keys are"
    otherwise = "code 20, before anything is written"
    looks = "what each of those file systems says of itself"
    means = "no file can be made there, though there is room: pulls, builds and new boxes fail"

    def check(self, host: Machine) -> Finding[None]:
        """Raises NoSpaceError where there are too few."""
        layout = host.layout
        left = {}
        for path in (layout.engine_data, layout.runtime_state, layout.engine_exec, layout.home):
            free = host.free_inodes(path)
            if free is None:
                continue
            if free < INODES:
                raise NoSpaceError(
                    f"{path} has room for {free} files more, {INODES} are needed",
                    hint=f"see what has so many: sudo du --inodes -x {path} | sort -n | tail",
                )
            left[path] = free
        if not left:
            return Finding(True, "not counted by these file systems")
        return Finding(True, f"{min(left.values())} files can still be made")


class Clock(Fact):
    """A clock that is about right."""

    area = Area.HOST
    title = "clock"
    holds = (
        "it is not before what was installed and set up here, and not two days off the hardware's"
    )
    otherwise = "`timedatectl set-ntp true`, or `date --set`"
    looks = "the clock, the times of our files, the hardware's clock where there is one"
    means = "certificates count as expired or not valid yet: nothing can be pulled or installed"

    def __init__(
        self, now: Callable[[], float] = time.time, hardware: str = "/sys/class/rtc/rtc0"
    ) -> None:
        self._now, self._hardware = now, hardware

    def check(self, host: Machine) -> Finding[None]:
        """Compare it with what cannot have been later, and with the hardware's."""
        now = self._now()
        shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
        hint = "run: sudo timedatectl set-ntp true (or: sudo date --set 'YYYY-MM-DD HH:MM')"
        for path, at in _written(host.layout):
            if at > now + TOLERANCE:
                return Finding(False, f"it is {shown}, and {path} was written later", hint=hint)
        own = (files.read(os.path.join(self._hardware, "since_epoch")) or "").strip()
        if own.isdigit() and abs(int(own) - now) > TOLERANCE:
            other = time.strftime("%Y-%m-%d", time.gmtime(int(own)))
            return Finding(False, f"it is {shown}, and {other} by the hardware's", hint=hint)
        return Finding(True, shown)


def _written(layout: Layout) -> Iterator[tuple[str, float]]:
    """Return files that were there before now, and when they were written."""
    for path in (containai.__file__, layout.version_file, layout.runtime_choice):
        try:
            yield path, os.stat(path).st_mtime
        except OSError:
            continue


class Randomness(Fact):
    """A kernel that has gathered enough to be unpredictable."""

    area = Area.HOST
    title = "randomness"
    holds = "the kernel has what it needs to make keys"
    otherwise = "it gathers it in time; a virtual machine is given a device for it"
    looks = "the kernel is asked for a byte (getrandom(2))"
    means = "whatever makes a key waits: setup, a new box, a first connection"

    def __init__(self, ask: Callable[[int, int], bytes] = os.getrandom) -> None:
        self._ask = ask

    def check(self, host: Machine) -> Finding[None]:
        """Ask without waiting."""
        try:
            self._ask(1, os.GRND_NONBLOCK)
        except BlockingIOError:
            hint = "wait a minute; in a virtual machine: give it a virtio-rng device"
            return Finding(False, "the kernel has not gathered enough yet", hint=hint)
        return Finding(True, "there is enough")


class Virtualization(Fact):
    """What this machine itself runs in: said, as whoever helps asks for it first."""

    area = Area.HOST
    title = "virtualization"
    holds = "nothing has to: what the machine runs in is said"
    otherwise = "nothing"
    looks = "what the firmware, the processor and containers say of themselves"
    means = "in a container, what that may not do boxes may not either"

    def __init__(self, root: str = "/") -> None:
        self._root = root

    def check(self, host: Machine) -> Finding[None]:
        """Read what is said."""

        def read(path: str) -> str:
            return (files.read(os.path.join(self._root, path)) or "").strip()

        marks = (("run/.containerenv", "podman"), (".dockerenv", "docker"))
        found = [name for path, name in marks if os.path.exists(os.path.join(self._root, path))]
        inside = read("run/systemd/container") or next(iter(found), "")
        names = [read(f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
        board = " ".join(filter(None, names))
        guest = " hypervisor" in read("proc/cpuinfo")
        what = f"a virtual machine ({board or 'of an unknown kind'})" if guest else board
        seen = ", ".join(filter(None, [f"in a container ({inside})" if inside else "", what]))
        return Finding(True, seen or "none that can be seen")


class Namespaces(Fact):
    """A kernel that lets boxes, and the agents' own sandboxes in them, have namespaces."""

    area = Area.HOST
    title = "namespaces"
    holds = (
        "the kernel allows namespaces of every kind; wanted: also to users without rights, which "
        "sandboxes of agents (bubblewrap) ask for in a box"
    )
    otherwise = "the sysctl that is shown"
    looks = "`user.max_*_namespaces`, `kernel.unprivileged_userns_clone` (Debian) and "
    looks += "`kernel.apparmor_restrict_unprivileged_userns` (Ubuntu 24.04)"
    means = "no box starts; or, in boxes, `codex sandbox` and whatever else uses bubblewrap fails"

    def __init__(self, kernel: str = "/proc/sys") -> None:
        self._kernel = kernel

    def check(self, host: Machine) -> Finding[None]:
        """Read what is forbidden."""
        closed = [f"user.max_{kind}_namespaces" for kind in KINDS]
        closed = [name for name in closed if self._value(name) == "0"]
        if closed:
            hint = "run: sudo sysctl " + " ".join(f"{name}=65536" for name in closed)
            return Finding(False, "forbidden: " + ", ".join(closed), hint=hint)
        for name, bad, good in (
            ("kernel.unprivileged_userns_clone", "0", "1"),
            ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ):
            if self._value(name) == bad:
                seen = f"{name} is {bad}: boxes run, sandboxes of agents in them may not"
                hint = f"if an agent needs its own sandbox, run: sudo sysctl {name}={good}"
                return Finding(False, seen, optional=True, hint=hint)
        return Finding(True, "allowed")

    def _value(self, name: str) -> str:
        return (files.read(os.path.join(self._kernel, name.replace(".", "/"))) or "").strip()


class Cgroups(Fact):
    """Controllers by which limits of boxes hold."""

    area = Area.HOST
    title = "cgroups"
    holds = "the kernel's controllers for processors, memory and processes are on"
    otherwise = "a parameter of the kernel, then a boot"
    looks = "`/sys/fs/cgroup`"
    means = "limits of boxes do not hold: one takes what all others and the machine have"

    def __init__(self, root: str = "/sys/fs/cgroup") -> None:
        self._root = root

    def check(self, host: Machine) -> Finding[None]:
        """Look which there are, in either version."""
        unified = files.read(os.path.join(self._root, "cgroup.controllers"))
        found = set((unified or "").split())
        version = "version 2" if unified is not None else "version 1"
        found |= {name for name in CONTROLLERS if os.path.isdir(os.path.join(self._root, name))}
        lacking = [name for name in CONTROLLERS if name not in found]
        if lacking:
            words = " ".join(f"cgroup_enable={name}" for name in lacking)
            hint = f"add to the kernel's command line, and boot: {words}"
            return Finding(False, f"{version}, without {', '.join(lacking)}", hint=hint)
        return Finding(True, f"{version}: {', '.join(CONTROLLERS)}")
