"""`cai move [BOX] --to NODE`."""

from containai.app import App
from containai.cli import naming
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report
from containai.errors import UsageError


def run(app: App, *, box: str | None, to: str | None) -> Report:
    """Move a box to another node of its cluster."""
    if not to:
        raise UsageError("move needs --to NODE", hint="for example: cai move api --to node2")
    from containai.flows import whereabouts

    moving = whereabouts.box(app, naming.target(box))
    seen = moving.move(to)
    value = {"name": moving.name, "node": seen.node, "status": str(seen.status)}
    return Report(value, [f"{moving.name} is on {moving.on}/{seen.node}, {seen.status}\n"])


COMMANDS = (
    Command(
        "move",
        "move a box to another node of its cluster",
        run,
        group="boxes",
        arguments=(
            naming.BOX,
            Argument("--to", "the node: cai remote show names them", metavar="NODE"),
        ),
        examples=(
            Example("cai move api --to node2", "asks first where it runs"),
            Example("cai move --to node2 --yes", "the box of this directory"),
        ),
        more="A box that runs is shut down for that, and started again. All that it has goes "
        "along, its snapshots too; ssh finds it as before. Its address in the server's network is "
        "another, and so are its ids where another box there has the same. Where it fails, the box "
        "stays where it is, and runs again.",
        asks=True,
    ),
)
