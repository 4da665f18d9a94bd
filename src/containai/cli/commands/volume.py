"""`cai volume ls|rm|backup|restore`."""

from collections.abc import Sequence

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table
from containai.work.sizes import size

NAMES = Argument("VOLUME", "data volumes by name", required=True, many=True)


def ls(app: App, *, sizes: bool) -> Report:
    """List the user's data volumes."""
    from containai.flows import volumes

    rows = volumes.listed(app, sizes=sizes)
    head = ["VOLUME", "WORKSPACE", *(["SIZE"] if sizes else []), "BOXES"]
    cells = [
        [
            row.name,
            row.workspace or "-",
            *(["-" if row.size is None else size(row.size)] if sizes else []),
            ", ".join(row.boxes) or "-",
        ]
        for row in rows
    ]
    return Report(rows, [Table(cells, head)] if rows else [])


def rm(app: App, *, volume: Sequence[str]) -> Report:
    """Remove data volumes."""
    from containai.flows import volumes

    names = volumes.remove(app, volume)
    return Report({"removed": names}, [f"removed: {name}\n" for name in names])


def backup(app: App, *, volume: str, file: str) -> Report:
    """Write a data volume to a file."""
    from containai.flows import saving

    done = saving.backup(app, volume, file)
    views = [] if done.file == saving.STDOUT else [f"{done.file}: {size(done.size)}\n"]
    return Report(done, views)


def restore(app: App, *, file: str, volume: str | None) -> Report:
    """Have what is in a file in a data volume."""
    from containai.flows import saving

    done = saving.restore_volume(app, file, volume)
    notes = [Note(f"the box {name} was stopped", "cai run starts it") for name in done.stopped]
    return Report(done, [f"{done.volume}: {size(done.data_size)} restored\n"], notes=notes)


COMMANDS = (
    Command(
        "volume ls",
        "list data volumes: what outlives boxes",
        ls,
        group="boxes",
        arguments=(Argument("--sizes", "how much is in each, which takes longer"),),
        examples=(
            Example("cai volume ls", "whose they are, and which boxes have them"),
            Example("cai volume ls --sizes", ""),
        ),
        more="One that no box has stays for the next box of its workspace.",
    ),
    Command(
        "volume rm",
        "remove data volumes that no box has",
        rm,
        group="boxes",
        arguments=(NAMES,),
        examples=(Example("cai volume rm api-1a2b3c4d", "asks first"),),
        more="Logins, settings and history in it are gone then. `cai rm --data` removes a box with "
        "its own.",
        asks=True,
    ),
    Command(
        "volume backup",
        "write a data volume to one file",
        backup,
        group="boxes",
        arguments=(
            Argument("VOLUME", "a data volume by name", required=True),
            Argument("FILE", "is replaced when all is written; - is stdout", required=True),
        ),
        examples=(
            Example("cai volume backup api-1a2b3c4d api.tar", ""),
            Example("cai volume backup shared -", "to what is behind a pipe"),
        ),
        more="The file is that of `cai export`, without what a box is like. It holds logins; only "
        "you may read it.",
    ),
    Command(
        "volume restore",
        "have what is in a file in a data volume",
        restore,
        group="boxes",
        arguments=(
            Argument("FILE", "of cai volume backup or cai export", required=True),
            Argument("VOLUME", "a data volume by name (default: the one that it was of)"),
        ),
        examples=(
            Example("cai volume restore shared.tar", "asks where it is there"),
            Example("cai volume restore api.tar copy", "into another one"),
        ),
        more="As `cai restore`, by the volume's name: what is there goes only when all of the file "
        "is unpacked and its checksum is right. Boxes that have it are stopped for it.",
        asks=True,
    ),
)
