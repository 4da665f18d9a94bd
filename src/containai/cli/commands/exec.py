"""`cai exec [PATH] -- COMMAND…`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Become
from containai.flows import enter


def run(app: App, target: Target, command: Sequence[str]) -> Become:
    """Run a command in a box that is there; start the box if it is stopped."""
    return Become(enter.existing(app, target, command))


COMMANDS = (
    Command(
        "exec",
        "run a command in a box that is there already",
        run,
        group="box",
        examples=(
            Example("cai exec . -- uname -a", "in the box of this directory"),
            Example("cai exec --name api -- ps aux", "in a box by its name, from anywhere"),
        ),
        more="A stopped box is started. Everything after -- reaches the command exactly; "
        "its exit code is cai's.",
        has_target=True,
        remainder="required",
        has_value=False,
    ),
)
