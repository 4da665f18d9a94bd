"""What a command returns: a value and how people see it, a session, or a program to become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from containai.light import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from containai.ssh.session import Session


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
    #: What hands over lines as they come, until it ends: shown where nothing is for machines.
    follow: Callable[[Callable[[str], None]], object] | None = None
    #: What is shown in its place instead, one after the other; to people, unless it has lines.
    frames: Iterator[Report] | None = None
    #: The program that shows it to people instead.
    pager: Become | None = None


class Become(NamedTuple):
    """The program that this process is to become: terminal, signals and exit code are its own.

    `keep` names variables of the environment that it gets beside those that every child gets;
    `given` are others, with their values. `text` is what it reads on stdin, where there is any.
    """

    argv: Sequence[str | bytes]
    keep: Sequence[str] = ()
    given: Mapping[str, str] = {}
    text: str = ""


class Enter(NamedTuple):
    """A session in a box, as which this process then ends. `given` is what it names to `send`."""

    session: Session
    given: Mapping[str, str] = {}

    @property
    def argv(self) -> Sequence[str | bytes]:
        """The ssh command line that does the same."""
        return self.session.argv
