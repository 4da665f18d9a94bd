"""`cai shell [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import making
from containai.cli.command import Command, Example
from containai.cli.report import Become
from containai.flows import enter


def run(
    app: App,
    target: Target,
    *,
    force: bool,
    skip_mounts: bool,
) -> Become:
    """Open a login shell in the workspace's box."""
    return Become(enter.made(app, target, [], enter.Wanted(force, skip_mounts)))


COMMANDS = (
    Command(
        "shell",
        "open a shell in the box of a workspace",
        run,
        group="box",
        arguments=making.ARGUMENTS,
        examples=(
            Example("cai shell", "in the box of this directory"),
            Example("cai shell --name api", "in a box by its name, from anywhere"),
        ),
        has_target=True,
        has_value=False,
        asks=True,
    ),
)
