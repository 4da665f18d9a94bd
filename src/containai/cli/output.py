"""The only writer: all that ContainAI prints goes through here, and steers no terminal.

What a box, an image, a label or a file name says is shown without control characters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from containai.cli import loudness
from containai.cli.report import Note, Report, Table
from containai.light import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

#: How a word is coloured that says how something is (SGR of ECMA-48: green, yellow, red).
_COLOURS = {
    "ok": 32, "running": 32,
    "none": 33, "unverified": 33, "paused": 33, "restarting": 33, "unfinished": 33,
    "wrong": 31, "missing": 31, "broken": 31, "found": 31,
}  # fmt: skip
_GAP = "  "


def printable(text: str, *, lines: bool = False) -> str:
    """Return a text in which nothing steers a terminal; `lines` leaves line feeds and tabs."""
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else "\ufffd" for c in text)


class Output:
    """The two streams of a command."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out, self._err = out, err
        #: How much is said: cli/loudness.py.
        self.loudness = loudness.NORMAL
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") in ("", "dumb")
        self._has_colours = not plain and out.isatty()

    def show(self, report: Report, *, as_json: bool = False) -> None:
        """Print a command's result, and its notes."""
        # Of a report that has both, people get the lines.
        if report.frames is not None and (as_json or report.follow is None):
            self._watch(report.frames, as_json=as_json)
            return
        if as_json:
            import json

            _write(self._out, json.dumps(_plain(report.value), indent=2) + "\n")
        else:
            for view in report.views:
                _write(self._out, self._rendered(view))
            if report.follow is not None:
                report.follow(self._line_as_it_comes)
        self._out.flush()
        # Those beside a failure say what failed.
        if self.loudness > loudness.QUIET or report.code:
            for note in report.notes:
                self.note(note)

    def _line_as_it_comes(self, text: str) -> None:
        _write(self._out, printable(text) + "\n")
        self._out.flush()

    def _watch(self, frames: Iterable[Report], *, as_json: bool) -> None:
        from containai.cli import watching

        if as_json:
            watching.lines(self._out, frames, _plain)
        else:
            watching.live(self._out, frames, self._whole)

    def _whole(self, report: Report) -> str:
        """Return a report and its notes as one text, in which nothing steers the terminal."""
        hints = [f"{note.text}\n  hint: {note.hint}\n" for note in report.notes]
        return "".join(self._rendered(view) for view in (*report.views, *hints))

    def note(self, note: Note) -> None:
        """Say something, and what to do about it, on stderr."""
        hint = f"  hint: {note.hint}\n" if note.hint else ""
        _write(self._err, printable(f"cai: {note.text}\n{hint}", lines=True))

    def command(self, text: str, seconds: float, code: int | None) -> None:
        """Say on stderr what was run, how long that took, and how it ended."""
        ended = "" if code is None else f", {code}"
        self.note(Note(f"{text} ({seconds:.3f} s{ended})"))
        self.flush()

    def tell(self, text: str) -> None:
        """Print a text on stderr as it is."""
        _write(self._err, printable(text, lines=True))
        self._err.flush()

    def flush(self) -> None:
        """Write what is buffered: the process is about to become another."""
        self._out.flush()
        self._err.flush()

    def ask(self, question: str) -> bool:
        """Ask on the terminal, also where stdin is none. No terminal is a no, so is all but yes."""
        try:
            # Twice, as Python opens nothing for both ways that it cannot seek in.
            with (
                open("/dev/tty", "w", encoding="utf-8") as asked,
                open("/dev/tty", encoding="utf-8", errors="replace") as answered,
            ):
                _write(asked, printable(f"{question} [y/N] "))
                asked.flush()
                return answered.readline().strip().lower() in ("y", "yes")
        except OSError:
            return False

    @property
    def is_live(self) -> bool:
        """Whether somebody looks at stderr who can be shown a line that changes, and wants that."""
        return self._err.isatty() and self.loudness == loudness.NORMAL

    def console(self) -> Any:
        """Return rich's console on stderr, for that line."""
        from rich.console import Console

        return Console(file=self._err)

    def _rendered(self, view: str | Table) -> str:
        if isinstance(view, str):
            return printable(view, lines=True)
        head = [view.head] if view.head else []
        rows = [[printable(cell) for cell in row] for row in (*head, *view.rows)]
        columns = zip(*(row[:-1] for row in rows), strict=True)
        widths = [max(map(_width, column)) for column in columns]
        return "".join(self._line(row, widths) for row in rows)

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = [
            self._coloured(cell) + " " * (width - _width(cell))
            for cell, width in zip(row[:-1], widths, strict=True)
        ]
        return _GAP.join([*cells, row[-1]]).rstrip() + "\n"

    def _coloured(self, cell: str) -> str:
        if self._has_colours and cell in _COLOURS:
            return f"\x1b[{_COLOURS[cell]}m{cell}\x1b[0m"
        return cell


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes (UAX #11)."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a named tuple is an object."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
