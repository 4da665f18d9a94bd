"""`cai run [PATH] [-- COMMAND…]`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli import making
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Become, Report
from containai.flows import enter


def run(
    app: App,
    target: Target,
    command: Sequence[str],
    *,
    force: bool,
    skip_mounts: bool,
    dry_run: bool,
) -> Report | Become:
    """Run the command, or the agent, in the workspace's box."""
    wanted, words = enter.Wanted(force, skip_mounts), command or _agent(app)
    if not dry_run:
        return Become(enter.made(app, target, words, wanted))
    from containai.flows.preview import preview

    seen = preview(app, target, words, wanted)
    text = seen.describe()
    value = {
        "changed": False,
        "box": seen.name,
        "status": seen.status,
        "plan": text.splitlines(),
        "create": seen.create,
        "session": seen.argv,
    }
    return Report(value, [text])


def _agent(app: App) -> Sequence[str]:
    from containai import agents

    return agents.start_command(app.settings.agent_default)


COMMANDS = (
    Command(
        "run",
        "start the box of a workspace and run a command, or the agent, in it",
        run,
        group="box",
        arguments=(
            Argument("--dry-run", "print what would be done"),
            *making.ARGUMENTS,
        ),
        examples=(
            Example("cai run . -- uname -a", "a command in the box of this directory"),
            Example("cai run", "your agent, there"),
            Example("cai run --memory 4g ~/api", "your agent, in a box with a limit"),
            Example("cai run --dry-run", "what would be done for it, and nothing done"),
        ),
        more="Everything after -- reaches the command exactly; its exit code is cai's. "
        "Without a COMMAND the configured agent is started. What is missing on this machine is "
        "set up first. --dry-run prints what would be done instead: every request to the engine, "
        "every file, the session; what is known only when earlier steps are done as such.",
        has_target=True,
        remainder="optional",
        value_needs="--dry-run",
        asks=True,
    ),
)
