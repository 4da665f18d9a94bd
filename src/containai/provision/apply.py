"""Going through steps: look at each, plan what is wrong, make it right and look again."""

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from containai.errors import ContainAIError, DamagedError, PrivilegeError
from containai.host import proc, sudo
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.provision import record
from containai.provision.step import AnyStep
from containai.work.actions import Finding, Plan, State, unknown
from containai.work.ui import Progress

#: How many steps are looked at at once.
AT_ONCE = 8


class Row(NamedTuple):
    """A step and what its check found; `error` where it is nothing that a plan can mend."""

    step: AnyStep
    finding: Finding[Any]
    error: ContainAIError | None = None


def quick(steps: Iterable[AnyStep]) -> list[AnyStep]:
    """Return the steps whose checks are made without being asked for."""
    return [step for step in steps if not step.slow]


def examine(host: Machine, steps: Iterable[AnyStep]) -> list[Row]:
    """Check every step, also after one that fails; several at once, as most wait for programs."""
    wanted = list(steps)
    if not _asks_nothing(host):
        return [look(host, step) for step in wanted]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda step: look(host, step), wanted))


def _asks_nothing(host: Machine) -> bool:
    """Whether sudo asks for no password, which it would in each of several threads."""
    if host.is_root():
        return True
    try:
        return sudo.asks_nothing(host.run)
    except ContainAIError:
        return False


def look(host: Machine, step: AnyStep) -> Row:
    """Check a step. Whatever its check raises is what was seen, or why nothing could be."""
    try:
        return Row(step, step.check(host))
    except (PrivilegeError, proc.ProcessError) as error:
        return Row(step, unknown(f"not looked at: {error}", hint=error.hint), error)
    except ContainAIError as error:
        return Row(step, Finding(False, str(error), hint=error.hint), error)
    except Exception as error:
        # Of a file that nobody expected, of a fault of ours: the other checks are made.
        seen = f"not looked at: {_unexpected(error)}"
        failed = ContainAIError(f"{step.title}: {seen}", hint=_REPORT)
        return Row(step, unknown(seen, hint=_REPORT), failed)


_REPORT = "a fault of cai: report it with what cai doctor --report FILE writes"


def _unexpected(error: Exception) -> str:
    """Return an error that nobody expected, and where it was."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    return f"{said} ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"


def refuse(rows: Sequence[Row]) -> None:
    """Raise the first error of a check that no plan can mend, before anything is changed."""
    plans = any(not row.finding.ok and row.error is None for row in rows)
    for row in rows:
        # A damaged file is put out of the way by the first step; what stays so, stops its own.
        if row.error is not None and not (plans and isinstance(row.error, DamagedError)):
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
            row = Row(step, step.check(host))
            if row.finding.ok:
                continue
            wanted = plan_of(host, step, row.finding)
            # What cannot be looked at, and has no plan, is left as it is.
            if wanted.actions or not row.finding.is_unknown:
                make_right(host, row, wanted, progress_of(step.title, number, len(steps)))


def make_right(host: Machine, row: Row, wanted: Plan, progress: Progress) -> None:
    """Carry out the plan for what was found just before, and check again.

    Raises ContainAIError where the step is wrong even then, unless it is optional.
    """
    step, before, _ = row
    try:
        for action in wanted.actions:
            progress(action.brief(), None)
            perform(host, action, progress)
    except ContainAIError as failed:
        if not before.optional:
            raise
        progress(f"going on without: {failed}", None)
    after = step.check(host)
    if not (after.ok or after.optional):
        raise ContainAIError(
            f"{step.title} is still not right: {after.seen}", hint=after.hint or "run: cai doctor"
        )


def table(rows: Iterable[Row], *, missing: str = "wrong") -> str:
    """Return what was checked and seen, a line each."""
    return "".join(
        shown(row.step.title, row.finding, row.step.means, missing=missing) for row in rows
    )


def shown(title: str, finding: Finding[Any], means: str, *, missing: str = "wrong") -> str:
    """Return what was seen of one thing, and what it means and asks for where it is not right."""
    state = finding.state
    mark = missing if state is State.WRONG else state.value
    lines = [f"{mark:7}  {title}: {finding.seen}"]
    if mark == State.WRONG and means:
        lines.append(f"         means: {means.replace('`', '')}")
    if finding.hint:
        lines.append(f"         hint: {finding.hint}")
    return "".join(line + "\n" for line in lines)
