"""What is being done and how far it is, on stderr: a live line on a terminal, else plain lines."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from containai.work.ui import Progress

#: Without a terminal, at most one line in so many seconds, so that a log stays readable.
QUIET_SECONDS = 3.0


class Display:
    """A progress display. Nothing is shown until there is something to say."""

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None
        self._last_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pause()

    def pause(self) -> None:
        """Show nothing until there is something to say again."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Say what is being done now."""
        if sys.stderr.isatty():
            self._show(text, None)
        else:
            self._print(text)

    def step(self, title: str, number: int, count: int) -> "Progress":
        """Begin a step; return what is to be called with its news."""
        heading = f"[{number}/{count}] {title}"
        self.say(heading)

        def progress(text: str, fraction: float | None) -> None:
            if sys.stderr.isatty():
                self._show(f"{heading}: {text}", fraction)
            elif text and time.monotonic() - self._last_line > QUIET_SECONDS:
                part = "" if fraction is None else f"{fraction:4.0%} "
                self._print(f"{heading}: {part}{text}")

        return progress

    def _print(self, text: str) -> None:
        self._last_line = time.monotonic()
        sys.stderr.write(f"cai: {text}\n")
        sys.stderr.flush()

    def _show(self, text: str, fraction: float | None) -> None:
        if self._live is None:
            self._begin()
        from rich.markup import escape

        description = escape(text.replace("\t", " ")[:200])
        if fraction is None:
            self._live.update(self._task, description=description)
        else:
            self._live.update(self._task, description=description, completed=fraction, total=1.0)

    def _begin(self) -> None:
        from rich.console import Console
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
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._live.add_task("", total=None)
        self._live.start()
