"""Writes what follows from the rows of the program: python docs/generate.py

The reference pages, and what images know of agents. A test compares them, so none can go stale.
"""

import inspect
import os
import re
from collections.abc import Iterable, Sequence

import containai
from containai import agents, errors
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
        "agents.md": agents_page(),
        "commands.md": commands(),
        "settings.md": settings(),
        "checks.md": checks(),
        "exit-codes.md": exit_codes(),
        "files.md": files(),
        "environment.md": environment(),
    }
    return {name: _HEAD + text for name, text in made.items()}


def of_images() -> dict[str, str]:
    """Return all generated files of images: path below their directory → text."""
    sshd = "base/rootfs/etc/ssh/sshd_config.d/20-agents.conf"
    return {
        "full/agents.txt": agents.listed(),
        "full/left-out.txt": agents.left_out(),
        sshd: agents.accepted(),
    }


def agents_page() -> str:
    """Return the page of agents."""
    rows = agents.AGENTS
    parts = [
        "# Agents\n",
        _AGENTS,
        _table(
            ("agent", "what it is", "package", "command", "needs", "in the image"),
            [
                (
                    f"`{row.name}`",
                    row.title,
                    f"`{row.package}` ({row.source})",
                    f"`{row.binary} {row.version}`",
                    row.needs,
                    f"no: {row.left_out}" if row.left_out else "yes",
                )
                for row in rows
            ],
        ),
        "## What it knows of you\n",
        _LOGINS,
        _table(
            ("agent", "given by `cai run`", "taken too, and not given", "login", "settings"),
            [
                (f"`{row.name}`", *map(_code, (row.variables, row.wider, row.logins, row.settings)))
                for row in rows
            ],
        ),
        "## At work\n",
        _AT_WORK,
        _table(
            ("agent", "`agent.unattended`", "its own sandbox in a box", "how it becomes newer"),
            [(f"`{row.name}`", _code(row.unattended), row.sandbox, row.updates) for row in rows],
        ),
    ]
    return "\n".join(parts)


_AGENTS = """\
`cai run` without a COMMAND starts the agent that `--agent` or the setting `agent.default` names.
Where it is not in the box, it prints the command that installs it there. What else is in a box,
`cai run . -- COMMAND` starts.
"""

_LOGINS = """\
A box has nothing of your home: who logs in inside is logged in in that box, until it is removed.
If variables of the second column are set where you say `cai run`, its agent's session is given
those of its own row, and that is said: over ssh, so that no command line, label or file has a
value. Whatever runs as `agent` in that box can read them while that session lasts. No other
command gets them, and `agent.logins = false` in `config.toml` stops it. Variables that open more
than the agent's own service, such as a token for all your repositories, are never given: log in
inside, once a box, or set a variable of its own.
"""

_AT_WORK = """\
With `agent.unattended = true` an agent is started with arguments with which it asks for nothing,
and `cai run` says so. It still can do whatever a box can do: write the workspace, use the
network, and use the login it has. Agents belong to the user `agent`, who may update them.
"""


def _code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words) or "\N{EN DASH}"


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
    """Write the pages and the files."""
    images = os.path.join(os.path.dirname(containai.__file__), "images")
    for directory, made in ((DIRECTORY, pages()), (images, of_images())):
        for name, text in made.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
