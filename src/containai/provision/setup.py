"""Setup: look at every step, show what is missing, ask once, and make it right."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.layout import Layout
from containai.provision import record
from containai.provision.step import Action, Finding, Progress, Step


class Row(NamedTuple):
    """A step and what its check found; `error` where it is nothing that a plan can mend."""

    step: Step
    finding: Finding
    error: ContainAIError | None = None


def examine(layout: Layout, steps: Sequence[Step]) -> list[Row]:
    """Check every step, also after one that fails."""
    return [_row(layout, step) for step in steps]


def _row(layout: Layout, step: Step) -> Row:
    try:
        return Row(step, step.check(layout))
    except ContainAIError as error:
        return Row(step, Finding(False, str(error), hint=error.hint), error)


def refuse(rows: Sequence[Row]) -> None:
    """Raise the first error of a check that no plan can mend, before anything is changed."""
    for row in rows:
        if row.error is not None:
            raise row.error


def plan(layout: Layout, rows: Sequence[Row]) -> list[tuple[Step, list[Action]]]:
    """Return the actions of every step that is not right, as things are now."""
    return [(row.step, row.step.plan(layout)) for row in rows if not row.finding.ok]


def apply(
    layout: Layout, steps: Sequence[Step], progress_of: Callable[[str, int, int], Progress]
) -> None:
    """Make every step right, in order, and check each one again.

    `progress_of` gets a step's title, its number and how many there are. Every action is whole or
    not at all, and a step looks at what is there: after an interruption the next run goes on.
    Raises ContainAIError where a step is still wrong after its plan.
    """
    with record.of_packages(layout):
        for number, step in enumerate(steps, 1):
            before = step.check(layout)
            if not before.ok:
                _make_right(layout, step, before, progress_of(step.title, number, len(steps)))


def _make_right(layout: Layout, step: Step, before: Finding, progress: Progress) -> None:
    try:
        for action in step.plan(layout):
            action.apply(progress)
    except ContainAIError as failed:
        if not before.optional:
            raise
        progress(f"going on without: {failed}", None)
    after = step.check(layout)
    if not after.passes:
        raise ContainAIError(
            f"{step.title} is still not right: {after.seen}", hint=after.hint or "run: cai doctor"
        )
