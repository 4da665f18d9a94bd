"""Does the same with all boxes of a user: one that fails is named, the others have their turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.boxes.target import Target
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.app import App
    from containai.flows.placed import Placed


class Own(NamedTuple):
    """The boxes of a user, and why others could not be asked: an engine, a place each."""

    boxes: Sequence[Placed]
    unseen: Sequence[ContainAIError] = ()


class Outcome(NamedTuple):
    """The names of the boxes with which it worked, and what was said of the others."""

    names: list[str]
    failures: list[ContainAIError]

    @property
    def code(self) -> int:
        """The exit code: that of the first failure."""
        return self.failures[0].exit_code if self.failures else 0


def own(app: App, target: Target) -> Own:
    """Return all boxes of the user; none, and nothing started, on a bare machine.

    Raises UsageError for a target, as all are meant, and where no box at all can be dealt with,
    what is in the way.
    """
    from containai.flows import whereabouts

    if target != Target():
        raise UsageError("--all is for every box of yours", hint="leave out PATH and --name")
    boxes: list[Placed] = []
    unseen: list[ContainAIError] = []
    try:
        boxes += whereabouts.boxes_here(app)
    except ContainAIError as silent:
        unseen.append(silent)
    there = whereabouts.boxes_there(app)
    if there:
        from containai.flows import away_look

        # All are asked at once: one that is silent would be waited for with each of its boxes.
        silent_places = away_look.silent(app, {box.on for box in there})
        boxes += [box for box in there if box.on not in silent_places]
        unseen += silent_places.values()
    return _unless_none(Own(boxes, unseen))


def _unless_none(own: Own) -> Own:
    if own.unseen and not own.boxes:
        raise own.unseen[0]
    return own


def with_news(own: Own) -> tuple[Own, dict[str, str]]:
    """Return boxes that can go, and what of the work goes with them, by their names.

    Raises as `own`.
    """
    boxes, unseen, told = [], [*own.unseen], {}
    for box in own.boxes:
        try:
            news = box.lost()
        except ContainAIError as failed:
            unseen.append(failed)
            continue
        boxes.append(box)
        if news:
            told[box.name] = news
    return _unless_none(Own(boxes, unseen)), told


def with_each(app: App, own: Own, act: Callable[[Placed], object], doing: str = "") -> Outcome:
    """Do something with each box. `doing` is what is said of it: "stopping".

    What could not be asked is among the failures, at the end.
    """
    outcome = Outcome([], [])
    for box in own.boxes:
        if doing:
            app.ui.say(f"{doing} the box {box.name}")
        try:
            act(box)
        except ContainAIError as failed:
            outcome.failures.append(failed)
        else:
            outcome.names.append(box.name)
    outcome.failures.extend(own.unseen)
    return outcome
