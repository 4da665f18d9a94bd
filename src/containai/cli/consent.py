"""Setup as a conversation: what is missing, one question, and then the work."""

import sys

from containai.cli.progress import Display
from containai.errors import NotSetUpError
from containai.host import files
from containai.layout import Layout
from containai.provision import setup, steps
from containai.provision.step import Choices


def set_up(layout: Layout, choices: Choices, *, agreed: bool) -> bool:
    """Set this machine up; return whether anything had to be done.

    Raises NotSetUpError where nobody agreed.
    """
    wanted = steps.steps(choices)
    rows = setup.examine(layout, wanted)
    if all(row.finding.ok for row in rows):
        return False
    _show(rows)
    if not agreed and not _ask("Do it now?"):
        raise NotSetUpError(
            "this machine is not set up, and nothing was changed",
            hint="run: cai setup --yes",
        )
    lock = layout.state_dir + "/setup.lock"
    with files.lock(lock, wait=1800, what="setting this machine up"), Display() as display:
        setup.apply(layout, wanted, display.step)
    return True


def _show(rows: list[setup.Row]) -> None:
    sys.stderr.write("ContainAI needs this on your machine:\n")
    for row in rows:
        mark = "ok     " if row.finding.ok else "missing"
        sys.stderr.write(f"  {mark}  {row.step.title}: {row.finding.seen}\n")


def _ask(question: str) -> bool:
    """Ask on the terminal, also where stdin is none. No terminal is a no, and so is all but yes."""
    try:
        with open("/dev/tty", "r+", encoding="utf-8", errors="replace") as terminal:
            terminal.write(f"{question} [y/N] ")
            terminal.flush()
            return terminal.readline().strip().lower() in ("y", "yes")
    except OSError:
        return False
