"""`cai run [PATH] [-- COMMAND…]`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli import making
from containai.cli.command import Command, Example
from containai.cli.report import Become
from containai.flows import enter


def run(
    app: App,
    target: Target,
    command: Sequence[str],
    *,
    force: bool,
    skip_mounts: bool,
) -> Become:
    """Run the command, or the agent, in the workspace's box."""
    wanted = enter.Wanted(force, skip_mounts)
    return Become(enter.made(app, target, command or _agent(app), wanted))


def _agent(app: App) -> Sequence[str]:
    from containai import agents

    return agents.start_command(app.settings.agent_default)


COMMANDS = (
    Command(
        "run",
        "start the box of a workspace and run a command, or the agent, in it",
        run,
        group="box",
        arguments=making.ARGUMENTS,
        examples=(
            Example("cai run . -- uname -a", "a command in the box of this directory"),
            Example("cai run", "your agent, there"),
            Example("cai run --memory 4g ~/api", "your agent, in a box with a limit"),
        ),
        more="Everything after -- reaches the command exactly; its exit code is cai's. "
        "Without a COMMAND the configured agent is started. What is missing on this machine is "
        "set up first.",
        has_target=True,
        remainder="optional",
        has_value=False,
        asks=True,
    ),
)
