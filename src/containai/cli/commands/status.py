"""`cai status [PATH]`."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table, size

if TYPE_CHECKING:
    from containai.away.record import Entry
    from containai.boxes.box import Box
    from containai.flows.status import Seen, Sizes

#: How often a watched box is looked at, in seconds.
EVERY = 2.0


def run(app: App, target: Target, *, watch: bool, size: bool, processes: bool) -> Report:
    """Say how a box is, once or again and again."""
    from containai.boxes import locate
    from containai.flows import whereabouts

    entry = whereabouts.found(app, target)
    if entry is not None:
        return _away(app, entry, watch=watch)
    box = locate.existing(app.engine, target)
    if not watch:
        return _report(app, box, with_sizes=size, with_processes=processes)

    def frames() -> Iterator[Report]:
        from containai.boxes import lookup
        from containai.errors import BoxNotFoundError

        while True:
            now = lookup.get(app.engine, box.container)
            if now is None:
                raise BoxNotFoundError(f"the box {box.name!r} is gone", hint="see: cai ls")
            yield _report(app, now, with_sizes=size, with_processes=processes)
            time.sleep(EVERY)

    return Report(frames=frames())


def _away(app: App, entry: "Entry", *, watch: bool) -> Report:
    """Say how a box on a remote place is."""
    from containai.flows import away_look

    def report() -> Report:
        seen = away_look.look(app, entry)
        now, use = seen.seen, seen.use
        where = f"{entry.place}/{now.node}" if now.node else entry.place
        rows = [
            [str(now.status), f"{entry.name}{_since(use.since) if use else ''}"],
            ["workspace", entry.workspace],
            ["image", now.image],
            ["on", where],
            ["limits", seen.limits],
        ]
        if use is not None:
            rows += [
                ["memory", f"{size(use.memory)} of {size(use.memory_total)}"],
                ["processes", str(use.processes)],
                ["disk", size(use.disk)],
                ["address", use.address or "-"],
            ]
        value = {"name": entry.name, "on": entry.place, **now._asdict(), "use": use}
        notes = [Note(f"{entry.name}: {now.problem}", "see: cai ls")] if now.problem else []
        return Report(value, [Table(rows)], notes=notes)

    def frames() -> Iterator[Report]:
        while True:
            yield report()
            time.sleep(EVERY)

    return Report(frames=frames()) if watch else report()


def _report(app: App, box: "Box", *, with_sizes: bool, with_processes: bool) -> Report:
    from containai.boxes import kills
    from containai.flows import status, workspace_image

    seen = status.look(app, box, with_sizes=with_sizes, with_processes=with_processes)
    is_older = box.belongs_to(app.layout.uid) and bool(workspace_image.older(app, [box]))
    notes = [
        Note(f"{box.name}: {problem}", f"remove it: cai rm --name {box.name}")
        for problem in box.problems
    ]
    if is_older:
        hint = f"make it anew, which asks first: cai run --fresh --name {box.name}"
        notes.append(Note(f"{box.name} is made from an older image than new boxes", hint))
    # Those of this box stand there anyway.
    told = kills.news(app.engine)
    notes += [Note(kill.described(), kill.hint) for kill in told if kill.box != box.name]
    views = [Table(_rows(seen, is_older=is_older))]
    if seen.processes:
        views.append(Table(seen.processes[1:], seen.processes[0]))
    return Report(_value(seen, is_older=is_older), views, notes=notes)


def _rows(seen: "Seen", *, is_older: bool) -> list[list[str]]:
    box, load = seen.box, seen.load
    rows = [
        [str(box.status), f"{box.name}{_since(seen.since)}"],
        ["workspace", box.workspace],
        ["image", box.image + (" (older than that of new boxes)" if is_older else "")],
        ["ssh", f"127.0.0.1:{box.ssh_port}" if box.ssh_port else "-"],
        ["sessions", str(seen.sessions)],
        ["memory", _memory(seen)],
        ["processors", _processors(seen)],
        ["processes", _of(load.processes if load else None, box.limits.pids or 0)],
    ]
    if seen.sizes is not None:
        rows.append(["disk", in_words(seen.sizes)])
    told = [["ended", kill.described()] for kill in seen.kills]
    missed = (load.killed or 0) - len(told) if load else 0
    if missed > 0:
        told.append(["ended", f"{missed} processes since its start, for want of memory"])
    return rows + told


def _memory(seen: "Seen") -> str:
    from containai.boxes.limits import size as shown

    limit = seen.box.limits.memory
    most = f"of {shown(limit)}" if limit else "without a limit"
    used = seen.load.memory if seen.load else None
    if used is None:
        return f"- {most}"
    return f"{shown(used)} {most}" + (f" ({used / limit:.0%})" if limit else "")


def _processors(seen: "Seen") -> str:
    limit = seen.box.limits.cpus
    most = f"of {limit * 100:g} %" if limit else "without a limit"
    used = seen.load.cpu_percent if seen.load else None
    return f"{'-' if used is None else f'{used:g} %'} {most}"


def _of(used: int | None, limit: int) -> str:
    shown = "-" if used is None else str(used)
    return f"{shown} of {limit}" if limit else f"{shown} without a limit"


def in_words(sizes: "Sizes") -> str:
    """Return what a box takes on disk."""
    parts = {"of its own": sizes.root, "its Docker": sizes.docker, "data": sizes.data}
    said = [f"{size(count)} {what}" for what, count in parts.items() if count is not None]
    return ", ".join(said) or "-"


def _since(text: str) -> str:
    """Return since when, in the time of here; nothing where nobody knows."""
    import datetime

    try:
        at = datetime.datetime.fromisoformat(text[:19]).replace(tzinfo=datetime.UTC)
    except ValueError:
        return ""
    # Docker has the year 1 for never.
    return f", since {at.astimezone():%Y-%m-%d %H:%M}" if at.year > 1 else ""


def _value(seen: "Seen", *, is_older: bool) -> dict[str, Any]:
    processes = seen.processes
    if processes:
        head = [word.lower() for word in processes[0]]
        rows = [dict(zip(head, row, strict=True)) for row in processes[1:]]
    return seen.box._asdict() | {
        "since": seen.since,
        "is_older": is_older,
        "load": seen.load,
        "sizes": seen.sizes,
        "sessions": seen.sessions,
        "kills": seen.kills,
        "processes": rows if processes else None,
    }


COMMANDS = (
    Command(
        "status",
        "say how a box is: state, limits and what is used of them, sessions",
        run,
        group="boxes",
        arguments=(
            Argument("--watch", "go on, every two seconds, until Ctrl-C"),
            Argument("--size", "with what it takes on disk, which takes its time"),
            Argument("--processes", "with its processes"),
        ),
        examples=(
            Example("cai status", "the box of this directory"),
            Example("cai status --watch --name api", "a box by its name, for as long as you look"),
            Example("cai status --size --json", "all of it, for machines"),
        ),
        more="What is used is the kernel's own count. Processes that were ended for want of memory "
        "are named. --watch needs a terminal, or with --json prints a line each time.",
        has_target=True,
    ),
)
