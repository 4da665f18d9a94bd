"""Writes what follows from the rows of the program: python docs/generate.py

The reference pages, and what images know of agents. A test compares them, so none can go stale.
"""

import importlib
import inspect
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import containai
from containai import agents, errors
from containai.boxes import spares
from containai.boxes.box import Box, Status
from containai.cli import command, registry
from containai.config import variables
from containai.config.settings import Settings
from containai.host.machine import Machine
from containai.kept import Kind
from containai.layout import LABEL, Layout
from containai.provision import steps
from containai.provision.step import AnyStep, Area, Choices
from containai.sync import manifest

_DOCS = os.path.dirname(os.path.abspath(__file__))
DIRECTORY = os.path.join(_DOCS, "reference")
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
        "doctor-json.md": beside("doctor_json").page(_table),
        "exit-codes.md": exit_codes(),
        "files.md": files(),
        "environment.md": environment(),
        "labels.md": labels(),
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


def beside(name: str) -> Any:
    """Return a module of this directory."""
    sys.path.insert(0, _DOCS)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(_DOCS)


def of_docs() -> dict[str, dict[str, str]]:
    """Return all generated pages that are no reference: directory → file name → text."""
    made = {
        "adr": {"README.md": decisions()},
        "how-to/each-agent": beside("agent_pages").pages(),
        "troubleshooting": beside("symptoms").pages(meanings(), [*of_machine(), *of_box()]),
    }
    return {
        directory: {name: _HEAD + text for name, text in pages.items()}
        for directory, pages in made.items()
    }


def decisions() -> str:
    """Return the index of decisions."""
    parts = ["# Decisions\n", "Decisions that people ask about again, a page each.\n"]
    for name in sorted(os.listdir(os.path.join(_DOCS, "adr"))):
        if name != "README.md":
            with open(os.path.join(_DOCS, "adr", name), encoding="utf-8") as file:
                title = file.readline().strip("# \n")
            parts.append(f"- [{title}]({name})")
    return "\n".join([*parts, ""])


