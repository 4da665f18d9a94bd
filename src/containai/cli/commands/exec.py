"""`cai exec [PATH] -- COMMAND…`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli import giving
from containai.cli.command import Command, Example
from containai.cli.report import Enter
from containai.flows import enter


def run(
    app: App,
    target: Target,
    command: Sequence[str],
    *,
    env: Sequence[str] | None = None,
    tty: bool = False,
    no_tty: bool = False,
) -> Enter:
    """Run a command in a box that is there; start the box if it is stopped."""
    giving.check_terminal(tty=tty, no_tty=no_tty)
    given = giving.given(app, env)
    entered = enter.existing(app, target, command, [*given])
    return Enter(giving.at_terminal(entered, tty=tty, no_tty=no_tty), given)


COMMANDS = (
    Command(
        "exec",
        "run a command in a box that is there already",
        run,
        group="box",
        arguments=(giving.ENV, *giving.TERMINAL),
        examples=(
            Example("cai exec . -- uname -a", "in the box of this directory"),
            Example("cai exec --name api -- ps aux", "in a box by its name, from anywhere"),
            Example("cai exec -e NPM_TOKEN . -- npm publish", "with a variable that you have"),
        ),
        more="A stopped box is started. Everything after -- reaches the command exactly; "
        "its exit code is cai's.",
        has_target=True,
        remainder="required",
        has_value=False,
    ),
)
