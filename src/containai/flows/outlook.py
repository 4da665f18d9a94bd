"""How a box is, in rows for people and a value for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.flows.placed import Look
from containai.work.sizes import size

if TYPE_CHECKING:
    from containai.flows.away_look import Looked
    from containai.flows.status import Seen, Sizes


def of_here(app: App, seen: Seen) -> Look:
    """Return how a box of this machine is."""
    from containai.boxes import kills
    from containai.flows import workspace_image

    box = seen.box
    is_older = box.belongs_to(app.layout.uid) and bool(workspace_image.older(app, [box]))
    problems = [
        (f"{box.name}: {problem}", f"remove it: cai rm --name {box.name}")
        for problem in box.problems
    ]
    if is_older:
        hint = f"make it anew, which asks first: cai run --fresh --name {box.name}"
        problems.append((f"{box.name} is made from an older image than new boxes", hint))
    # Those of this box stand there anyway.
    told = kills.news(app.engine)
    problems += [(kill.described(), kill.hint) for kill in told if kill.box != box.name]
    return Look(
        _value(seen, is_older=is_older),
        _rows(seen, is_older=is_older),
        problems,
        seen.processes or (),
    )


def of_there(looked: Looked) -> Look:
    """Return how a box on a remote place is."""
    entry, now, use = looked.entry, looked.seen, looked.use
    rows = [
        [str(now.status), f"{entry.name}{_since(use.since) if use else ''}"],
        ["workspace", entry.workspace],
        ["image", now.image],
        ["on", f"{entry.place}/{now.node}" if now.node else entry.place],
        ["limits", looked.limits],
    ]
    if use is not None:
        rows += [
            ["memory", f"{size(use.memory)} of {size(use.memory_total)}"],
            ["processes", str(use.processes)],
            ["disk", size(use.disk)],
            ["address", use.address or "-"],
        ]
    value = {"name": entry.name, "on": entry.place, **now._asdict(), "use": use}
    problems = [(f"{entry.name}: {now.problem}", "see: cai ls")] if now.problem else []
    return Look(value, rows, problems)


def _rows(seen: Seen, *, is_older: bool) -> list[list[str]]:
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
        rows.append(["disk", _in_words(seen.sizes)])
    told = [["ended", kill.described()] for kill in seen.kills]
    missed = (load.killed or 0) - len(told) if load else 0
    if missed > 0:
        told.append(["ended", f"{missed} processes since its start, for want of memory"])
    return rows + told


def _memory(seen: Seen) -> str:
    from containai.boxes.limits import size as shown

    limit = seen.box.limits.memory
    most = f"of {shown(limit)}" if limit else "without a limit"
    used = seen.load.memory if seen.load else None
    if used is None:
        return f"- {most}"
    return f"{shown(used)} {most}" + (f" ({used / limit:.0%})" if limit else "")


def _processors(seen: Seen) -> str:
    limit = seen.box.limits.cpus
    most = f"of {limit * 100:g} %" if limit else "without a limit"
    used = seen.load.cpu_percent if seen.load else None
    return f"{'-' if used is None else f'{used:g} %'} {most}"


def _of(used: int | None, limit: int) -> str:
    shown = "-" if used is None else str(used)
    return f"{shown} of {limit}" if limit else f"{shown} without a limit"


def _in_words(sizes: Sizes) -> str:
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


def _value(seen: Seen, *, is_older: bool) -> dict[str, Any]:
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
