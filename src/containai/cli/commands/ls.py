"""`cai ls`."""

from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table
from containai.layout import LOCAL

if TYPE_CHECKING:
    from containai.boxes.box import Box
    from containai.flows.away_look import Answer, Away
    from containai.host.machine import Machine


def run(
    app: App,
    *,
    all: bool,  # noqa: A002 - the option's name
    size: bool = False,
    load: bool = False,
    spares: bool = False,
) -> Report:
    """List the user's boxes, or everybody's.

    Where nothing is set up there are none, and nothing is started.
    """
    from containai.boxes import kills, locate
    from containai.flows import whereabouts

    if spares:
        return _spares(app)
    place = whereabouts.said(app)
    listed = locate.listed(app.engine, everybodys=all) if place in ("", LOCAL) else []
    answers: list[Answer] = []
    if place != LOCAL and whereabouts.has_places(app):
        from containai.flows import away_look

        answers = away_look.listed(app, everybodys=all, on=place)
    there = [each for answer in answers for each in answer.boxes]
    notes = [
        Note(f"{box.name}: {problem}", f"remove it: cai rm --name {box.name}")
        for box in listed
        if box.belongs_to(app.layout.uid)
        for problem in box.problems
    ]
    notes += [Note(each.problem, each.hint) for each in answers if each.problem]
    notes += [Note(f"{each.name}: {text}") for each in there for text in each.problems]
    if not listed and not there:
        where = (f" on {place}", f" --on {place}") if place else (" yet", "")
        notes.append(Note(f"there are no boxes{where[0]}", f"make one: cai run{where[1]}"))
    older = _older(app, listed)
    if older:
        hint = f"make it anew, which asks first: cai run --fresh --name {older[0]}"
        notes.append(Note(f"made from an older image than new boxes: {', '.join(older)}", hint))
    notes += (
        [Note(kill.described(), kill.hint) for kill in kills.news(app.engine)] if listed else []
    )
    value = [box._asdict() | {"is_older": box.name in older, "on": LOCAL} for box in listed]
    rows: list[list[str]] = [[] for _ in listed]
    head: list[str] = []
    if listed and (size or load):
        head, rows = _measured(app, listed, value, size=size, load=load)
    table = _table(app.host, listed, owners=all)
    wide = [[*row[:-1], *more, row[-1]] for row, more in zip(table.rows, rows, strict=True)]
    table = Table(wide, [*table.head[:-1], *head, table.head[-1]])
    if answers:
        table = _with_places(table, there, owners=all, more=len(head))
    value += [each.value for each in there]
    return Report(value, [table], notes=notes)


def _with_places(table: Table, there: "list[Away]", *, owners: bool, more: int) -> Table:
    """Return a table of boxes with where they are, and those that are not here."""
    rows = [[*row[:-1], LOCAL, row[-1]] for row in table.rows]
    rows += [
        [
            each.name,
            *[each.owner or "you"] * owners,
            each.status,
            "-",
            *["-"] * more,
            each.where,
            each.workspace,
        ]
        for each in there
    ]
    return Table(rows, [*table.head[:-1], "ON", table.head[-1]])


def _spares(app: App) -> Report:
    """List the user's boxes that wait for a workspace."""
    from containai.boxes import spares
    from containai.engine import daemon

    found = spares.unclaimed(app.engine) if daemon.reachable(app.host) else []
    value = [
        {
            "name": each.name,
            "container": each.id,
            "image": each.image,
            "created": each.created,
            "is_ready": spares.is_ready(app.layout, each),
        }
        for each in found
    ]
    rows = [
        [str(row["name"]), "ready" if row["is_ready"] else "not ready", str(row["image"])]
        for row in value
    ]
    count = spares.wanted(app.host, app.settings.box_spares)
    hint = "cai run makes them, beside a box" if count else "cai config set box.spares 1"
    notes = [] if found else [Note("there are no spare boxes", hint)]
    return Report(value, [Table(rows, ["SPARE", "STATE", "IMAGE"])], notes=notes)


def _measured(
    app: App, listed: "list[Box]", value: list[dict[str, Any]], *, size: bool, load: bool
) -> tuple[list[str], list[list[str]]]:
    """Return more columns, and put into the values what they are made of; "-" is not known."""
    from containai.boxes import limits
    from containai.flows import status
    from containai.work.sizes import size as shown

    loads = status.loads(app, listed) if load else {}
    sizes = status.measured(app, listed) if size else {}
    rows = []
    for box, each in zip(listed, value, strict=True):
        used, taken = loads.get(box.container), sizes.get(box.container)
        each |= {"load": used} if load else {}
        each |= {"sizes": taken} if size else {}
        memory = limits.size(used.memory) if used and used.memory is not None else "-"
        cpu = f"{used.cpu_percent:g}%" if used and used.cpu_percent is not None else "-"
        known = [count for count in taken or () if count is not None]
        disk = shown(sum(known)) if known else "-"
        rows.append([*[memory, cpu] * load, *[disk] * size])
    return [*["MEMORY", "CPU"] * load, *["DISK"] * size], rows


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
        arguments=(
            Argument("--all", "list other users' boxes as well"),
            Argument("--load", "with the memory and processors they use now"),
            Argument("--size", "with what they take on disk, which takes its time"),
            Argument("--spares", "list those that wait for a workspace, and nothing else"),
        ),
        examples=(
            Example("cai ls", "yours"),
            Example("cai ls --load --size", "with what they use"),
            Example("cai ls --all --json", "everybody's, for machines"),
        ),
        more="A broken one is listed with what is wrong, and one from an older image as such. "
        "Those on remote places are among them, and a place that does not answer is named.",
        of_place=True,
    ),
)
