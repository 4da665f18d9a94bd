"""Does the same with all boxes of a user: one that fails is named, the others have their turn."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from containai.boxes.target import Target
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.app import App
    from containai.boxes.box import Box


class Outcome(NamedTuple):
    """The names of the boxes with which it worked, and what was said of the others."""

    names: list[str]
    failures: list[ContainAIError]

    @property
    def code(self) -> int:
        """The exit code: that of the first failure."""
        return self.failures[0].exit_code if self.failures else 0


def own(app: "App", target: Target) -> "list[Box]":
    """Return all boxes of the user; none, and nothing started, on a bare machine.

    Raises UsageError for a target, as all are meant.
    """
    from containai.boxes import locate

    if target != Target():
        raise UsageError("--all is for every box of yours", hint="leave out PATH and --name")
    return locate.listed(app.engine)


def with_each(
    app: "App", boxes: "list[Box]", act: "Callable[[Box], object]", doing: str = ""
) -> Outcome:
    """Do something with each box. `doing` is what is said of it: "stopping"."""
    outcome = Outcome([], [])
    for box in boxes:
        if doing:
            app.ui.say(f"{doing} the box {box.name}")
        try:
            act(box)
        except ContainAIError as failed:
            outcome.failures.append(failed)
        else:
            outcome.names.append(box.name)
    return outcome
