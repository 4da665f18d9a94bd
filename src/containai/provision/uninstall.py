"""Uninstall: every step's way back, from the last to the first."""

import os
from collections.abc import Sequence

from containai.errors import ContainAIError
from containai.layout import Layout
from containai.provision import record
from containai.provision.step import Action, Progress, Run, Scope, Step


def plan(layout: Layout, steps: Sequence[Step], scope: Scope) -> list[Action]:
    """Return what takes ContainAI off this machine, as far as the scope goes.

    Raises ContainAIError where something is in the way; nothing has been changed then.
    """
    actions: list[Action] = []
    for step in reversed(steps):
        actions += step.undo(layout, scope)
    return actions + _state(layout, scope)


def _state(layout: Layout, scope: Scope) -> list[Action]:
    if not scope.purge:
        return []
    left = [path for path in (os.path.dirname(layout.install_record),) if os.path.exists(path)]
    return [Run(["rm", "-rf", *left])] if left else []


def apply(actions: Sequence[Action], progress: Progress) -> None:
    """Do it all. What fails is said at the end: the rest goes on, so that a second run has less.

    Raises ContainAIError.
    """
    failed = []
    for action in actions:
        progress(action.brief(), None)
        try:
            action.apply(progress)
        except ContainAIError as error:
            failed.append(str(error))
    if failed:
        raise ContainAIError(
            "not everything could be taken away:\n  " + "\n  ".join(failed),
            hint="mend it and run cai uninstall again",
        )


def packages(layout: Layout) -> list[str]:
    """Return the packages that setup brought and that stay."""
    return [str(name) for name in record.read(layout).get(record.PACKAGES, ())]
