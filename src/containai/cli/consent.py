"""Setup as a conversation: what is missing and what root would do, one question, the work."""

import os
import sys
from collections.abc import Iterable, Sequence

from containai.cli.progress import Display
from containai.errors import NotSetUpError
from containai.host import locks
from containai.layout import Layout
from containai.provision import setup, steps
from containai.provision.step import Action, Choices, Step, WriteFile


def set_up(layout: Layout, choices: Choices, *, agreed: bool) -> bool:
    """Set this machine up; return whether anything had to be done.

    Raises NotSetUpError where nobody agreed.
    """
    wanted = steps.steps(choices)
    rows = setup.examine(layout, wanted)
    setup.refuse(rows)
    if all(row.finding.ok for row in rows):
        return False
    planned = setup.plan(layout, rows)
    sys.stderr.write("ContainAI needs this on your machine:\n")
    sys.stderr.write(table(rows, missing="missing"))
    show_actions(actions for _, actions in planned)
    if not agreed and not ask("Do it now?"):
        raise NotSetUpError(
            "this machine is not set up, and nothing was changed",
            hint="run: cai setup --yes",
        )
    apply(layout, wanted)
    return True


def apply(layout: Layout, wanted: Sequence[Step]) -> None:
    """Make every step right, with a progress display; one at a time on this machine."""
    what = "setting this machine up"
    with (
        locks.hold(layout.lock_dir, locks.SETUP, wait=1800, what=what),
        Display() as display,
    ):
        setup.apply(layout, wanted, display.step)


def table(rows: Iterable[setup.Row], *, missing: str = "wrong") -> str:
    """Return what was checked and seen, a line each."""
    lines = []
    for row in rows:
        wrong = "none" if row.finding.optional else missing
        mark = "ok" if row.finding.ok else wrong
        lines.append(f"{mark:7}  {row.step.title}: {row.finding.seen}")
        if row.finding.hint:
            lines.append(f"         hint: {row.finding.hint}")
    return "".join(line + "\n" for line in lines)


def show_actions(planned: Iterable[Sequence[Action]]) -> None:
    """Say what would be done, a line each; a # is what root does."""
    sys.stderr.write("What will be done (# as root):\n")
    for actions in planned:
        writes = [action.path for action in actions if isinstance(action, WriteFile)]
        folded = len(writes) > 3
        if folded:
            where = os.path.commonpath(writes)
            sys.stderr.write(f"  # write {len(writes)} files below {where}\n")
        for action in actions:
            if not (folded and isinstance(action, WriteFile)):
                sys.stderr.write(f"  {action.brief()}\n")


def ask(question: str) -> bool:
    """Ask on the terminal, also where stdin is none. No terminal is a no, and so is all but yes."""
    try:
        # Twice, as Python opens nothing for both ways that it cannot seek in.
        with (
            open("/dev/tty", "w", encoding="utf-8") as asked,
            open("/dev/tty", encoding="utf-8", errors="replace") as answered,
        ):
            asked.write(f"{question} [y/N] ")
            asked.flush()
            return answered.readline().strip().lower() in ("y", "yes")
    except OSError:
        return False
