"""The user at a terminal, or a log: a live line of what is being done, else plain lines."""

import time
from typing import TYPE_CHECKING, Any

from containai.cli import loudness
from containai.cli.output import Output, printable
from containai.cli.report import Note

if TYPE_CHECKING:
    from containai.work.ui import Progress

#: Without a terminal, at most one line in so many seconds, so that a log stays readable.
QUIET_SECONDS = 3.0


class Terminal:
    """A Ui. Nothing is shown until there is something to say."""

    def __init__(self, output: Output, *, agreed: bool = False) -> None:
        """`agreed` says that the user agreed beforehand to everything that would be asked."""
        self._output = output
        self._agreed = agreed
        self._live: Any = None
        self._task: Any = None
        self._last_line = 0.0
        #: What was not shown, and is before somebody agrees to something.
        self._untold: list[str] = []

    def close(self) -> None:
        """Take the live line away: something else is about to be written."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Say what is being done now."""
        if self._is_quiet:
            return
        if self._output.is_live:
            self._show(text, None)
        else:
            self._print(text)

    @property
    def _is_quiet(self) -> bool:
        return self._output.loudness == loudness.QUIET

    def step(self, title: str, number: int, count: int) -> "Progress":
        """Begin a step; return what is to be called with its news."""
        heading = f"[{number}/{count}] {title}"
        self.say(heading)

        def progress(text: str, fraction: float | None) -> None:
            if self._is_quiet:
                return
            now = time.monotonic() - self._last_line > QUIET_SECONDS
            if self._output.is_live:
                self._show(f"{heading}: {text}", fraction)
            elif text and (now or self._output.loudness > loudness.NORMAL):
                part = "" if fraction is None else f"{fraction:4.0%} "
                self._print(f"{heading}: {part}{text}")

        return progress

    def tell(self, text: str) -> None:
        """Show a text that stays."""
        self.close()
        if self._is_quiet:
            self._untold.append(text)
        else:
            self._output.tell(text)

    def ask(self, question: str, *, beforehand: bool = True) -> bool:
        """Return whether the user agrees."""
        self.close()
        if beforehand and self._agreed:
            return True
        for text in self._untold:
            self._output.tell(text)
        self._untold.clear()
        return self._output.ask(question)

    def _print(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._output.note(Note(text))
        self._output.flush()

    def _show(self, text: str, fraction: float | None) -> None:
        if self._live is None:
            self._begin()
        from rich.markup import escape

        description = escape(printable(text)[:200])
        if fraction is None:
            self._live.update(self._task, description=description)
        else:
            self._live.update(self._task, description=description, completed=fraction, total=1.0)

    def _begin(self) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        self._live = Bar(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn(
                "{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
            console=self._output.console(),
            transient=True,
        )
        self._task = self._live.add_task("", total=None)
        self._live.start()
