"""Sysbox: the pinned release, unpacked beside whatever the host has, and its daemons.

The package is not installed with dpkg: its maintainer scripts edit the configuration of the host's
own Docker and restart it (docs/adr/0004).
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.engine import runtimes, sysbox
from containai.errors import ContainAIError, DownloadError, NoSpaceError, UnsupportedError
from containai.host import files, packages, proc, scripts, services
from containai.host.machine import Machine
from containai.layout import Layout
from containai.machine_layout import RUNTIME, SYSBOX_RUNC
from containai.provision import compat
from containai.provision.compat import Verdict
from containai.provision.step import Area, Described, Scope
from containai.work.actions import (
    Action,
    Attempted,
    Do,
    Fetch,
    Finding,
    Pin,
    Run,
    Trial,
    WriteFile,
)
from containai.work.ui import Progress

VERSION = "0.7.1"
#: The release by machine (uname -m). The one place for its addresses and checksums: that of amd64
#: is pinned alike by three unrelated projects, that of arm64 by one.
RELEASES = {
    "x86_64": Pin(
        f"https://github.com/nestybox/sysbox/releases/download/v{VERSION}/sysbox-ce_{VERSION}.linux_amd64.deb",
        "9d6d5484f980d0a17f86c492c1262015c2afb66280bdb97215b79fde6a0261c5",
        128 << 20,
    ),
    "aarch64": Pin(
        f"https://github.com/nestybox/sysbox/releases/download/v{VERSION}/sysbox-ce_{VERSION}.linux_arm64.deb",
        "04ca894ae0b53f0fa54eaacc173ce40363c9a95ea5450f773716a84ef650a69b",
        128 << 20,
    ),
}

#: What its daemons start, by the package of the distribution. jq, which its package names too, is
#: for the maintainer scripts only.
PROGRAMS = {"rsync": "rsync", "modprobe": "kmod", "iptables": "iptables", "fusermount": "fuse3"}

#: The line of /etc/subuid and /etc/subgid that gives it ids.
SUBORDINATE = ":".join(map(str, sysbox.SUBORDINATE))

#: What goes on with what had to wait.
_MEND = "cai doctor --fix"

#: Where the scripts of steps are.
_HERE = "provision/steps"


class Attempt:
    """What was asked for, and whether trying it has failed.

    `asked` is auto, sysbox or embedded.
    """

    def __init__(
        self, asked: str, *, offline: str | None = None, releases: dict[str, Pin] | None = None
    ) -> None:
        self.asked = asked
        self.offline = offline
        self.releases = RELEASES if releases is None else releases
        self.trial = Trial()

    def settled(self, layout: Layout) -> bool:
        """Whether an earlier choice answers what is asked for now."""
        choice = runtimes.read_choice(layout)
        wanted = {"sysbox": SYSBOX_RUNC, "embedded": RUNTIME}.get(self.asked)
        return choice is not None and wanted in (None, choice.runtime)

    def wants_sysbox(self, layout: Layout) -> bool:
        """Whether Sysbox has to be there: not where trying it failed or it is not asked for."""
        if self.asked == "embedded" or self.trial.failed:
            return False
        return not self.settled(layout) or runtimes.chosen(layout) == SYSBOX_RUNC

    def refusal(self, host: Machine) -> str:
        """Return why Sysbox is not even tried, or was given up; "" where nothing is against it.

        Raises UnsupportedError where it was asked for by name.
        """
        layout = host.layout
        if self.trial.failed:
            return self.trial.failed
        if not self.wants_sysbox(layout) or self.settled(layout):
            return ""
        reason, hint = objection(host, self)
        if reason and self.asked == "sysbox":
            raise _unusable(reason, hint)
        return reason

    def give_up(self, reason: str, hint: str = "") -> None:
        """Go on without Sysbox, or raise UnsupportedError where it was asked for by name."""
        if self.asked == "sysbox":
            raise _unusable(reason, hint)
        self.trial.failed = reason

    def of(self, actions: list[Action]) -> list[Action]:
        """Return the actions as a trial where Sysbox is only wished for: a failure ends that."""
        if self.asked == "sysbox":
            return actions
        return [Attempted(action, self.trial) for action in actions]


def _unusable(reason: str, hint: str) -> UnsupportedError:
    return UnsupportedError(f"Sysbox cannot be used here: {reason}", hint=hint)


def objection(host: Machine, attempt: Attempt) -> tuple[str, str]:
    """Return what is known against Sysbox on this machine, or "", and advice."""
    layout = host.layout
    if attempt.asked == "auto" and not layout.is_default:
        # Its sockets are there once a machine; a ContainAI of a test must not take them.
        return "there is one Sysbox a machine, and this root is not the machine's", ""
    version = compat.parse_version(VERSION)
    if _is_hosts(layout):
        version = compat.version_of(host, runtimes.HOST_SYSBOX)
    elif os.uname().machine not in attempt.releases:
        return f"there is no release for {os.uname().machine}", ""
    broken = compat.known(compat.SYSBOX, compat.gather(host, version), Verdict.BREAKS)
    return (f"{broken[0].what} ({broken[0].source})", broken[0].advice) if broken else ("", "")


def _is_hosts(layout: Layout) -> bool:
    return runtimes.sysbox_program(layout) == runtimes.HOST_SYSBOX


class Lacking(NamedTuple):
    """What Sysbox lacks beside running daemons: programs, packages that those need, units.

    `old`: the daemons that run are an earlier version's, and no box uses them.
    """

    is_installed: bool = True
    packages: Sequence[str] = ()
    units: Sequence[WriteFile] = ()
    old: bool = False


class Sysbox(Described):
    """The programs of the pinned release, and its daemons running."""

    area = Area.RUNTIME
    title = "Sysbox"
    holds = (
        "where it is wanted and known to work: the pinned release is there and its daemons run, as "
        "this version starts them; they are exchanged only while no box of Sysbox runs"
    )
    otherwise = (
        "it is fetched, unpacked and started; where it was not asked for by name, it is gone "
        "without"
    )
    looks = "what is installed and recorded, and whether its daemons run"
    means = "boxes on Sysbox do not start"

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def check(self, host: Machine) -> Finding[Lacking]:
        """Raises UnsupportedError where Sysbox was asked for and is known not to work here."""
        layout = host.layout
        refused = self.attempt.refusal(host)
        wanted = self.attempt.wants_sysbox(layout)
        if refused or not (wanted or sysbox.is_ours(layout)):
            return Finding(True, f"not used: {refused or 'the embedded runtime is chosen'}")
        if _is_hosts(layout):
            return Finding(True, f"the host's own: {runtimes.HOST_SYSBOX}")
        if wanted and not self._is_installed(layout):
            return self._not_installed(host)
        units = _old_units(host)
        if not sysbox.running(layout):
            return Finding(False, "its daemons do not run", data=Lacking(units=units))
        if units:
            seen = "its units are an earlier version's"
            return Finding(False, seen, data=Lacking(units=units, old=_can_end(host)))
        return self._settled(host, "" if wanted else ", for boxes that were made with it")

    def _not_installed(self, host: Machine) -> Finding[Lacking]:
        if sysbox.running(host.layout) and not _can_end(host):
            seen = f"{VERSION} is not installed yet: {_users(host)} on an earlier one"
            return Finding(True, seen, hint=f"stop them (cai stop), then: {_MEND}")
        absent = [name for program, name in PROGRAMS.items() if host.which(program) is None]
        return Finding(False, f"{VERSION} is not installed", data=Lacking(False, absent))

    def _settled(self, host: Machine, note: str) -> Finding[Lacking]:
        """Return what is found where it is installed and runs: as what it was started."""
        layout = host.layout
        if sysbox.current(layout):
            return Finding(True, f"{VERSION} in {layout.sysbox_dir}{note}")
        if _can_end(host):
            seen = "its daemons are an earlier version's"
            return Finding(False, seen, data=Lacking(old=True))
        seen = f"its daemons are an earlier version's while {_users(host)}"
        return Finding(True, seen, hint=f"stop all of those (cai stop), then: {_MEND}")

    def plan(self, host: Machine, finding: Finding[Lacking]) -> list[Action]:
        """Fetch, unpack and start it; where it is only wished for, a failure is no error."""
        if finding.data is None:
            return []
        lacking = finding.data
        actions: list[Action] = []
        if not lacking.is_installed:
            actions = self._install(host, lacking)
        elif lacking.units:
            # What runs goes on as it is.
            enabled = services.manager(host).enable(sysbox.both(host.layout))
            actions = [*lacking.units, *map(Run, enabled)]
        if sysbox.running(host.layout) and (lacking.old or not lacking.is_installed):
            actions.append(_end(host))
        return self.attempt.of([*actions, _start(host)])

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Stop the daemons, remove all that is theirs; the packages stay."""
        layout = host.layout
        actions: list[Action] = []
        both = sysbox.both(layout)
        if sysbox.running(layout):
            actions.append(_end(host))
        units = [layout.unit_file(daemon.unit) for daemon in both]
        if any(map(os.path.exists, units)):
            names = [daemon.unit for daemon in both]
            actions.append(Run(["systemctl", "disable", *names]))
            actions += [Run(["rm", "-f", *units]), Run(["systemctl", "daemon-reload"])]
        mine = (layout.sysbox_dir, layout.sysbox_data, layout.sysbox_mount, layout.sysbox_log)
        fetched = [
            os.path.join(layout.downloads, pin.name) for pin in self.attempt.releases.values()
        ]
        left = [path for path in (*mine, *fetched) if os.path.exists(path)]
        if left:
            actions.append(Run(["rm", "-rf", "--one-file-system", *left]))
        given = [
            path
            for path in layout.subordinate_ids
            if SUBORDINATE in (files.read_if_whole(path) or "").splitlines()
        ]
        if given:
            actions.append(Run(scripts.argv(f"{_HERE}/remove-line.sh", SUBORDINATE, *given)))
        return actions

    def _is_installed(self, layout: Layout) -> bool:
        pin = self.attempt.releases.get(os.uname().machine)
        release = files.read_if_whole(os.path.join(layout.sysbox_dir, "release")) or ""
        return pin is not None and release.strip() == pin.sha256

    def _install(self, host: Machine, lacking: Lacking) -> list[Action]:
        layout = host.layout
        pin = self.attempt.releases[os.uname().machine]
        fetch = Fetch(pin, layout.downloads, self.attempt.offline)
        argv = _unpack_argv(layout, pin)
        # First what can be had or not, then what changes this machine.
        actions: list[Action] = [
            fetch,
            Do(
                f"unpack {fetch.path} to {layout.sysbox_dir}",
                lambda _: unpack(host, pin),
                (f"# {proc.describe(argv)}",),
            ),
            Run(
                scripts.argv(
                    f"{_HERE}/add-subordinate-ids.sh", SUBORDINATE, *layout.subordinate_ids
                ),
                title=f"reserve the ids {SUBORDINATE} in {' and '.join(layout.subordinate_ids)}",
            ),
        ]
        if lacking.packages:
            actions.append(Run(packages.update_argv()))
            actions.append(Run(packages.install_argv(lacking.packages)))
        both, manager = sysbox.both(layout), services.manager(host)
        actions += [WriteFile(path, text) for path, text in manager.files(both).items()]
        actions += map(Run, manager.enable(both))
        return actions


