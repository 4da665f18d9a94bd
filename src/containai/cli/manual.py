"""Man pages, made of the rows of commands (man(7), as groff and mandoc read it)."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from containai import __version__
from containai.cli import registry
from containai.cli.command import LOUDNESS, Argument, Command, Example, arguments, usage

#: How a page of ours begins: what does not is left alone.
MARK = '.\\" Written by: cai help --install'
#: What groff reads as something else than what is typed (groff_char(7)).
_LETTERS = {
    "\\": "\\(rs", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq",
}  # fmt: skip


def pages() -> dict[str, str]:
    """Return all pages: file name → text."""
    rows = registry.every()
    made = {f"{_name(row)}.1": _page(row) for row in rows}
    return {"cai.1": _overview(rows)} | made


def _name(row: Command) -> str:
    return "-".join(["cai", *row.path.split()])


def _overview(rows: Sequence[Command]) -> str:
    parts = [
        *_head("cai", "a computer of its own, on your computer, for your AI coding agent"),
        ".SH SYNOPSIS",
        ".B cai",
        ".I COMMAND",
        _text("…"),
        ".SH DESCRIPTION",
        *_lines(
            "Each command has a page of its own, and says as much with --help. cai help lists the "
            "pages of the documentation, and cai help TOPIC shows one."
        ),
    ]
    for group, title in registry.GROUPS.items():
        parts.append(f".SH {title.upper()}")
        for row in rows:
            if row.group == group:
                parts += [".TP", f".BR {_text(_name(row))} (1)", *_lines(f"{row.summary}.")]
    parts += [".SH OPTIONS", *_arguments(LOUDNESS)]
    parts += [".SH EXIT STATUS"]
    parts.append(_text("A command's own is passed through. For others: cai help exit-codes."))
    parts += [".SH ENVIRONMENT", _text("See cai help environment.")]
    parts += [".SH FILES", ".TP", ".I " + _text("~/.config/containai/config.toml")]
    parts.append(_text("The settings. For all files: cai help files."))
    return "\n".join([*parts, ""])


def _page(row: Command) -> str:
    lines = usage(row).removeprefix("usage: ").split("\n")
    parts = [
        *_head(_name(row), row.summary),
        ".SH SYNOPSIS",
        *_as_it_is(line.strip() for line in lines),
    ]
    if row.more:
        parts += [".SH DESCRIPTION", *_lines(row.more)]
    loudness = () if row.passes_all else LOUDNESS
    known = [*arguments(row), *loudness]
    if known:
        parts += [".SH OPTIONS", *_arguments(known)]
    if row.examples:
        parts += [".SH EXAMPLES", *_examples(row.examples)]
    parts += [".SH SEE ALSO", ".BR cai (1)"]
    return "\n".join([*parts, ""])


def _head(name: str, summary: str) -> list[str]:
    # They are of the day on which cai was installed.
    day = time.strftime("%Y-%m-%d", time.gmtime(os.stat(__file__).st_mtime))
    return [
        MARK,
        f'.TH {_text(name.upper())} 1 {day} "ContainAI {__version__}" "ContainAI"',
        ".SH NAME",
        *_lines(f"{name} - {summary}"),
    ]


def _arguments(rows: Iterable[Argument]) -> Iterator[str]:
    for row in rows:
        both = f"{row.short}, {row.shown}" if row.short else row.shown
        yield from (".TP", f".B {_text(both)}", *_lines(row.help))


def _examples(rows: Sequence[Example]) -> Iterator[str]:
    # A paragraph with a tag has to have something beside it; one begins where a section does.
    for at, row in enumerate(sorted(rows, key=lambda row: not row.what)):
        begin = [".TP"] if row.what else [".PP"][:at]
        yield from (*begin, f".B {_text(row.line)}", *_lines(row.what))


def _as_it_is(lines: Iterable[str]) -> Iterator[str]:
    yield from (".nf", *map(_text, lines), ".fi")


def _lines(text: str) -> list[str]:
    """Return a paragraph, in lines that mandoc does not find long once they are escaped."""
    return [_text(line) for line in wrap(text, 60, break_on_hyphens=False)]


def _text(text: str) -> str:
    """Return a line of text in which nothing is a request, or an escape."""
    shown = "".join(_letter(letter) for letter in text)
    return f"\\&{shown}" if shown.startswith((".", "\\(aq")) else shown


def _letter(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    return f"\\[u{ord(letter):04X}]"
