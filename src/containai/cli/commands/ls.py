"""`cai ls`."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table

if TYPE_CHECKING:
    from containai.boxes.box import Box
    from containai.host.machine import Machine


def run(app: App, *, all: bool) -> Report:  # noqa: A002 - the option's name
    """List the user's boxes, or everybody's.

    Where nothing is set up there are none, and nothing is started.
    """
    from containai.boxes import locate

    listed = locate.listed(app.engine, everybodys=all)
    notes = [
        Note(f"{box.name}: {problem}", f"remove it: cai rm --name {box.name}")
        for box in listed
        if box.belongs_to(app.layout.uid)
        for problem in box.problems
    ]
    if not listed:
        notes.append(Note("there are no boxes yet", "make one: cai run"))
    older = _older(app, listed)
    if older:
        hint = f"make it anew, which asks first: cai run --fresh --name {older[0]}"
        notes.append(Note(f"made from an older image than new boxes: {', '.join(older)}", hint))
    value = [box._asdict() | {"is_older": box.name in older} for box in listed]
    return Report(value, [_table(app.host, listed, owners=all)], notes=notes)


def _older(app: App, listed: "list[Box]") -> list[str]:
    """Return the user's boxes that are not made from the image that a new one would get."""
    from containai.flows import workspace_image

    own = [box for box in listed if box.belongs_to(app.layout.uid)]
    return workspace_image.older(app, own) if own else []


def _table(host: "Machine", listed: "list[Box]", *, owners: bool) -> Table:
    head = ["BOX", *["OWNER"] * owners, "STATUS", "SSH", "WORKSPACE"]
    rows = [
        [
            box.name,
            *[host.user_name(box.owner)] * owners,
            str(box.status),
            f"127.0.0.1:{box.ssh_port}" if box.ssh_port else "-",
            box.workspace,
        ]
        for box in listed
    ]
    return Table(rows, head)


COMMANDS = (
    Command(
        "ls",
        "list the boxes",
        run,
        group="boxes",
        arguments=(Argument("--all", "list other users' boxes as well"),),
        examples=(
            Example("cai ls", "yours"),
            Example("cai ls --all --json", "everybody's, for machines"),
        ),
        more="A broken one is listed with what is wrong, and one from an older image as such.",
    ),
)