def _old_units(host: Machine) -> list[WriteFile]:
    """Return the units that are not this version's, as they are to be."""
    wanted = services.manager(host).files(sysbox.both(host.layout))
    return [WriteFile(path, text) for path, text in wanted.items() if files.read(path) != text]


def _can_end(host: Machine) -> bool:
    """Whether the daemons can be ended: no box loses anything."""
    return sysbox.users(host) == []


def _users(host: Machine) -> str:
    """Return who keeps the daemons from being ended."""
    users = sysbox.users(host)
    return "boxes run whose engine does not answer" if users is None else f"{', '.join(users)} run"


def _start(host: Machine) -> Do:
    def start(progress: Progress) -> None:
        progress("starting sysbox-mgr and sysbox-fs", None)
        sysbox.start(host)

    manager = services.manager(host)
    details = tuple(
        line for daemon in sysbox.both(host.layout) for line in manager.start_shown(daemon)
    )
    return Do("start sysbox-mgr and sysbox-fs, and wait until they are ready", start, details)


def _end(host: Machine) -> Do:
    """Return the end of both, if no box has begun to run meanwhile."""

    def end(progress: Progress) -> None:
        if not _can_end(host):
            raise ContainAIError(
                f"Sysbox's daemons are not ended while {_users(host)}",
                hint=f"stop them (cai stop), then: {_MEND}",
            )
        sysbox.stop(host)

    manager = services.manager(host)
    both = reversed(sysbox.both(host.layout))
    details = tuple(line for daemon in both for line in manager.stop_shown(daemon))
    return Do("end sysbox-mgr and sysbox-fs, and wait until they have ended", end, details)


def _unpack_argv(layout: Layout, pin: Pin) -> list[str]:
    package = os.path.join(layout.downloads, pin.name)
    return scripts.argv(f"{_HERE}/unpack-sysbox.sh", package, layout.sysbox_dir, pin.sha256)


def unpack(host: Machine, pin: Pin) -> None:
    """Put the programs of a fetched package in their place, whole or not at all.

    Raises NoSpaceError, or DownloadError where the package is not what it should be.
    """
    layout = host.layout
    try:
        host.run(_unpack_argv(layout, pin), root=True)
    except proc.ProcessError as failed:
        said = failed.done.err.strip()
        if "no space left" in said.lower():
            where = os.path.dirname(layout.sysbox_dir)
            raise NoSpaceError(f"no space left in {where}", hint="free some there") from None
        package = os.path.join(layout.downloads, pin.name)
        raise DownloadError(f"{package} cannot be unpacked: {said}") from None
