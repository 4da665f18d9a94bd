"""`cai pull [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.commands.push import left_out
from containai.cli.report import Note, Report

_SHOWN = 10


def run(app: App, target: Target, *, merge: bool) -> Report:
    """Fetch what is new in a box."""
    from containai.flows import transferring
    from containai.transfer.plain import Exchanged

    pulled = transferring.pull(app, target, merge=merge)
    notes = left_out(pulled.left_out)
    if isinstance(pulled, Exchanged):
        return Report(pulled, [f"{pulled.put} files came, {pulled.gone} went\n"], 0, notes)
    text = f"{pulled.commits} commits and {pulled.changed} files not committed: {pulled.work}\n"
    if pulled.merged is not None:
        notes += left_out(pulled.merged.left_out)
        text = f"{pulled.merged.files} files changed here\n"
    if pulled.odd:
        some = "\n  ".join(f"{each.path}: {each.why}" for each in pulled.odd[:_SHOWN])
        dots = "\n  …" if len(pulled.odd) > _SHOWN else ""
        notes.append(Note(f"look at this before you use it:\n  {some}{dots}"))
    return Report(pulled, [text], 0, notes)


COMMANDS = (
    Command(
        "pull",
        "fetch what a box on another machine has done",
        run,
        group="box",
        arguments=(
            Argument("--merge", "merge it into the work tree; without, it is only fetched"),
        ),
        examples=(
            Example("cai pull", "then, for example: git diff HEAD...cai-api/work"),
            Example("cai pull --merge", "and have it in the work tree"),
        ),
        more="Of a git repository: it becomes cai-NAME/work, with all that the box has done, "
        "cai-NAME/head, the commit that it is at, and its branches. --merge changes the work "
        "tree only where nothing of yours is in the way; what the box has not committed is "
        "not committed here, either. Elsewhere: files come into the workspace, unless both sides "
        "have changed the same. Hooks and configuration of the box's repository never come, "
        "nor do links that lead out and names that git, or a terminal, would follow.",
        has_target=True,
    ),
)
