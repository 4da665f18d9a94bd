"""Setup: look at every step, show what is missing, ask once, and make it right."""

from collections.abc import Sequence

from containai.errors import NotSetUpError
from containai.flows.alone import one_at_a_time
from containai.host.machine import Machine
from containai.provision import apply
from containai.provision.step import AnyStep
from containai.work.actions import Plan, agreement
from containai.work.ui import Ui


def preview(host: Machine, steps: Sequence[AnyStep]) -> list[Plan]:
    """Return what setup would do, and change nothing.

    Raises ContainAIError for what no plan can mend.
    """
    rows = apply.examine(host, steps)
    apply.refuse(rows)
    return apply.plan(host, rows)


def set_up(host: Machine, steps: Sequence[AnyStep], ui: Ui) -> bool:
    """Set this machine up, if the user agrees; return whether anything had to be done.

    Raises NotSetUpError where nobody agreed.
    """
    ui.say("looking at this machine")
    rows = apply.examine(host, steps)
    apply.refuse(rows)
    if not any(_is_to_do(host, row) for row in rows):
        return False
    wanted = apply.table(rows, missing="missing")
    ui.tell(f"ContainAI needs this on your machine:\n{wanted}")
    ui.tell(agreement(apply.plan(host, rows)))
    if not ui.ask("Do it now?"):
        raise NotSetUpError(
            "this machine is not set up, and nothing was changed",
            hint="run: cai setup --yes",
        )
    with one_at_a_time(host):
        # Every step is looked at again: somebody may have taken long to answer, and only from now
        # on does nobody else change what is seen.
        apply.apply(host, steps, ui.step)
    return True


def _is_to_do(host: Machine, row: apply.Row) -> bool:
    """Whether a step is wrong, or cannot be looked at yet and has a plan."""
    if not row.finding.is_unknown:
        return not row.finding.ok
    return bool(apply.plan_of(host, row.step, row.finding).actions)
