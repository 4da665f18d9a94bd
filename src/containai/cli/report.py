"""What a command returns: a value and how people see it, or a program to become."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """Rows in columns; without a `head` none is shown. The last column is as wide as it has to be.

    The first cell of a row is coloured where it is a word that says how something is.
    """

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()


class Note(NamedTuple):
    """Something to say beside the result, on stderr, and what to do about it."""

    text: str
    hint: str = ""


class Report(NamedTuple):
    """A command's result.

    `value` is what `--json` prints: numbers, strings, lists, dictionaries, named tuples of such.
    `views` are what people see of it: text, which ends with a newline, and tables.
    """

    value: Any = None
    views: Sequence[str | Table] = ()
    code: int = 0
    notes: Sequence[Note] = ()


class Become(NamedTuple):
    """The program that this process is to become: terminal, signals and exit code are its own.

    `keep` names variables of the environment that it gets beside those that every child gets.
    """

    argv: Sequence[str | bytes]
    keep: Sequence[str] = ()


def size(count: int) -> str:
    """Return a size as people say it, in powers of ten, as Docker does."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
