"""Doctor: what is looked at, and mending what is not as it should be."""

from collections.abc import Sequence
from typing import NamedTuple

from containai.app import App
from containai.boxes.target import Target
from containai.config.settings import Settings
from containai.engine import configuration, daemon
from containai.errors import BoxNotFoundError, ContainAIError, DamagedError, EngineError
from containai.flows import whereabouts
from containai.flows.alone import one_at_a_time
from containai.host.machine import Machine
from containai.provision import apply, record, steps
from containai.provision.step import AnyStep, Choices
from containai.work.actions import Plan, agreement
from containai.work.ui import Ui


def of_machine(app: App, *, every: bool, to_mend: bool) -> list[AnyStep]:
    """Return what is looked at; with `every`, what takes long too.

    Settings that cannot be read are one finding of many, and all else is as if they said nothing;
    `to_mend` raises for them: nobody knows what they want. A file that is damaged is moved aside.
    """
    try:
        choices = Choices(app.settings)
    except DamagedError as error:
        choices = Choices(app.settle(), unread=error)
    except ContainAIError as error:
        if to_mend:
            raise
        app.settings = Settings()
        choices = Choices(app.settings, unread=error)
    wanted = steps.checks(app.host, choices)
    return wanted if every else apply.quick(wanted)


def of_box(app: App, target: Target) -> tuple[str, list[AnyStep]]:
    """Return the name of the box that is meant, and what is looked at of it: all of it.

    Nothing is started for it. Raises EngineError where the engine does not answer, and
    BoxNotFoundError where there is no such.
    """
    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away_doctor

        return entry.name, away_doctor.steps(app, entry)
    if configuration.read(app.layout) is None:
        raise BoxNotFoundError(
            "this machine is not set up, so there is no box", hint="make one: cai run"
        )
    if not daemon.answering(app.host):
        raise EngineError(
            "the engine does not answer: nothing can be seen of a box",
            hint="see why: cai doctor; mend it: cai doctor --fix",
        )
    from containai.boxes import locate  # and what it needs: only where a box is named

    box = locate.found(app.engine, target)
    return box.name, steps.checks_of_box(box)


class Proposal(NamedTuple):
    """What would be done about a row, and what it stops or removes.

    Nothing is done where `error` says why.
    """

    row: apply.Row
    plan: Plan
    interrupts: str = ""
    error: ContainAIError | None = None


def proposed(host: Machine, row: apply.Row) -> Proposal | None:
    """Return what would be done about a row.

    None where it is right, could not be looked at, or is only wanted and nothing of ours helps.
    """
    step, finding, error = row
    if finding.ok or finding.is_unknown:
        return None
    plan = Plan(step.title, ())
    if error is None:
        try:
            plan = apply.plan_of(host, step, finding)
        except ContainAIError as failed:
            error = failed
        else:
            if finding.optional and not plan.actions:
                return None
            error = None if plan.actions else _beyond(row)
    harmless = finding.is_harmless or not plan.actions
    return Proposal(row, plan, "" if harmless else step.interrupts, error)


def _beyond(row: apply.Row) -> ContainAIError:
    """Return the error for what no plan mends: somebody has to do what it says."""
    said = f"{row.step.title} cannot be mended by cai: {row.finding.seen}"
    return ContainAIError(said, hint=row.finding.hint or row.step.otherwise)


def preview(host: Machine, wanted: Sequence[AnyStep]) -> tuple[list[apply.Row], list[Proposal]]:
    """Return how everything is and what `fix` would do as things are now; change nothing."""
    rows = apply.examine(host, wanted)
    return rows, [one for one in (proposed(host, row) for row in rows) if one is not None]


class Mended(NamedTuple):
    """A step that was wrong, and why it still is; None where it is right now."""

    title: str
    error: ContainAIError | None = None


def fix(host: Machine, wanted: Sequence[AnyStep], ui: Ui) -> list[Mended]:
    """Make right what is wrong, saying what is done; go on after what cannot be.

    What would stop or remove something is asked about. What could not be looked at is left as it
    is: nobody knows what is wrong with it. Every action is whole or not at all, and every step
    looks at what is there: after an interruption the next run goes on.
    """
    mended = []
    for step in wanted:
        # Only now, as what mended one before may have broken or mended this one too.
        proposal = proposed(host, apply.look(host, step))
        if proposal is None:
            continue
        try:
            _mend(host, proposal, ui)
            mended.append(Mended(step.title))
        except ContainAIError as failed:
            hint = f"  hint: {failed.hint}\n" if failed.hint else ""
            ui.tell(f"cai: {failed}\n{hint}")
            mended.append(Mended(step.title, failed))
    return mended


def _mend(host: Machine, proposal: Proposal, ui: Ui) -> None:
    row, plan, interrupts, error = proposal
    if error is not None:
        raise error
    ui.tell(agreement([plan]))
    if interrupts and not ui.ask(f"{row.step.title}: this {interrupts}. Do it?"):
        raise ContainAIError(
            f"{row.step.title} is left as it is: mending it {interrupts}",
            hint="agree to it: cai doctor --fix --yes",
        )
    with one_at_a_time(host), record.of_packages(host):
        apply.make_right(host, row, plan, ui.step(row.step.title, 1, 1))
