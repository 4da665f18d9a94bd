"""`cai ssh list|config|cleanup`."""

from containai.app import App
from containai.cli import naming
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table


def list_(app: App) -> Report:
    """List what ssh has of the user's boxes."""
    from containai.boxes import entries

    found = entries.listed(app.engine)
    notes = [
        Note(
            f"{each.name}: {problem}",
            "cai ssh cleanup"
            if each.state == entries.GONE
            else f"entering it mends that: cai run --name {each.name}",
        )
        for each in found
        for problem in each.problems
    ]
    if any(each.state == entries.UNKNOWN for each in found):
        notes.append(
            Note("the engine does not answer: nobody knows how boxes are", "cai engine start")
        )
    notes += _include(app)
    rows = [
        [
            each.name,
            each.state,
            f"127.0.0.1:{each.port}" if each.port else "-",
            "yes" if each.connected else "no",
            each.workspace or "-",
        ]
        for each in found
    ]
    head = ["HOST", "BOX", "ADDRESS", "CONNECTED", "WORKSPACE"]
    return Report(found, [Table(rows, head)] if rows else [], notes=notes)


def _include(app: App) -> list[Note]:
    from containai.ssh import include

    layout = app.layout
    if include.is_put(layout):
        return []
    line = include.line(layout.ssh_blocks)
    why = include.why_not(layout)
    said = f"plain ssh does not find boxes: {layout.ssh_config} does not begin with {line}"
    if why:
        return [Note(f"{said} ({why})", "have whatever makes it put that line there")]
    return [Note(said, "cai doctor --fix puts it there, and so does the next box")]


def config(app: App, *, box: str | None) -> Report:
    """Show a box's host block."""
    from containai.flows import whereabouts

    placed = whereabouts.box(app, naming.target(box), to_enter=True)
    name, file = placed.name, app.layout.ssh_block(placed.name)
    text, is_stale = placed.block()
    notes = []
    if is_stale:
        notes = [Note(f"{file} does not say so yet", f"it does once cai run --name {name} ran")]
    words = [line.split(None, 1) for line in text.splitlines() if line.startswith(" ")]
    options = {each[0]: each[1] for each in words if len(each) == 2}
    return Report({"name": name, "file": file, "options": options}, [text], notes=notes)


def cleanup(app: App, *, dry_run: bool) -> Report:
    """Remove what ssh has of boxes that are gone."""
    from containai.boxes import entries

    left = entries.gone(app.engine)
    if not dry_run:
        left = entries.remove(app.engine, left)
    word = "would be removed" if dry_run else "removed"
    lines = [f"{word}: host block, pinned key and connection of {name}\n" for name in left.names]
    lines += [f"{word}: {path}, which nobody listens on\n" for path in left.sockets]
    value = left._asdict() | {"removed": not dry_run}
    return Report(value, lines or ["nothing is left of boxes that are gone\n"])


COMMANDS = (
    Command(
        "ssh list",
        "list what ssh has of boxes, and what is wrong with it",
        list_,
        group="boxes",
        examples=(Example("cai ssh list", "names, addresses, and whether cai is connected"),),
        more="Works while the engine is silent, too. A name is a host of your ssh: ssh NAME.",
    ),
    Command(
        "ssh config",
        "show the host block of a box",
        config,
        group="boxes",
        arguments=(naming.BOX,),
        examples=(
            Example("cai ssh config", "of the box of this directory"),
            Example("cai ssh config api", "by its name, for a program that does not heed Include"),
        ),
        more="It is what ~/.ssh/containai.d has for it. Key and pinned key are files of this "
        "machine, which it names.",
    ),
    Command(
        "ssh cleanup",
        "remove what ssh has of boxes that are gone",
        cleanup,
        group="boxes",
        arguments=(Argument("--dry-run", "say it, and change nothing"),),
        examples=(
            Example("cai ssh cleanup --dry-run", ""),
            Example("cai ssh cleanup", "host blocks, pinned keys, connections, dead sockets"),
        ),
        more="cai rm does so for its box. Where the engine does not answer, nobody knows which "
        "boxes are gone, and nothing is removed.",
    ),
)
