"""`cai code [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli import giving, making
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Become, Report
from containai.flows import enter
from containai.host import proc


def run(
    app: App,
    target: Target,
    *,
    force: bool,
    skip_mounts: bool,
    read_only: bool = False,
    here: bool = False,
    show: bool = False,
) -> Become | Report:
    """Open an editor of this machine on the workspace in its box."""
    from containai.flows import editing

    wanted = enter.Wanted(force, skip_mounts, read_only)
    opened = editing.opened(app, target._replace(here=here), wanted, elsewhere=show)
    if not show:
        return Become(opened.argv, keep=giving.DESKTOP, given=_shell(app))
    editor, argv, place = opened
    value = {"editor": editor.name, "argv": argv, **place._asdict()}
    return Report(value, [f"{proc.describe(argv)}\n"])


def _shell(app: App) -> dict[str, str]:
    """Return the user's shell, which an editor starts in its terminals."""
    shell = app.host.login_shell(app.layout.uid)
    return {"SHELL": shell} if shell else {}


COMMANDS = (
    Command(
        "code",
        "open VS Code, or another editor, on the box of a workspace",
        run,
        group="box",
        arguments=(
            *making.ARGUMENTS,
            Argument("--show", "print the command that opens it, and open nothing"),
        ),
        examples=(
            Example("cai code", "on the box of this directory, which is made if need be"),
            Example("cai code ~/api --editor zed", "in Zed; by default the first that is there"),
            Example("cai code --show", "for an editor that is on another machine"),
        ),
        more="The editor is one of this machine and works in the box over plain ssh. Most put a "
        "server there, which outlives the box and which whatever runs in the box can change: they "
        "trust it more than a shell does (docs/how-to/editors.md).",
        has_target=True,
        value_needs=("--show",),
        asks=True,
    ),
)
