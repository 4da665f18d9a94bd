"""`cai trust [PATH]`."""

import os

from containai.app import App
from containai.cli.command import PATH, Argument, Command, Example
from containai.cli.report import Report, Table
from containai.errors import UsageError


def run(
    app: App,
    *,
    path: str | None,
    list: bool,  # noqa: A002 - as the option is called
    remove: bool,
) -> Report:
    """Trust the files of a workspace, list those that are trusted, or trust them no more."""
    from containai.flows import trust

    if list and (remove or path is not None):
        raise UsageError("--list excludes PATH and --remove", hint="cai trust --help")
    if list:
        rows = trust.listed(app)
    elif remove:
        rows = trust.removed(app, os.path.realpath(path or "."))
    else:
        rows = trust.given(app, path)
    cells = [[row.workspace, row.file, row.trust, row.sha256[:16]] for row in rows]
    head = ["WORKSPACE", "FILE", "TRUST", "SHA256"]
    return Report(rows, [Table(cells, head)] if rows else [])


COMMANDS = (
    Command(
        "trust",
        "trust what a workspace has of its own: settings, and a Dockerfile",
        run,
        group="machine",
        arguments=(
            PATH,
            Argument("--list", "list what is trusted, and what has changed since"),
            Argument("--remove", "trust nothing of PATH any more"),
        ),
        examples=(
            Example("cai trust", "show what this directory has in .containai, ask, trust it"),
            Example("cai trust --yes ~/api", "that of another, without being asked"),
            Example("cai trust --list", ""),
        ),
        more="What is trusted are .containai/config.toml and .containai/Dockerfile of this "
        "workspace as they are: a changed one is not trusted any more. An agent can write them: "
        "read them first. Without it, the settings count only where they cannot harm you "
        "(cai config list), and cai run asks for the Dockerfile, on a terminal.",
        asks=True,
    ),
)
