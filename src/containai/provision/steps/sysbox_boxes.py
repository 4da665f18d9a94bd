"""Boxes of Sysbox that its daemons, killed or started again, have left in a bad way."""

import json
import os
from typing import Any, NamedTuple

from containai.engine import daemon, runtimes, sysbox
from containai.engine.client import Engine
from containai.engine.container import State
from containai.errors import ContainAIError
from containai.host import locks
from containai.host.machine import Machine
from containai.machine_layout import SYSBOX_RUNC
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Do, Finding, unknown
from containai.work.ui import Progress

#: In which nothing runs, and nothing is about to.
_OFF = (State.CREATED, State.EXITED, State.DEAD)
#: Of an earlier version's cai-runc, which has no such command.
_HINT = "bring this machine up to date: cai setup"
#: How long to wait for somebody who does something else to a box, in seconds.
_PATIENCE = 120.0


class Shifted(NamedTuple):
    """A container that was left with ids of Sysbox's range, and where its files are."""

    container: str
    name: str
    paths: tuple[str, ...]


class SysboxBoxes(Described):
    """Boxes of Sysbox, and what the end of its daemons did to them."""

    area = Area.RUNTIME
    title = "Sysbox boxes"
    holds = (
        "no stopped box of Sysbox was left with ids of Sysbox's range by a power cut or a killed "
        "sysbox-mgr, and none runs without the sysbox-fs that it was started with"
    )
    otherwise = (
        "its files get their own ids, modes and capabilities back; one that runs without sysbox-fs "
        "is named: `cai restart --name NAME`"
    )
    looks = (
        "the ids of every file of stopped boxes, as root; whether boxes that run are older than "
        "sysbox-fs"
    )
    means = (
        "such a box does not start, or its sudo and its services do not work; in one without "
        "sysbox-fs, /proc fails and nothing can be run but over ssh"
    )

    def check(self, host: Machine) -> Finding[list[Shifted]]:
        """Look through the files of those that are stopped, as root; nothing of theirs is run."""
        layout = host.layout
        if runtimes.sysbox_program(layout) is None:
            return Finding(True, "none: Sysbox is not there")
        if not daemon.reachable(host):
            return unknown("the engine does not answer")
        every = [one for one in Engine(host).containers() if one.runtime == SYSBOX_RUNC]
        off = [_trees(host, one.id, one.name) for one in every if one.state in _OFF]
        shifted = [one for one in off if one.paths and _unshift(host, one, act=False)["changed"]]
        lost = sorted(one.name for one in every if one.running and sysbox.has_lost(host, one.pid))
        seen = []
        if shifted:
            names = ", ".join(one.name for one in shifted)
            seen.append(f"left half shifted by a Sysbox that was killed: {names}")
        if lost:
            seen.append(f"without /proc, as sysbox-fs was started anew: {', '.join(lost)}")
        if seen:
            hint = f"start it again: cai restart --name {lost[0]}" if lost else ""
            return Finding(False, "; ".join(seen), hint=hint, data=shifted)
        return Finding(True, f"{len(every)}, none of which lost anything by a Sysbox that ended")

    def plan(self, host: Machine, finding: Finding[list[Shifted]]) -> list[Action]:
        """Put their ids right, one box after the other."""
        return [_mend(host, one) for one in finding.data or ()]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Nothing of it is setup's."""
        return []


def _trees(host: Machine, container: str, name: str) -> Shifted:
    """Return where the files of a container are: its writable layer, and its volumes."""
    told: dict[str, Any] = Engine(host).inspect("container", container) or {}
    layer = ((told.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
    volumes = [
        mount.get("Source") for mount in told.get("Mounts") or () if mount.get("Type") == "volume"
    ]
    data = host.layout.engine_data
    inside = [
        # Sysbox's range is nowhere else; and a link on the way is refused.
        os.path.realpath(data) + path.removeprefix(data)
        for path in (layer, *volumes)
        if isinstance(path, str) and path.startswith(data + "/")
    ]
    return Shifted(container, name, tuple(inside))


def _unshift_argv(host: Machine, box: Shifted, *, act: bool) -> list[str]:
    first = map(str, sysbox.first_ids())
    options = [] if act else ["--dry-run"]
    program = host.layout.runtime_program
    return [program, "unshift", *options, *first, box.container, *box.paths]


def _unshift(host: Machine, box: Shifted, *, act: bool) -> dict[str, Any]:
    argv = _unshift_argv(host, box, act=act)
    done = host.run(argv, root=True, timeout=None, ok=None)
    if done.code:
        said = done.err.strip() or f"{argv[0]} ended with {done.code}"
        raise ContainAIError(f"the files of {box.name} cannot be looked at: {said}", hint=_HINT)
    told: dict[str, Any] = json.loads(done.out)
    return told


def _mend(host: Machine, box: Shifted) -> Do:
    def mend(progress: Progress) -> None:
        what = f"putting right the ids of {box.name}"
        with locks.hold(host, locks.of_box(box.name), wait=_PATIENCE, what=what):
            now = Engine(host).container(box.container)
            if now is None:
                return
            if now.state not in _OFF:
                raise ContainAIError(
                    f"{box.name} runs again, and its files are not touched meanwhile",
                    hint="stop it (cai stop), then: cai doctor --fix",
                )
            progress(what, None)
            told = _unshift(host, box, act=True)
        if told["problems"]:
            raise ContainAIError(
                f"not all files of {box.name} could be put right: {told['problems'][0]}"
            )

    shown = " ".join(_unshift_argv(host, box, act=True))
    return Do(f"give the files of {box.name} their own ids back", mend, (f"# {shown}",))
