"""Who answers on the terminal: what flows say, show and ask, and what was agreed to beforehand."""

import sys

from containai.cli.progress import Display
from containai.flows import setup
from containai.layout import Layout
from containai.provision import steps
from containai.provision.step import Choices


class Terminal(Display):
    """A Ui. `agreed`: to everything that would be asked."""

    def __init__(self, *, agreed: bool = False) -> None:
        super().__init__()
        self._agreed = agreed

    def ask(self, question: str) -> bool:
        """Whether the user agrees, now or beforehand."""
        return self._agreed or ask(question)

    def tell(self, text: str) -> None:
        """Show whole lines, below what is being done."""
        self.pause()
        sys.stderr.write(text)


def set_up(layout: Layout, choices: Choices, *, agreed: bool) -> bool:
    """Set this machine up; return whether anything had to be done.

    Raises NotSetUpError where nobody agreed.
    """
    with Terminal(agreed=agreed) as terminal:
        return setup.set_up(layout, steps.steps(choices), terminal)


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
