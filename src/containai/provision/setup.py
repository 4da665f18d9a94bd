"""Setup: look at every step, show what is missing, ask once, and make it right."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.layout import Layout
from containai.provision.step import Finding, Progress, Step


class Row(NamedTuple):
    """A step and what its check found."""

    step: Step
    finding: Finding


def examine(layout: Layout, steps: Sequence[Step]) -> list[Row]:
    """Check every step. Raises UnsupportedError where this machine cannot run boxes."""
    return [Row(step, step.check(layout)) for step in steps]


def dry_run(layout: Layout, steps: Sequence[Step]) -> list[str]:
    """Return what `apply` would do now, a line each."""
    lines = []
    for row in examine(layout, steps):
        if not row.finding.ok:
            lines += [action.describe() for action in row.step.plan(layout)]
    return lines


def apply(
    layout: Layout, steps: Sequence[Step], progress_of: Callable[[str, int, int], Progress]
) -> None:
    """Make every step right, in order, and check each one again.

    `progress_of` gets a step's title, its number and how many there are.
    Raises ContainAIError where a step is still wrong after its plan.
    """
    for number, step in enumerate(steps, 1):
        before = step.check(layout)
        if before.ok:
            continue
        progress = progress_of(step.title, number, len(steps))
        try:
            for action in step.plan(layout):
                action.apply(progress)
        except ContainAIError as failed:
            if not before.optional:
                raise
            progress(f"going on without: {failed}", None)
        after = step.check(layout)
        if not after.ok and not after.optional:
            raise ContainAIError(
                f"{step.title} is still not right: {after.seen}", hint="run: cai setup"
            )
