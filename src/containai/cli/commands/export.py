"""`cai export [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.work.sizes import size


def run(app: App, target: Target, *, output: str | None) -> Report:
    """Write what outlives the workspace's box to a file."""
    from containai.flows import saving

    done = saving.export(app, target, output)
    note = Note("it holds logins: whoever reads it has them", "cai restore brings it back")
    return Report(done, [f"{done.file}: {size(done.size)}\n"], notes=[note])


COMMANDS = (
    Command(
        "export",
        "write the data volume of a workspace, and what its box is like, to one file",
        run,
        group="boxes",
        arguments=(
            Argument(
                "--output",
                "is replaced when all is written (default: the box's name and the day)",
                metavar="FILE",
                short="-o",
            ),
        ),
        examples=(
            Example("cai export", "that of this directory"),
            Example("cai export ~/api -o api.tar", ""),
        ),
        more="Logins, settings, sessions and history: what outlives a box. The workspace is yours "
        "to copy, and what else is in the box goes with it. The file is a tar archive with a "
        "description, a checksum and the data; only you may read it. A box that runs goes on: what "
        "changes meanwhile may be in it half. A box on a remote place is started for it.",
        has_target=True,
    ),
)
