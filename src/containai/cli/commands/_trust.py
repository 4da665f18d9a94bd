"""`cai image trust`, a row of image.py."""

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
    """Trust the Dockerfile of a workspace, list those that are trusted, or trust one no more."""
    from containai.flows import trust

    if list and (remove or path is not None):
        raise UsageError("--list excludes PATH and --remove", hint="cai image trust --help")
    if list:
        rows = trust.listed(app)
    elif remove:
        rows = [trust.removed(app, os.path.realpath(path or "."))]
    else:
        rows = [trust.given(app, path)]
    cells = [[row.workspace, row.trust, row.sha256[:16]] for row in rows]
    return Report(rows, [Table(cells, ["WORKSPACE", "DOCKERFILE", "SHA256"])] if rows else [])


COMMAND = Command(
    "image trust",
    "trust a workspace's own Dockerfile, which its boxes start from",
    run,
    group="images",
    arguments=(
        PATH,
        Argument("--list", "list those that are trusted, and which have changed since"),
        Argument("--remove", "trust that of PATH no more"),
    ),
    examples=(
        Example("cai image trust", "show .containai/Dockerfile of this directory, ask, trust it"),
        Example("cai image trust --yes ~/api", "that of another, without being asked"),
        Example("cai image trust --list", ""),
    ),
    more="`cai run` asks as well, on a terminal. What is trusted is the file of this workspace as "
    "it is: a changed one is asked for again. It is built as root in a container of the engine, "
    "which is not a box, and an agent can write it: read it first.",
    asks=True,
)
