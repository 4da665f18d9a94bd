"""How boxes on remote places are: all of a user's at once, or one."""

import threading
from collections.abc import Collection
from typing import NamedTuple

from containai.app import App
from containai.away import places, record
from containai.away.limits import described
from containai.away.place import Seen, Use
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.errors import ContainAIError, RemoteError

#: How long a place may take to answer, in seconds: all are asked at once.
TIMEOUT = 8.0


class Away(NamedTuple):
    """A box on a remote place, as it is listed; `status` is "unknown" where nobody could say.

    `owner` is "" for the user's own.
    """

    name: str
    place: str
    node: str
    status: str
    workspace: str
    image: str = ""
    created: str = ""
    owner: str = ""
    problems: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The place, and the node where that is one of several."""
        return f"{self.place}/{self.node}" if self.node else self.place

    @property
    def value(self) -> dict[str, object]:
        """What a machine is told: the keys of a box of this machine that it has, and its own."""
        said = self._asdict()
        return {"name": said.pop("name"), "on": said.pop("place"), **said}


class Answer(NamedTuple):
    """What a place said: boxes, or why there is nothing."""

    place: str
    boxes: tuple[Away, ...]
    problem: str = ""
    hint: str = ""


def listed(
    app: App, *, everybodys: bool = False, on: str = "", timeout: float = TIMEOUT
) -> list[Answer]:
    """Return the boxes on all places, or `on` one. What cannot be had is said in its place."""
    known = record.every(app.layout)
    every = {*places.names(app.host), *(entry.place for entry in known.values())}
    names = [on] if on else sorted(every)
    asking = [_Asking(app, name, timeout) for name in names]
    for each in asking:
        each.join(timeout)
    own = {name: [each for each in known.values() if each.place == name] for name in names}
    return [_answered(each, own[each.place], everybodys=everybodys) for each in asking]


def silent(app: App, names: Collection[str]) -> dict[str, ContainAIError]:
    """Return the places of some that do not answer, each with why."""
    asking = [_Asking(app, name, TIMEOUT) for name in sorted(names)]
    for each in asking:
        each.join(TIMEOUT)
    return {
        each.place: each.failed or RemoteError(each.problem[0], hint=each.problem[1])
        for each in asking
        if each.seen is None
    }


class _Asking(threading.Thread):
    """A question to a place. That it does not end keeps nobody: no process waits for it."""

    def __init__(self, app: App, place: str, timeout: float) -> None:
        super().__init__(daemon=True)
        self.place = place
        self._app, self._timeout = app, timeout
        self.seen: list[Seen] | None = None
        self.owner = ""
        self.failed: ContainAIError | None = None
        self.problem: tuple[str, str] = (
            f"{place} did not answer within {timeout:g} s",
            "is its server up, and the way there? cai remote ls",
        )
        self.start()

    def run(self) -> None:
        """Ask."""
        try:
            there = self._app.place(self.place)
            self.owner = there.owner
            self.seen = there.every(timeout=self._timeout)
        except ContainAIError as wrong:
            self.failed, self.problem = wrong, (str(wrong), wrong.hint)
        except OSError as wrong:
            self.problem = f"{self.place}: {wrong}", ""


def _answered(asking: _Asking, known: list[Entry], *, everybodys: bool) -> Answer:
    seen = asking.seen
    if seen is None:
        boxes = [Away(each.name, each.place, "", "unknown", each.workspace) for each in known]
        return Answer(asking.place, tuple(boxes), *asking.problem)
    entries = {entry.instance: entry for entry in known}
    # Of one whose node is away, only its name is known there.
    own = [
        _shown(asking.place, each, entries.get(each.instance), is_own=each.owner == asking.owner)
        for each in seen
        if each.instance in entries or each.owner == asking.owner or (everybodys and each.owner)
    ]
    there = {each.instance for each in seen}
    gone = [
        Away(
            each.name, each.place, "", "broken", each.workspace,
            problems=(f"it is gone from {each.place}",),
        )
        for each in known
        if each.instance not in there
    ]  # fmt: skip
    return Answer(asking.place, tuple(sorted([*own, *gone])))


def _shown(place: str, seen: Seen, entry: Entry | None, *, is_own: bool) -> Away:
    name = entry.name if entry else seen.name or seen.instance
    return Away(
        name,
        place,
        seen.node,
        str(seen.status),
        entry.workspace if entry else seen.workspace,
        seen.image,
        seen.created,
        "" if is_own or entry else seen.host or "another",
        (seen.problem,) if seen.problem else (),
    )


class Looked(NamedTuple):
    """A box on a remote place, what it may use, and what it does use where it runs."""

    entry: Entry
    seen: Seen
    use: Use | None

    @property
    def limits(self) -> str:
        """What it may use, in a few words."""
        return described(dict(self.seen.limits))


def look(app: App, entry: Entry) -> Looked:
    """Return how a box is. Raises BoxNotFoundError, RemoteError."""
    boxes = app.away(entry.place)
    seen = boxes.existing(entry)
    runs = seen.status is Status.RUNNING
    return Looked(entry, seen, boxes.place.use(entry.instance) if runs else None)
