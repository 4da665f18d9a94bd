"""`cai push [PATH]`."""

from collections.abc import Sequence

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.host.unpack import LeftOut

#: How many of the files that were left out are named.
_SHOWN = 10


def run(app: App, target: Target, *, ignored: Sequence[str] | None) -> Report:
    """Bring what is new of a workspace into its box."""
    from containai.flows import transferring

    pushed = transferring.push(app, target, ignored or ())
    text = f"{pushed.bytes / 1e6:.1f} MB went\n"
    return Report(pushed, [text], 0, left_out(pushed.left_out))


def left_out(names: Sequence[LeftOut]) -> list[Note]:
    """Return what is said of files that did not go along."""
    if not names:
        return []
    some = "\n  ".join(f"{each.name}: {each.why}" for each in names[:_SHOWN])
    dots = "\n  …" if len(names) > _SHOWN else ""
    return [Note(f"this did not go along, or not as it is:\n  {some}{dots}")]


COMMANDS = (
    Command(
        "push",
        "bring what is new here into a box on another machine",
        run,
        group="box",
        arguments=(
            Argument(
                "--ignored",
                "a file or directory that git ignores, to go along all the same",
                metavar="FILE",
                many=True,
            ),
        ),
        examples=(
            Example("cai push", "from this directory into its box"),
            Example("cai push --ignored .env", "and a file that git ignores"),
        ),
        more="Of a git repository: its commits, and what is not committed, which is not committed "
        "there, either. Submodules stay here. Elsewhere: all files that have changed. Where the "
        "box has changed the same, nothing is done, and it is said what is in the way.",
        has_target=True,
    ),
)
