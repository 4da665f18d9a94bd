"""`cai run [PATH] [-- COMMAND…]`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli import detaching, giving, making
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Enter, Note, Report
from containai.flows import enter
from containai.ssh.session import place_of

if TYPE_CHECKING:
    from containai.flows.preview import Preview


def run(
    app: App,
    target: Target,
    command: Sequence[str],
    *,
    force: bool,
    skip_mounts: bool,
    dry_run: bool,
    fresh: bool,
    reset: bool = False,
    keep: bool = False,
    read_only: bool = False,
    env: Sequence[str] | None = None,
    here: bool = False,
    detach: bool = False,
    attach: bool = False,
    tty: bool = False,
    no_tty: bool = False,
    job: str | None = None,
    restart: str | None = None,
    on_calendar: str | None = None,
) -> Report | Enter:
    """Run the command, or the agent, in the workspace's box."""
    giving.check_terminal(tty=tty, no_tty=no_tty)
    is_job = detach or attach
    asked = detaching.asked(
        detach, detaching.Asked(attach, tty and is_job, job, restart, on_calendar)
    )
    target = target._replace(here=here)
    wanted, words, news = (
        enter.Wanted(force, skip_mounts, read_only, fresh=fresh or reset, reset=reset),
        command,
        "",
    )
    callback = 0
    if not command:
        words, logins, news, callback = _agent(app, target)
        wanted = wanted._replace(send=logins)
    given, carried = giving.given(app, env), wanted.send
    wanted = wanted._replace(send=[*carried, *given])
    if keep and not dry_run:
        from containai.flows import whereabouts

        whereabouts.only_made_here(app, target, "--keep", "leave it out")
    if asked is not None and not dry_run:
        outcome = _as_job(app, target, words, wanted, asked, env, agent=not command)
        if keep:
            _keep(app, target)
        if news:
            app.ui.tell(news)
        return outcome
    if not dry_run:
        entered = enter.made(app, target, words, wanted)
        if keep:
            _keep(app, target)
        if news:
            app.ui.tell(news)
        if callback and not place_of(app.layout, entered.box):
            _lead_back(app, entered.box, callback)
        entered = giving.at_terminal(entered, tty=tty, no_tty=no_tty)
        return Enter(entered, {**{name: app.environ[name] for name in carried}, **given})
    from containai.flows.preview import preview

    seen = preview(app, target, words, wanted)
    argv = giving.shown_terminal(seen.argv, tty=tty, no_tty=no_tty)
    names = sorted({each.partition("=")[0] for each in env or ()})
    return _shown(seen._replace(argv=argv), words, names, asked)


def _as_job(
    app: App,
    target: Target,
    words: Sequence[str],
    wanted: enter.Wanted,
    asked: detaching.Asked,
    env: Sequence[str] | None,
    *,
    agent: bool,
) -> Report | Enter:
    """Have a job run the command; return its name, or a session that shows it."""
    from containai.flows import jobs

    name = enter.at_target(app, target).settings.agent_default if agent else ""
    carried = {each: app.environ[each] for each in wanted.send if each in app.environ}
    order = asked.order(app, words, carried | giving.values(app, env), agent=name)
    box, job = jobs.started(app, target, wanted._replace(send=[]), order)
    if asked.attach:
        return Enter(jobs.attached(app, box, job))
    hint = f"cai attach --name {box.name} {job}; its output: cai logs --name {box.name} {job}"
    notes = [Note(f"a job of {box.name}", hint)]
    return Report({"box": box.name, "job": job}, [f"{job}\n"], notes=notes)


def _shown(
    seen: "Preview",
    words: Sequence[str],
    names: Sequence[str],
    asked: detaching.Asked | None = None,
) -> Report:
    """Return what would be done; `names` are the variables that the session alone is given."""
    text = seen.describe(words)
    if names:
        text += f"with variables of its own: {', '.join(names)}\n"
    if asked is not None:
        text += "as a job of the box, which outlives the session\n"
    value = {
        "changed": False,
        "box": seen.name,
        "status": seen.status,
        "outline": seen.outline,
        "command": [*words],
        "plan": text.splitlines(),
        "create": seen.create,
        "session": seen.argv,
        "variables": names,
    }
    return Report(value, [text])


def _keep(app: App, target: Target) -> None:
    from containai.boxes import keeping, locate

    keeping.keep(app.layout, locate.existing(app.engine, target, to_enter=True))


def _lead_back(app: App, box: str, port: int) -> None:
    from containai.flows import beside

    beside.lead_back(app, box, port)


def _agent(app: App, target: Target) -> tuple[list[str], list[str], str, int]:
    """Return the agent's command, the logins it is given, and what is to be said about both.

    The last is the port that the answer to its log-in comes to, if it is known.
    """
    from containai import agents

    app = enter.at_target(app, target)
    settings = app.settings
    agent = agents.find(settings.agent_default)
    command = agents.start_command(agent, _again(target), unattended=settings.agent_unattended)
    logins = agents.carried(agent, app.environ) if settings.agent_logins else []
    news = "".join(enter.ignored(app, of_agents=True))
    if logins:
        news += f"cai: {agent.name} is given {', '.join(logins)} (agent.logins)\n"
    if settings.agent_unattended:
        news += f"cai: {agent.name} does not ask before it acts (agent.unattended)\n"
    return command, logins, news, agent.callback


def _again(target: Target) -> str:
    """Return the command line that leads into this box again, up to the command."""
    import shlex

    words = ["cai", "run"]
    if target.name is not None:
        words += ["--name", target.name]
    if target.here:
        words.append("--here")
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
            Argument(
                "--fresh", "make the box anew, from today's image; workspace and data volume stay"
            ),
            Argument("--reset", "as --fresh, and its data volume anew: only the workspace stays"),
            Argument("--keep", "mark the box, so that cai prune leaves it alone"),
            giving.ENV,
            *giving.TERMINAL,
            *detaching.ARGUMENTS,
            *making.ARGUMENTS,
        ),
        examples=(
            Example("cai run . -- uname -a", "a command in the box of this directory"),
            Example("cai run", "your agent, there"),
            Example("cai run --agent codex .", "another agent"),
            Example("cai run --memory 4g ~/api", "your agent, in a box with a limit"),
            Example("cai run -e DEBUG=1 . -- make test", "with a variable for this session"),
            Example("cai run --detach . -- make test", "as a job, which outlives this session"),
            Example("cai run --attach", "your agent, to leave and take up again"),
            Example("cai run --fresh", "in a new box, from today's image; asks first"),
            Example("cai run --dry-run", "what would be done for it, and nothing done"),
        ),
        more="Everything after -- reaches the command exactly; its exit code is cai's. "
        "Without a COMMAND the configured agent is started, and given the variables that carry "
        "a login to its service. What is missing on this machine is "
        "set up first. --dry-run prints what would be done instead: every request to the engine, "
        "every file, the session; what is known only when earlier steps are done as such. Of a box "
        "elsewhere it prints each step, and its place is only asked. "
        "A job has no terminal, unless it is the agent, or --tty or --attach says so; cai jobs, "
        "logs, attach and kill are about them.",
        has_target=True,
        remainder="optional",
        value_needs=("--dry-run", "--detach"),
        asks=True,
    ),
)
