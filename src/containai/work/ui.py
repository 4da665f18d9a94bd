"""How long work speaks to whoever waits for it."""

from collections.abc import Callable
from typing import Protocol

#: (what is being done, how far it is: 0 to 1, or None where nobody knows)
Progress = Callable[[str, float | None], None]


class Ui(Protocol):
    """Who waits: a person at a terminal, a log, or a test."""

    def say(self, text: str) -> None:
        """Say what is being done now."""

    def step(self, title: str, number: int, count: int) -> Progress:
        """Begin a step, one of so many; return what is to be called with its news."""
        ...

    def tell(self, text: str) -> None:
        """Show a text that stays: whole lines."""

    def ask(self, question: str, *, beforehand: bool = True) -> bool:
        """Return whether the user agrees: now, or `beforehand` to everything."""
        ...
