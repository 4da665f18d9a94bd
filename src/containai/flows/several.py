"""Does the same with all boxes of a user: one that fails is named, the others have their turn."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from containai.boxes.target import Target
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.app import App
    from containai.boxes.box import Box


class Named(Protocol):
    """A box, wherever it is."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


Each = TypeVar("Each", bound=Named)


class Outcome(NamedTuple):
    """The names of the boxes with which it worked, and what was said of the others."""

    names: list[str]
    failures: list[ContainAIError]

    def and_of(self, other: "Outcome") -> "Outcome":
        """Return this and another one."""
        return Outcome([*self.names, *other.names], [*self.failures, *other.failures])

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
    app: "App", boxes: Iterable[Each], act: Callable[[Each], object], doing: str = ""
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
