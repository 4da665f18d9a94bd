"""`cai shell [PATH]`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli import giving, making
from containai.cli.command import Command, Example
from containai.cli.report import Enter
from containai.flows import enter


def run(
    app: App,
    target: Target,
    *,
    force: bool,
    skip_mounts: bool,
    read_only: bool = False,
    env: Sequence[str] | None = None,
    here: bool = False,
    tty: bool = False,
    no_tty: bool = False,
) -> Enter:
    """Open a login shell in the workspace's box."""
    giving.check_terminal(tty=tty, no_tty=no_tty)
    given = giving.given(app, env)
    wanted = enter.Wanted(force, skip_mounts, read_only, [*given])
    entered = enter.made(app, target._replace(here=here), [], wanted)
    return Enter(giving.at_terminal(entered, tty=tty, no_tty=no_tty), given)


COMMANDS = (
    Command(
        "shell",
        "open a shell in the box of a workspace",
        run,
        group="box",
        arguments=(giving.ENV, *giving.TERMINAL, *making.ARGUMENTS),
        examples=(
            Example("cai shell", "in the box of this directory"),
            Example("cai shell --name api", "in a box by its name, from anywhere"),
        ),
        has_target=True,
        has_value=False,
        asks=True,
    ),
)
