"""Going through steps: look at each, plan what is wrong, make it right and look again."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from containai.errors import ContainAIError
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.provision import record
from containai.provision.step import AnyStep
from containai.work.actions import Finding, Plan
from containai.work.ui import Progress


class Row(NamedTuple):
    """A step and what its check found; `error` where it is nothing that a plan can mend."""

    step: AnyStep
    finding: Finding[Any]
    error: ContainAIError | None = None


def examine(host: Machine, steps: Sequence[AnyStep]) -> list[Row]:
    """Check every step, also after one that fails."""
    return [_row(host, step) for step in steps]


def _row(host: Machine, step: AnyStep) -> Row:
    try:
        return Row(step, step.check(host))
    except ContainAIError as error:
        return Row(step, Finding(False, str(error), hint=error.hint), error)


def refuse(rows: Sequence[Row]) -> None:
    """Raise the first error of a check that no plan can mend, before anything is changed."""
    for row in rows:
        if row.error is not None:
            raise row.error


def plan(host: Machine, rows: Iterable[Row]) -> list[Plan]:
    """Return what would be done for every step that is not right, as things are now."""
    return [plan_of(host, row.step, row.finding) for row in rows if not row.finding.ok]


def plan_of(host: Machine, step: AnyStep, finding: Finding[Any]) -> Plan:
    """Return what would be done about what a step's check has just found."""
    return Plan(step.title, tuple(step.plan(host, finding)))


def apply(
    host: Machine, steps: Sequence[AnyStep], progress_of: Callable[[str, int, int], Progress]
) -> None:
    """Make every step right, in order: check it, and where it is wrong, plan, act and check again.

    Each is checked when it is its turn, as those before it change what it finds.
    `progress_of` gets a step's title, its number and how many there are. Every action is whole or
    not at all, and a step looks at what is there: after an interruption the next run goes on.
    Raises ContainAIError where a step is still wrong after its plan.
    """
    with record.of_packages(host):
        for number, step in enumerate(steps, 1):
            before = step.check(host)
            if not before.ok:
                progress = progress_of(step.title, number, len(steps))
                make_right(host, Row(step, before), plan_of(host, step, before), progress)


def make_right(host: Machine, row: Row, wanted: Plan, progress: Progress) -> None:
    """Carry out the plan for what was found just before, and check again.

    Raises ContainAIError where the step is wrong even then, unless it is optional.
    """
    step, before, _ = row
    try:
        for action in wanted.actions:
            perform(host, action, progress)
    except ContainAIError as failed:
        if not before.optional:
            raise
        progress(f"going on without: {failed}", None)
    after = step.check(host)
    if not after.passes:
        raise ContainAIError(
            f"{step.title} is still not right: {after.seen}", hint=after.hint or "run: cai doctor"
        )


def table(rows: Iterable[Row], *, missing: str = "wrong") -> str:
    """Return what was checked and seen, a line each."""
    lines = []
    for row in rows:
        wrong = "none" if row.finding.optional else missing
        mark = "ok" if row.finding.ok else wrong
        lines.append(f"{mark:7}  {row.step.title}: {row.finding.seen}")
        if row.finding.hint:
            lines.append(f"         hint: {row.finding.hint}")
    return "".join(line + "\n" for line in lines)
