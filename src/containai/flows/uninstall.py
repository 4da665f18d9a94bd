"""Uninstall: every step's way back, from the last to the first."""

import contextlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import ContainAIError, DamagedError, NotSetUpError
from containai.flows.alone import one_at_a_time
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.layout import Layout
from containai.provision import record
from containai.provision.step import AnyStep, Scope
from containai.work.actions import Action, Plan, Run, agreement
from containai.work.ui import Progress, Ui


class Uninstalled(NamedTuple):
    """What was done: nothing where nothing was set up; and the packages that stay."""

    plan: Plan
    packages: list[str]


def uninstall(host: Machine, steps: Sequence[AnyStep], scope: Scope, ui: Ui) -> Uninstalled:
    """Take ContainAI off this machine, as far as the scope goes, if the user agrees.

    Raises NotSetUpError where nobody does, ContainAIError where something is in the way or stays.
    """
    layout = host.layout
    packages = brought(layout)
    wanted = plan(host, steps, scope)
    if wanted.actions:
        ui.tell(agreement([wanted]))
        if not ui.ask("Do it now?"):
            raise NotSetUpError("nothing was changed", hint="run: cai uninstall --yes")
        with one_at_a_time(host):
            apply(host, wanted.actions, ui.step("uninstall", 1, 1))
    return Uninstalled(wanted, packages)


def plan(host: Machine, steps: Sequence[AnyStep], scope: Scope) -> Plan:
    """Return what takes ContainAI off this machine, as far as the scope goes.

    Raises ContainAIError where something is in the way; nothing has been changed then.
    """
    actions: list[Action] = []
    for step in reversed(steps):
        # What a damaged file would say is done without; the rest goes all the same.
        with contextlib.suppress(DamagedError):
            actions += step.undo(host, scope)
    return Plan("uninstall", (*actions, *_state(host.layout, scope)))


def _state(layout: Layout, scope: Scope) -> list[Action]:
    if not scope.purge:
        return []
    left = [path for path in (os.path.dirname(layout.install_record),) if os.path.exists(path)]
    return [Run(["rm", "-rf", *left])] if left else []


def apply(host: Machine, actions: Sequence[Action], progress: Progress) -> None:
    """Do it all. What fails is said at the end: the rest goes on, so that a second run has less.

    Raises ContainAIError.
    """
    failed = []
    for action in actions:
        progress(action.brief(), None)
        try:
            perform(host, action, progress)
        except ContainAIError as error:
            failed.append(str(error))
    if failed:
        raise ContainAIError(
            "not everything could be taken away:\n  " + "\n  ".join(failed),
            hint="mend it and run cai uninstall again",
        )


def brought(layout: Layout) -> list[str]:
    """Return the packages that setup brought and that stay."""
    return [str(name) for name in record.read(layout).get(record.PACKAGES, ())]
