"""`cai restore FILE [PATH]`."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.work.sizes import size

if TYPE_CHECKING:
    from containai.flows.saving import Restored


def run(app: App, target: Target, *, file: str) -> Report:
    """Bring back what cai export wrote."""
    from containai.flows import saving

    done = saving.restore(app, file, target)
    return Report(done, [f"{done.volume}: {size(done.data_size)} restored\n"], notes=_notes(done))


def _notes(done: "Restored") -> list[Note]:
    import shlex

    notes = [Note(f"the box {name} was stopped", "cai run starts it") for name in done.stopped]
    if done.box:
        name, image, limits = (done.box.get(key) for key in ("name", "image", "limits"))
        was = f"it was the box {name}, of {image}, with {limits}"
        notes.append(Note(was[:300], f"cai run {shlex.quote(done.workspace)}"))
    return notes


COMMANDS = (
    Command(
        "restore",
        "bring back what cai export wrote, into the data volume of a workspace",
        run,
        group="boxes",
        arguments=(Argument("FILE", "of cai export or cai volume backup", required=True),),
        examples=(
            Example("cai restore api.tar", "for this directory; asks where there is data"),
            Example("cai restore api.tar ~/api", ""),
        ),
        more="What is there goes only when all of the file is unpacked and its checksum is right; "
        "until then, and where anything fails, nothing is changed. Boxes that have the volume are "
        "stopped for it. The file may be anybody's: it is unpacked with the rights of a box. What "
        "it says of the box is shown and not done; but what is in it will be run and read by your "
        "agents: take it from whom you would take a program. It goes into volumes of this machine.",
        has_target=True,
        asks=True,
    ),
)
