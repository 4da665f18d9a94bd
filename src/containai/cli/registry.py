"""All commands: the rows of the modules in cli/commands. One command imports no other's module.

What is said of all of them at once is in an index, which is read in place of their modules.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module

from containai.cli.command import Command, overview, two_columns
from containai.errors import UsageError
from containai.light import NamedTuple

#: The groups of `cai --help`, in order.
GROUPS = {
    "box": "work in a box",
    "boxes": "look after boxes",
    "images": "the images that boxes start from",
    "places": "other machines that boxes can be on",
    "machine": "this machine",
}
_DIRECTORY = os.path.join(os.path.dirname(__file__), "commands")
#: Written by docs/generate.py.
_INDEX = os.path.join(os.path.dirname(__file__), "index.txt")


class Entry(NamedTuple):
    """What the index has of a command."""

    group: str
    path: str
    summary: str


def index() -> list[Entry]:
    """Return what all commands are for, in the order of `every`."""
    with open(_INDEX, encoding="utf-8") as file:
        return [Entry(*line.rstrip("\n").split("\t")) for line in file]


def index_text() -> str:
    """Return the index as it has to be."""
    return "".join(f"{row.group}\t{row.path}\t{row.summary}\n" for row in every())


def rows(module: str) -> Sequence[Command]:
    """Return the commands that begin with a word. Raises UsageError where there are none."""
    if module not in names():
        raise UsageError(f"there is no command {module!r}")
    return _rows(module)


def first_words() -> list[tuple[str, str]]:
    """Return the first words of all commands, each with what it is for."""
    words: dict[str, list[Entry]] = {}
    for entry in index():
        words.setdefault(entry.path.split()[0], []).append(entry)
    return sorted((word, _summary(own)) for word, own in words.items())


def passes_all(word: str) -> bool:
    """Whether all that follows a word is another program's to understand."""
    return word == "docker"


def _summary(own: Sequence[Entry]) -> str:
    return own[0].summary if len(own) == 1 else ", ".join(each.path.split()[-1] for each in own)


def _rows(module: str) -> Sequence[Command]:
    rows: Sequence[Command] = import_module(f"containai.cli.commands.{module}").COMMANDS
    return rows


def names() -> list[str]:
    """Return the first words of all commands, by the alphabet."""
    files = (name.removesuffix(".py") for name in os.listdir(_DIRECTORY) if name.endswith(".py"))
    return sorted(name for name in files if not name.startswith("_"))


def every() -> list[Command]:
    """Return all commands, group by group."""
    rows = [row for name in names() for row in _rows(name)]
    order = list(GROUPS)
    return sorted(rows, key=lambda row: order.index(row.group))


def find(words: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """Return the command that words begin with, and the words after it. Raises UsageError."""
    if words[0] not in names():
        from containai.config.settings import nearest

        close = nearest(words[0], names())
        meant = f"; did you mean: cai {close}?" if close else ""
        raise UsageError(f"there is no command {words[0]!r}{meant}", hint="see: cai --help")
    rows = _rows(words[0])
    for row in rows:
        path = row.path.split()
        if list(words[: len(path)]) == path:
            return row, words[len(path) :]
    own = ", ".join(row.path for row in rows)
    given = f"there is no command {' '.join(words[:2])!r}" if words[1:] else f"{words[0]}: do what?"
    raise UsageError(given, hint=f"one of: {own}")


def help_on(words: Sequence[str]) -> str:
    """Return the help on a command, on those that begin with its word, or on all of ContainAI."""
    if not words:
        return _all()
    if words[0] in names():
        rows = _rows(words[0])
        paths = [row.path for row in rows]
        if words[0] not in paths and " ".join(words[:2]) not in paths:
            return two_columns([(f"cai {row.path}", row.summary) for row in rows]) + "\n"
    return overview(find(words)[0])


def _all() -> str:
    entries = index()
    shown = []
    for group, title in GROUPS.items():
        own = [(entry.path, entry.summary) for entry in entries if entry.group == group]
        shown.append(f"{title}:\n{two_columns(own)}")
    examples = [
        ("cai run . -- uname -a", "a command in the box of this directory; the first sets up"),
        ("cai run", "your agent, in there"),
        ("cai shell", "a shell, in there"),
    ]
    return "\n\n".join(
        [
            "A computer of its own, on your computer, for your AI coding agent.",
            "examples:\n" + two_columns(examples),
            "usage: cai COMMAND …",
            *shown,
            "cai COMMAND --help says more. Every command takes --quiet, --verbose and --debug.\n",
        ]
    )
