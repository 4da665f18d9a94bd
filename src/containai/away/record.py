"""Which boxes of a user are on remote places: a file of the user's own, as no place is asked.

A name is one box's over all places. An entry is written before its box is made, and goes after it.
"""

import contextlib
import os
from typing import NamedTuple

from containai.boxes import workspace as workspaces
from containai.boxes.target import Target
from containai.errors import DamagedError, WorkspaceError
from containai.host import files
from containai.layout import Layout

#: The version of the file's form.
VERSION = 1


class Entry(NamedTuple):
    """A box: its name here, the place, what it is called there, and its workspace's real path."""

    name: str
    place: str
    instance: str
    workspace: str


def every(layout: Layout) -> dict[str, Entry]:
    """Return the user's boxes on remote places, by name. Raises DamagedError."""
    text = files.read(layout.away)
    if text is None:
        return {}
    try:
        return parsed(text)
    except ValueError:
        raise DamagedError(
            f"{layout.away} is damaged",
            hint=f"move it away: mv {layout.away} {layout.away}.old; its boxes stay where they are",
        ) from None


def parsed(text: str) -> dict[str, Entry]:
    """Return the boxes that a file has, by name. Raises ValueError."""
    try:
        said = files.from_json(text)
        if said["version"] != VERSION:
            raise ValueError(f"it is of version {said['version']!r}")
        return {
            str(name): Entry(str(name), *(str(each[key]) for key in Entry._fields[1:]))
            for name, each in said["boxes"].items()
        }
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it says of no box where that is") from None


def find(layout: Layout, target: Target) -> Entry | None:
    """Return the box of a target that is on a remote place, or None.

    One of a workspace is that of its own name, or the only other one. Raises DamagedError.
    """
    known = every(layout)
    if not known:
        return None
    if target.name is not None:
        return known.get(target.name)
    try:
        exact = target.here
        path = workspaces.resolve(layout, target.path, force=True, exact=exact).path
    except WorkspaceError:
        return None
    name = workspaces.box_name(path, layout.uid)
    if name in known:
        return known[name]
    if os.path.exists(layout.ssh_block(name)):
        return None
    others = [entry for entry in known.values() if entry.workspace == path]
    return others[0] if len(others) == 1 else None


def put(layout: Layout, entry: Entry) -> None:
    """Note a box, in the place of what was known of its name."""
    with _changing(layout):
        _write(layout, every(layout) | {entry.name: entry})


def rename(layout: Layout, entry: Entry, new: str) -> None:
    """Know a box by another name."""
    with _changing(layout):
        known = every(layout)
        known.pop(entry.name, None)
        _write(layout, known | {new: entry._replace(name=new)})


def forget(layout: Layout, name: str) -> None:
    """Know nothing of a box any more."""
    with _changing(layout):
        known = every(layout)
        if known.pop(name, None) is not None:
            _write(layout, known)


def _changing(layout: Layout) -> contextlib.AbstractContextManager[None]:
    lock = os.path.join(layout.state_dir, "away.lock")
    return files.lock(lock, wait=30, what="the boxes on remote places")


def _write(layout: Layout, known: dict[str, Entry]) -> None:
    import json

    if not known:
        files.remove(layout.away)
        return
    boxes = {name: each._asdict() for name, each in sorted(known.items())}
    for each in boxes.values():
        del each["name"]
    text = json.dumps({"version": VERSION, "boxes": boxes}, indent=2) + "\n"
    files.write(layout.away, text, 0o600)
