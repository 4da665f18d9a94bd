"""Doctor: mending what is not as it should be. What is, says provision.apply.examine."""

from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.flows.alone import one_at_a_time
from containai.layout import Layout
from containai.provision import apply, record
from containai.provision.step import AnyStep
from containai.work.actions import agreement
from containai.work.ui import Ui


class Mended(NamedTuple):
    """A step that was wrong, and why it still is; None where it is right now."""

    title: str
    error: ContainAIError | None = None


def fix(layout: Layout, steps: Sequence[AnyStep], ui: Ui) -> list[Mended]:
    """Make right what is wrong, saying what is done; go on after what cannot be."""
    mended = []
    for step in steps:
        try:
            # Only now, as what mended one before may have broken or mended this one too.
            finding = step.check(layout)
            if not finding.ok:
                _mend(layout, apply.Row(step, finding), ui)
                mended.append(Mended(step.title))
        except ContainAIError as failed:
            hint = f"  hint: {failed.hint}\n" if failed.hint else ""
            ui.tell(f"cai: {failed}\n{hint}")
            mended.append(Mended(step.title, failed))
    return mended


def _mend(layout: Layout, row: apply.Row, ui: Ui) -> None:
    wanted = apply.plan_of(layout, row.step, row.finding)
    ui.tell(agreement([wanted]))
    with one_at_a_time(layout), record.of_packages(layout):
        apply.make_right(layout, row, wanted, ui.step(row.step.title, 1, 1))
