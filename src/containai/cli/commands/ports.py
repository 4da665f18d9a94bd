"""`cai ports [BOX]`."""

from containai.app import App
from containai.cli import naming
from containai.cli.command import Command, Example
from containai.cli.report import Note, Report, Table


def run(app: App, *, box: str | None) -> Report:
    """List what listens in a box."""
    from containai.boxes.box import Status
    from containai.flows import listening, reaching

    found = reaching.existing(app, naming.target(box))
    seen = listening.listeners(app, found)
    notes = []
    if found.status is not Status.RUNNING:
        notes = [Note(f"{found.name} is {found.status}: nothing listens in it", "cai start")]
    rows = [
        [str(each.port), " ".join(each.addresses), str(each.pid or "-"), each.process or "-"]
        for each in seen
    ]
    table = Table(rows, ["PORT", "ADDRESS", "PID", "PROCESS"]) if rows else Table([])
    return Report({"name": found.name, "listening": seen}, [table], notes=notes)


COMMANDS = (
    Command(
        "ports",
        "list what listens in a box",
        run,
        group="box",
        arguments=(naming.BOX,),
        examples=(
            Example("cai ports", "in the box of this directory"),
            Example("cai ports api --json", "in a box by its name, for machines"),
        ),
        more="TCP ports, those on the box's own loopback, too. Nothing outside the box reaches one "
        "of them until you say so: cai forward.",
    ),
)
