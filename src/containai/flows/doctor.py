"""Doctor: mending what is not as it should be. What is, says provision.apply.examine."""

from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.flows.alone import one_at_a_time
from containai.host.machine import Machine
from containai.provision import apply, record
from containai.provision.step import AnyStep
from containai.work.actions import agreement
from containai.work.ui import Ui


class Mended(NamedTuple):
    """A step that was wrong, and why it still is; None where it is right now."""

    title: str
    error: ContainAIError | None = None


def fix(host: Machine, steps: Sequence[AnyStep], ui: Ui) -> list[Mended]:
    """Make right what is wrong, saying what is done; go on after what cannot be."""
    mended = []
    for step in steps:
        try:
            # Only now, as what mended one before may have broken or mended this one too.
            finding = step.check(host)
            if not finding.ok:
                _mend(host, apply.Row(step, finding), ui)
                mended.append(Mended(step.title))
        except ContainAIError as failed:
            hint = f"  hint: {failed.hint}\n" if failed.hint else ""
            ui.tell(f"cai: {failed}\n{hint}")
            mended.append(Mended(step.title, failed))
    return mended


def _mend(host: Machine, row: apply.Row, ui: Ui) -> None:
    wanted = apply.plan_of(host, row.step, row.finding)
    ui.tell(agreement([wanted]))
    with one_at_a_time(host), record.of_packages(host):
        apply.make_right(host, row, wanted, ui.step(row.step.title, 1, 1))
