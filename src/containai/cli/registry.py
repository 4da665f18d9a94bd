"""All commands: the rows of the modules in cli/commands. One command imports no other's module."""

import os
from collections.abc import Sequence
from importlib import import_module

from containai.cli.command import Command, overview, two_columns
from containai.errors import UsageError

#: The groups of `cai --help`, in order.
GROUPS = {
    "box": "work in a box",
    "boxes": "look after boxes",
    "images": "the images that boxes start from",
    "machine": "this machine",
}
_DIRECTORY = os.path.join(os.path.dirname(__file__), "commands")


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
    rows = every()
    shown = []
    for group, title in GROUPS.items():
        own = [(row.path, row.summary) for row in rows if row.group == group]
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
            "cai COMMAND --help says more.\n",
        ]
    )
