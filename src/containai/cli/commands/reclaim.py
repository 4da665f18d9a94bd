"""`cai reclaim [PATH]`."""

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report

#: How many of the files that could not be changed are named.
_SHOWN = 10
#: The exit code where some could not.
FOUND = 1


def run(app: App, *, path: str | None, dry_run: bool) -> Report:
    """Make the owner of a workspace the owner of what other users of its boxes made in it."""
    from containai.flows import reclaim

    done = reclaim.reclaim(app, path, dry_run=dry_run)
    verb = "would belong" if dry_run else "now belong"
    text = f"{done.changed} files and directories {verb} to {done.owner}\n"
    value = done._asdict() | {"dry_run": dry_run}
    if not done.problems:
        return Report(value, [text])
    some = "\n  ".join(done.problems[:_SHOWN])
    failed = Note(f"{len(done.problems)} could not be changed:\n  {some}")
    return Report(value, [text], FOUND, [failed])


COMMANDS = (
    Command(
        "reclaim",
        "make files that others in a box made in a workspace its owner's",
        run,
        group="boxes",
        arguments=(
            Argument("PATH", "a workspace, or what is in one (default: here)"),
            Argument("--dry-run", "only say how many files it is"),
        ),
        examples=(Example("cai reclaim --dry-run", "how many files here it is"),),
        more="They are what root, services and nested containers of boxes made there. Set-user-id "
        "and set-group-id bits and capabilities of these files go. No link is followed, and "
        "files of anybody else are left alone. Refused while a box of that workspace runs, "
        "whose services would lose them. Ends with 1 where something could not be changed; "
        "can be run again.",
    ),
)
