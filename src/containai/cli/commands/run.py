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
    fresh: bool,
) -> Report | Become:
    """Run the command, or the agent, in the workspace's box."""
    wanted, words, news = enter.Wanted(force, skip_mounts, fresh=fresh), command, ""
    if not command:
        words, logins, news = _agent(app, target)
        wanted = wanted._replace(send=logins)
    if not dry_run:
        argv = enter.made(app, target, words, wanted)
        if news:
            app.ui.tell(news)
        return Become(argv, keep=wanted.send)
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


def _agent(app: App, target: Target) -> tuple[list[str], list[str], str]:
    """Return the agent's command, the logins it is given, and what is to be said about both."""
    from containai import agents

    settings = app.settings
    agent = agents.find(settings.agent_default)
    command = agents.start_command(agent, _again(target), unattended=settings.agent_unattended)
    logins = agents.carried(agent, app.environ) if settings.agent_logins else []
    news = ""
    if logins:
        news += f"cai: {agent.name} is given {', '.join(logins)} (agent.logins)\n"
    if settings.agent_unattended:
        news += f"cai: {agent.name} does not ask before it acts (agent.unattended)\n"
    return command, logins, news


def _again(target: Target) -> str:
    """Return the command line that leads into this box again, up to the command."""
    import shlex

    words = ["cai", "run"]
    if target.name is not None:
        words += ["--name", target.name]
    if target.path is not None:
        words.append(target.path)
    return shlex.join(words)


COMMANDS = (
    Command(
        "run",
        "start the box of a workspace and run a command, or the agent, in it",
        run,
        group="box",
        arguments=(
            Argument("--dry-run", "print what would be done"),
            Argument("--fresh", "make the box anew, from today's image; the workspace stays"),
            *making.ARGUMENTS,
        ),
        examples=(
            Example("cai run . -- uname -a", "a command in the box of this directory"),
            Example("cai run", "your agent, there"),
            Example("cai run --agent codex .", "another agent"),
            Example("cai run --memory 4g ~/api", "your agent, in a box with a limit"),
            Example("cai run --fresh", "in a new box, from today's image; asks first"),
            Example("cai run --dry-run", "what would be done for it, and nothing done"),
        ),
        more="Everything after -- reaches the command exactly; its exit code is cai's. "
        "Without a COMMAND the configured agent is started, and given the variables that carry "
        "a login to its service. What is missing on this machine is "
        "set up first. --dry-run prints what would be done instead: every request to the engine, "
        "every file, the session; what is known only when earlier steps are done as such.",
        has_target=True,
        remainder="optional",
        value_needs="--dry-run",
        asks=True,
    ),
)
