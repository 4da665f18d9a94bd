"""Writes the reference pages from the rows of the program: python docs/generate.py

A test compares them, so none can go stale.
"""

import inspect
import os
import re
from collections.abc import Iterable, Sequence

from containai import errors
from containai.cli import command, registry
from containai.config import variables
from containai.config.settings import Settings
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision import steps
from containai.provision.step import Choices

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference")
#: The machine's own ContainAI, and a user whose home is called ~.
LAYOUT = Layout("/", "~", 1000)
_HEAD = "<!-- Written by docs/generate.py. -->\n\n"


def pages() -> dict[str, str]:
    """Return all generated pages: file name → text."""
    made = {
        "commands.md": commands(),
        "settings.md": settings(),
        "checks.md": checks(),
        "exit-codes.md": exit_codes(),
        "files.md": files(),
        "environment.md": environment(),
    }
    return {name: _HEAD + text for name, text in made.items()}


def commands() -> str:
    """Return the page of commands, group by group."""
    parts = ["# Commands\n"]
    rows = registry.every()
    for group, title in registry.GROUPS.items():
        parts.append(f"## {title[0].upper()}{title[1:]}\n")
        parts += [_command(row) for row in rows if row.group == group]
    return "\n".join(parts)


def _command(row: command.Command) -> str:
    lines = [f"### `cai {row.path}`\n", f"{row.summary[0].upper()}{row.summary[1:]}.\n"]
    if row.more:
        lines.append(_joined(row.more) + "\n")
    shown = command.usage(row).removeprefix("usage: ").replace("\n" + " " * len("usage: "), "\n")
    examples = [f"{example.line:40}  # {example.what}".rstrip(" #") for example in row.examples]
    lines.append("\n".join(["```", shown, *([""] if examples else []), *examples, "```\n"]))
    arguments = [(f"`{argument.shown}`", argument.help) for argument in command.arguments(row)]
    if arguments:
        lines.append(_table(("argument", "what it is for"), arguments))
    return "\n".join(lines)


def settings() -> str:
    """Return the page of settings."""
    rows = []
    for row in Settings.rows():
        words = (row.key, row.default, row.variable, row.flag)
        rows.append([*(f"`{word}`" if word else "\N{EN DASH}" for word in words), row.doc])
    head = ("setting", "default", "variable", "flag", "what it is for")
    return (
        "# Settings\n\n"
        "In `~/.config/containai/config.toml`; an environment variable wins over the file, and a "
        "flag over both.\n\n" + _table(head, rows)
    )


def checks() -> str:
    """Return the page of what doctor looks at."""
    rows = [
        (f"`{step.title}`", step.holds, step.otherwise)
        for step in steps.checks(Machine(LAYOUT), Choices(Settings().over({"image.name": "…"})))
    ]
    return (
        "# Checks\n\n"
        "What `cai doctor` looks at, in the order in which `cai setup` makes it right. What is "
        "wanted and not\nneeded is `none` where it is missing.\n\n"
        + _table(("check", "what has to hold", "if not"), rows)
    )


def exit_codes() -> str:
    """Return the page of exit codes."""
    kinds = [errors.ContainAIError, *errors.ContainAIError.__subclasses__()]
    ours = {kind.exit_code: _first_sentence(kind.__doc__ or "") for kind in kinds}
    others = {
        0: "All right.",
        1: "Anything that has no code of its own; of a check, that something is not right.",
        130: "Interrupted.",
        255: "ssh lost the connection.",
    }
    told = sorted((ours | others).items())
    return (
        "# Exit codes\n\n"
        "A command's own exit code is passed through. ContainAI's own are:\n\n"
        + _table(("code", "meaning"), [(str(code), text) for code, text in told])
    )


def files() -> str:
    """Return the page of files, for the machine's own ContainAI and for a user."""
    layout = LAYOUT
    rows = []
    for name, value in inspect.getmembers(Layout, lambda each: isinstance(each, property)):
        path = getattr(layout, name)
        if isinstance(path, str) and path.startswith(("/", "~")) and name not in _NO_FILES:
            rows.append((f"`{path}`", _joined(inspect.getdoc(value) or "")))
        elif name.endswith("_unit"):
            rows.append((f"`{layout.unit_file(path)}`", _joined(inspect.getdoc(value) or "")))
    return "# Files\n\n" + _table(("path", "what it is"), sorted(rows))


#: What is a part of another row's path, or a choice between those.
_NO_FILES = {"control_dir", "_shared_control_dir", "root"}


def environment() -> str:
    """Return the page of environment variables."""
    own = [(f"`{row.name}`", row.doc) for row in variables.VARIABLES]
    set_by = [
        (f"`{row.variable}`", f"Overrides the setting `{row.key}`.")
        for row in Settings.rows()
        if row.variable
    ]
    return "# Environment variables\n\n" + _table(("variable", "what it is for"), [*own, *set_by])


def _first_sentence(text: str) -> str:
    return _joined(text.strip().split("\n\n")[0])


def _joined(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        with open(os.path.join(DIRECTORY, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
