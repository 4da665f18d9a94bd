"""What doctor looks at of a box on a remote place: what that says of it, and what the box says.

Nothing of it is mended here: each has what there is to do beside it.
"""

import os
import threading
from typing import Any

from containai.app import App
from containai.away.limits import PROCESSES
from containai.away.place import Place
from containai.away.record import Entry
from containai.boxes import inside
from containai.boxes.box import Box, Status
from containai.boxes.inside import Inside
from containai.boxes.limits import size
from containai.errors import RemoteError
from containai.flows import away
from containai.host import files
from containai.host.machine import Machine
from containai.provision.step import AnyStep, Area, Fact
from containai.provision.steps.inside import (
    Asked,
    Booted,
    BoxSpace,
    HostKeys,
    InnerDocker,
    LetIn,
    Units,
)
from containai.provision.steps.one_box import NEAR
from containai.ssh import session
from containai.work.actions import Action, Finding


def steps(app: App, entry: Entry) -> list[AnyStep]:
    """Return what is looked at of a box. Its place is asked by the first of them."""
    there = _There(app, entry)
    asked = _Asked(there)
    return [
        Standing(there),
        Workspace(there),
        Block(there),
        Use(there),
        Boots(asked),
        KeyLetIn(asked),
        PinnedKey(asked),
        Units(asked),
        InnerDocker(asked),
        BoxSpace(asked),
    ]


class _There:
    """A box on a place."""

    def __init__(self, app: App, entry: Entry) -> None:
        self.app, self.entry = app, entry

    @property
    def place(self) -> Place:
        """The place. Raises UsageError where nobody has added it."""
        return self.app.place(self.entry.place)


class _OfBox(Fact):
    """A look at one box."""

    area = Area.BOXES
    holds = otherwise = looks = ""

    def __init__(self, there: _There) -> None:
        self.there, self.entry = there, there.entry


class Standing(_OfBox):
    """What its place has of it."""

    title = "state"
    means = "it cannot be entered"

    def check(self, host: Machine) -> Finding[None]:
        """Ask the place."""
        entry = self.entry
        seen = self.there.app.away(entry.place).find(entry)
        if seen is None:
            hint = f"forget it: cai rm --name {entry.name}; or have it anew: cai run"
            return Finding(False, f"it is gone from {entry.place}", hint=hint)
        where = f"{entry.place}/{seen.node}" if seen.node else entry.place
        text = f"{seen.status}, {entry.name}, on {where}, of {seen.image or 'an unknown image'}"
        if seen.problem:
            return Finding(False, f"{text}: {seen.problem}", hint="see: cai remote doctor")
        if not seen.is_whole:
            hint = "end it: cai run"
            return Finding(False, f"{text}: what made it was interrupted", hint=hint)
        return Finding(True, text)


class Workspace(_OfBox):
    """Where its work came from."""

    title = "workspace"
    means = "work comes neither out nor back"

    def check(self, host: Machine) -> Finding[None]:
        """Look whether it is there."""
        path = self.entry.workspace
        if os.path.isdir(path):
            return Finding(True, path)
        return Finding(False, f"{path} is gone", hint="bring it back, or: cai rm")


class Block(_OfBox):
    """What ssh has of it."""

    area = Area.SSH
    title = "host block"
    means = "plain `ssh` does not find it"

    def check(self, host: Machine) -> Finding[None]:
        """Read its file."""
        path = host.layout.ssh_block(self.entry.name)
        if session.place_of(host.layout, self.entry.name) == self.entry.place:
            return Finding(True, path)
        wrong = "does not lead to its place" if files.read(path) is not None else "is not there"
        return Finding(False, f"{path} {wrong}", hint=f"cai run --name {self.entry.name} -- true")


class Use(_OfBox):
    """What it uses of its limits."""

    title = "limits"
    means = "what it starts next is ended, or does not start"

    def check(self, host: Machine) -> Finding[None]:
        """Compare what its place counts with its limits."""
        seen = self.there.app.away(self.entry.place).find(self.entry)
        if seen is None or seen.status is not Status.RUNNING:
            return Finding(True, "it does not run")
        use, most = self.there.place.use(self.entry.instance), dict(seen.limits)
        limit = most.get(PROCESSES, "")
        parts = {
            "memory": (use.memory, use.memory_total),
            "processes": (use.processes, int(limit) if limit.isdecimal() else 0),
            "disk": (use.disk, use.disk_total),
        }
        text = ", ".join(f"{what} {_amount(what, *each)}" for what, each in parts.items())
        near = [what for what, (used, whole) in parts.items() if whole and used > NEAR * whole]
        if not near:
            return Finding(True, text)
        more = {"memory": "--memory SIZE", "processes": "--pids NUMBER"}
        flags = " ".join(more[what] for what in near if what in more)
        give = f"give it more: cai limit --name {self.entry.name} {flags}; or " if flags else ""
        hint = f"{give}see what it runs: cai status --name {self.entry.name}"
        return Finding(False, text, hint=hint)


def _amount(what: str, used: int, most: int) -> str:
    def shown(count: int) -> str:
        return str(count) if what == "processes" else size(count)

    return f"{shown(used)} of {shown(most)}" if most else shown(used)


class _Asked(Asked):
    """What the box says, asked as its root through its place; once for all checks at a time."""

    def __init__(self, there: _There) -> None:
        super().__init__(there.entry.name)
        self._one = threading.Lock()
        self._there = there
        self._answer: list[Inside] | None = None

    def forget(self) -> None:
        """Ask again."""
        self._answer = None

    def answers(self, host: Machine) -> list[tuple[Box, Inside]] | None:
        """Return what it says, and nothing where it does not run."""
        with self._one:
            if self._answer is None:
                self._answer = self._asked()
            box = away.as_box(self._there.app, self._there.entry)
            return [(box, said) for said in self._answer]

    def _asked(self) -> list[Inside]:
        entry, app = self._there.entry, self._there.app
        seen = app.away(entry.place).find(entry)
        if seen is None or seen.status is not Status.RUNNING:
            return []
        try:
            said = self._there.place.run(entry.instance, ("sh", "-c", inside.SCRIPT)).out
        except RemoteError:
            said = b""
        return [Inside.parse(said.decode("utf-8", errors="replace"))]


class Boots(Booted):
    """Nothing is mended in between: what it said just now counts."""

    anew = False


class PinnedKey(HostKeys):
    """Of a box elsewhere another key is believed by nobody: what is pinned was made here."""

    hint = "who has the server can change it: ask; or make it anew: cai run --fresh --name BOX"

    def plan(self, host: Machine, finding: Finding[Any]) -> list[Action]:
        """Nothing of ours would make it right."""
        return []


class KeyLetIn(LetIn):
    """Of a box elsewhere, entering it mends it."""

    def plan(self, host: Machine, finding: Finding[Any]) -> list[Action]:
        """Nothing of ours would make it right."""
        return []