def of_program() -> dict[str, str]:
    """Return all generated files of the program: path below the package → text."""
    return {"cli/index.txt": registry.index_text()}


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
        "## What `cai import` brings\n",
        _BROUGHT,
        _table(
            ("agent", "brought", "stays, as its use in two places ends one", "instead"),
            [
                (
                    f"`{row.name}`",
                    _code(_brought(row.name)),
                    _code(row.rotating),
                    row.instead or "\N{EN DASH}",
                )
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
A box has nothing of your home but what [`cai import`](../how-to/import.md) brings. Who logs in
inside is logged in in that box, and the next one with its data volume.
If variables of the second column are set where you say `cai run`, its agent's session is given
those of its own row, and that is said: over ssh, so that no command line, label or file has a
value. Whatever runs as `agent` in that box can read them while that session lasts. No other
command gets them, and `agent.logins = false` in `config.toml` stops it. Variables that open more
than the agent's own service, such as a token for all your repositories, are never given: log in
inside, once a box, or set a variable of its own.
"""

_BROUGHT = """\
[`cai import`](../how-to/import.md) brings these from your home. A login whose token is another one
after each use cannot be in two places: the one that uses it first logs the other out. Such a login
stays, unless you say `--with-rotating`; a key in the same file is brought without it.
"""

_AT_WORK = """\
With `agent.unattended = true` an agent is started with arguments with which it asks for nothing,
and `cai run` says so. It still can do whatever a box can do: write the workspace, use the
network, and use the login it has. Agents belong to the user `agent`, who may update them.
"""


def _brought(whose: str) -> list[str]:
    """Return the paths that are brought, of an agent or another program."""
    rows = [row for row in manifest.rows() if row.whose == whose and not row.stays]
    return [f"~/{row.path}" + "/" * (row.kind is Kind.DIRECTORY) for row in rows]


def _code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words) or "\N{EN DASH}"


def commands() -> str:
    """Return the page of commands, group by group."""
    everywhere = [(f"`{each.shown}`", each.help) for each in command.LOUDNESS]
    parts = ["# Commands\n", _EVERYWHERE, _table(("argument", "what it is for"), everywhere)]
    rows = registry.every()
    for group, title in registry.GROUPS.items():
        parts.append(f"## {title[0].upper()}{title[1:]}\n")
        parts += [_command(row) for row in rows if row.group == group]
    return "\n".join(parts)


_EVERYWHERE = """\
Every command takes these, before `--`; `cai docker` takes them before `docker`. `CAI_OUTPUT` says
the same for all. What is said goes to stderr, a result to stdout. A login in a URL, and what is
called a token, a secret or a password, is not shown.
"""


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
    """Return the page of settings: a table of all, and a heading for each."""
    rows, parts = [], []
    for row in Settings.rows():
        words = (row.default, row.variable, row.flag)
        said = (*(f"`{word}`" if word else _NONE for word in words), row.reach.value)
        rows.append([f"[`{row.key}`](#{_anchor(row.key)})", *said])
        parts.append(f"## `{row.key}`\n\n{row.doc}\n")
    head = ("setting", "default", "variable", "flag", "who")
    return "\n".join([_SETTINGS, _table(head, rows), *parts])


_SETTINGS = """\
# Settings

In `~/.config/containai/config.toml`; an environment variable wins over the file, and a flag over
both. *Who* may say it for one workspace: `always` its own file, `trusted` that once you trust it,
`user` only your file, and `machine` nobody: see [where settings come
from](../explanation/configuration.md).
"""
_NONE = "\N{EN DASH}"


def _anchor(head: str) -> str:
    """Return what a heading is reached by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")


def checks() -> str:
    """Return the page of what doctor looks at, area by area, with a heading for each check."""
    parts = ["# Checks\n", _CHECKS]
    for area in Area:
        rows = [_check(step) for step in of_machine() if step.area == area]
        parts += [f"## {area.value.capitalize()}\n", *rows] if rows else []
    return "\n".join([*parts, "## Of one box\n", _OF_BOX, *map(_check, of_box())])


_CHECKS = """\
What `cai doctor` looks at. What is wanted and not needed is `none` where it is missing. A check
that could not be made is `unknown`, with why: never `ok`, and nothing that `--fix` would touch.
"""
_OF_BOX = """\
What `cai doctor BOX` looks at.
"""
_A_BOX = Box("NAME", "", "", 0, 0, Status.RUNNING, "", "")


def of_machine() -> list[AnyStep]:
    """Return the checks of a machine."""
    choices = Choices(Settings().over({"image.name": "…"}))
    return list(steps.checks(Machine(LAYOUT), choices))


def of_box() -> list[AnyStep]:
    """Return the checks of one box."""
    return list(steps.checks_of_box(_A_BOX))


def _check(step: AnyStep) -> str:
    asked = " (with `--all`)" if step.slow else ""
    rows = [("looked at", step.looks), ("means if not", step.means), ("mended", step.otherwise)]
    rows += [("interrupts", step.interrupts)] if step.interrupts else []
    page = beside("symptoms").check_page(step)
    return "\n".join(
        [
            f"### `{step.title}`\n",
            f"What has to hold{asked}: {step.holds.removesuffix('.')}.\n",
            _table(("", f"[what it says](../troubleshooting/{page})"), rows),
        ]
    )


def meanings() -> dict[int, str]:
    """Return what each exit code of ContainAI's own stands for."""
    kinds = [errors.ContainAIError, *errors.ContainAIError.__subclasses__()]
    ours = {kind.exit_code: _first_sentence(kind.__doc__ or "") for kind in kinds}
    others = {
        0: "All right.",
        1: "Anything that has no code of its own; of a check, that something is not right.",
        130: "Interrupted.",
        255: "The connection to the box was lost; a line says so.",
    }
    return dict(sorted((ours | others).items()))


def exit_codes() -> str:
    """Return the page of exit codes."""
    parts = [
        f"## {code}\n\n{text}\n" + _MORE.format(code=code) * (code > 0)
        for code, text in meanings().items()
    ]
    return "\n".join([_EXIT_CODES, *parts])


_EXIT_CODES = """\
# Exit codes

A command's own exit code is passed through, 128 + n where the signal n ended it.
ContainAI's own are:
"""
_MORE = "[What says so, and what to do](../troubleshooting/code-{code}.md).\n"


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
    for path, text in _FILES_WITHIN.items():
        rows.append((f"`{path}`", text))
    return "# Files\n\n" + _table(("path", "what it is"), sorted(rows))


#: Files of a directory of the layout's that others than it name.
_FILES_WITHIN = {
    os.path.join(LAYOUT.attached, "CONTAINER.claim"): "The socket at which a spare box is claimed, "
    "its user's. It ends with the claim, or with the spare.",
    os.path.join(LAYOUT.state_dir, "spares.lock"): "Locked by the process that keeps spare boxes.",
    os.path.join(LAYOUT.state_dir, "spares.making"): "Locked by whoever makes spare boxes.",
    spares.note(LAYOUT): "Why the last spare box could not be made; gone once one was.",
    os.path.join(LAYOUT.spares, "VOLUME"): "Of a data volume that was made for a spare box: the "
    "workspace whose it became, as a real path.",
}
#: What is a part of another row's path, or a choice between those.
_NO_FILES = {"control_dir", "_shared_control_dir", "root"}


def environment() -> str:
    """Return the page of environment variables."""
    own = [(row.name, row.doc) for row in variables.VARIABLES]
    set_by = [
        (row.variable, f"Overrides the setting [`{row.key}`](settings.md#{_anchor(row.key)}).")
        for row in Settings.rows()
        if row.variable
    ]
    told = [f"## `{name}`\n\n{text}\n" for name, text in (*own, *set_by)]
    return "\n".join(["# Environment variables\n", *told])


def labels() -> str:
    """Return the page of labels, each as the constant says it that is its name."""
    found = []
    for parent, _, names in os.walk(os.path.dirname(containai.__file__)):
        for name in filter(re.compile(r"\.py$").search, names):
            with open(os.path.join(parent, name), encoding="utf-8") as file:
                found += _LABELS.findall(file.read())
    told = [
        f"## `{LABEL}{name}`\n\n{_joined(re.sub('#:?', ' ', text))}\n"
        for text, name in sorted(found, key=lambda each: each[1])
    ]
    return "\n".join([_OF_LABELS, *told])


#: A constant that is a label, and the lines above that say what it is for.
_LABELS = re.compile(r'((?:^#:? .*\n)+)LABEL_\w+ = LABEL \+ "([\w-]+)"', re.MULTILINE)
_OF_LABELS = """\
# Labels

What ContainAI notes on its containers, volumes and images. `cai docker ps --all --filter
label=containai.managed=true` finds boxes by them. An image can bring labels, too: [what makes a
box](../explanation/security.md#several-users-one-engine) is its mounts.

A box that was a [spare](../explanation/spares.md) has `containai.spare` in place of
`containai.workspace`, and neither its mounts nor its data volume say whose it is: Docker changes no
label. Scripts ask by name, which `docker ps` knows, or `cai ls --json`, which has name, workspace,
container and port of every box.
"""


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
    package = os.path.dirname(containai.__file__)
    images = os.path.join(package, "images")
    directories = {DIRECTORY: pages(), images: of_images(), package: of_program()}
    for name, made in of_docs().items():
        # Of decisions only the index is made; of messages that are gone no page stays.
        if name != "adr":
            shutil.rmtree(os.path.join(_DOCS, name), ignore_errors=True)
        directories[os.path.join(_DOCS, name)] = made
    for directory, made in directories.items():
        for name, text in made.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
