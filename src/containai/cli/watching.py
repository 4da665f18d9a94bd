"""A report that is shown again and again: on a terminal in its place, for machines a line each."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from containai.cli.report import Report
from containai.errors import UsageError


def lines(out: TextIO, frames: Iterable[Report], plain: Callable[[Any], Any]) -> None:
    """Print the value of each as a line of JSON, until Ctrl-C."""
    try:
        for frame in frames:
            out.write(json.dumps(plain(frame.value)) + "\n")
            out.flush()
    except KeyboardInterrupt:
        pass


def live(out: TextIO, frames: Iterable[Report], rendered: Callable[[Report], str]) -> None:
    """Show each in place of the one before, until Ctrl-C; the last one stays.

    Raises UsageError where there is no terminal.
    """
    if not out.isatty():
        raise UsageError("--watch needs a terminal", hint="a line each time: --watch --json")
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(file=out), auto_refresh=False) as shown:
        try:
            for frame in frames:
                shown.update(Text.from_ansi(rendered(frame).rstrip("\n")), refresh=True)
        except KeyboardInterrupt:
            pass
