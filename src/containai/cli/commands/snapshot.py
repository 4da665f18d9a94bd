"""`cai snapshot add|ls|restore|rm`."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.cli import naming
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Report, Table
from containai.work.sizes import size

if TYPE_CHECKING:
    from containai.flows.placed import Placed


def add(app: App, *, box: str | None, name: str | None) -> Report:
    """Keep how a box is now."""
    placed = _placed(app, box)
    taken = placed.snapshots.add(name)
    return Report({"name": placed.name, "snapshot": taken}, [f"{taken}\n"])


def _placed(app: App, box: str | None) -> "Placed":
    from containai.flows import whereabouts

    return whereabouts.box(app, naming.target(box))


def ls(app: App, *, box: str | None) -> Report:
    """List the snapshots of a box."""
    placed = _placed(app, box)
    rows = placed.snapshots.listed()
    cells = [[each.name, each.created, _size(each.size)] for each in rows]
    views = [Table(cells, ["SNAPSHOT", "TAKEN", "SIZE"])] if rows else []
    return Report({"name": placed.name, "snapshots": rows}, views)


def _size(number: int) -> str:
    return size(number) if number >= 0 else "-"


def restore(app: App, *, box: str, name: str) -> Report:
    """Have a box as it was."""
    placed = _placed(app, box)
    runs = placed.snapshots.restore(name)
    text = f"{placed.name} is as it was at {name}, and {'runs' if runs else 'is off'}\n"
    return Report({"name": placed.name, "snapshot": name, "runs": runs}, [text])


def rm(app: App, *, box: str, name: str) -> Report:
    """Remove a snapshot."""
    placed = _placed(app, box)
    placed.snapshots.remove(name)
    return Report({"name": placed.name, "removed": name}, [f"removed: {name}\n"])


_BOX = Argument(
    "BOX", "its name, or the path of its workspace; . is the box of this directory", required=True
)
_NAME = Argument("NAME", "the snapshot", required=True)

COMMANDS = (
    Command(
        "snapshot add",
        "keep how a box on a server is now",
        add,
        group="boxes",
        arguments=(
            naming.BOX,
            Argument("NAME", "what it is called (default: snapshot-1, -2, …)", parse=box_name),
        ),
        examples=(
            Example("cai snapshot add", "of the box of this directory"),
            Example("cai snapshot add api before-upgrade", "by names of your choice"),
        ),
        more="The box runs on; what is kept is its disk, as after a power cut: work, data, and "
        "images and volumes of its Docker. It is on the box's own disk there, takes room only for "
        "what changes, goes with the box, and is no backup. Boxes of this machine have no "
        "snapshots, for now; what outlives them is in a data volume (cai export, cai restore).",
    ),
    Command(
        "snapshot ls",
        "list the snapshots of a box",
        ls,
        group="boxes",
        arguments=(naming.BOX,),
        examples=(
            Example("cai snapshot ls", "the box of this directory"),
            Example("cai snapshot ls api --json", "a box by its name, for machines"),
        ),
        more="SIZE is what only the snapshot has, where the server knows it.",
    ),
    Command(
        "snapshot restore",
        "have a box as it was at a snapshot",
        restore,
        group="boxes",
        arguments=(_BOX, _NAME),
        examples=(Example("cai snapshot restore api before-upgrade", "asks first"),),
        more="All that is newer in the box goes. One that runs is ended at once, and started "
        "again. Its limits, name and keys stay, and cai push and cai pull know which work it has "
        "again. Newer snapshots stay where the server's storage can. (cai restore is for what cai "
        "export wrote.)",
        asks=True,
    ),
    Command(
        "snapshot rm",
        "remove a snapshot of a box",
        rm,
        group="boxes",
        arguments=(_BOX, _NAME),
        examples=(Example("cai snapshot rm api before-upgrade", ""),),
    ),
)
