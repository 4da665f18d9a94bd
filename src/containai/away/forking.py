"""Forks: boxes that begin as another one is, each with a name, a host key and a machine id its own.

What was killed in the middle is not whole, and says of which box it was to be a fork: the next fork
of that removes it.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from containai.away import design, record
from containai.away.lifecycle import AwayBoxes, broken
from containai.away.place import Seen, Snapshot, Twin
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.boxes.workspace import Workspace
from containai.errors import BoxNotFoundError, BoxStartError, NameTakenError
from containai.ssh import hosts
from containai.work.ui import Progress

#: What the snapshot is called that forks are made of, as long as they are.
SNAPSHOT = "cai-fork"
#: The longest name of a box.
_LONGEST = 63
#: Empty and as systemd has it: the box makes up its own. One that only root could read left
#: networkd, which is not root, without an address.
_MACHINE_ID = {"etc/machine-id": ("", 0o444)}


def ready(boxes: AwayBoxes, entry: Entry) -> Seen:
    """Return a box of which there can be a snapshot. Raises BoxNotFoundError, BoxStartError."""
    seen = boxes.existing(entry)
    if seen.status is Status.BROKEN:
        raise broken(entry.name, seen)
    if not seen.is_whole:
        raise BoxStartError(
            f"the box {entry.name!r} is half made", hint=f"end that: cai run --name {entry.name}"
        )
    return seen


def tidy(boxes: AwayBoxes, entry: Entry, say: Callable[[str], None]) -> None:
    """Remove what a fork of a box left that was killed. The box is held."""
    for seen in boxes.place.every(timeout=60.0):
        is_own = seen.owner == boxes.place.owner and seen.origin == entry.instance
        if is_own and not seen.is_whole:
            say(f"removing what an interrupted fork left: {seen.name}")
            boxes.place.remove(seen.instance)
            boxes.forget(Entry(seen.name, boxes.place.name, seen.instance, seen.workspace))
    boxes.place.drop(entry.instance, SNAPSHOT)


def existing(boxes: AwayBoxes, entry: Entry, name: str) -> Snapshot:
    """Return a snapshot of a box. Raises BoxNotFoundError."""
    boxes.existing(entry)
    for each in boxes.place.snapshots(entry.instance):
        if each.name == name:
            return each
    raise BoxNotFoundError(
        f"the box {entry.name!r} has no snapshot {name!r}",
        hint=f"see: cai snapshot ls {entry.name}",
    )


def names(boxes: AwayBoxes, entry: Entry, count: int) -> list[str]:
    """Return names for so many forks: NAME-2, NAME-3, those that are free."""
    every = (_numbered(entry.name, number) for number in itertools.count(2))
    return list(itertools.islice((each for each in every if _free(boxes, each)), count))


@contextmanager
def of_now(boxes: AwayBoxes, entry: Entry, progress: Progress) -> Iterator[str]:
    """Have a snapshot to make forks of, by its name. The box is held."""
    boxes.place.take(entry.instance, SNAPSHOT, progress)
    try:
        yield SNAPSHOT
    finally:
        boxes.place.drop(entry.instance, SNAPSHOT)


def make(
    boxes: AwayBoxes,
    entry: Entry,
    name: str,
    snapshot: str,
    workspace: Workspace,
    progress: Progress,
    hand_on: Callable[[], None],
) -> Entry:
    """Make a fork of a box from a snapshot of it; it is not started. Raises NameTakenError.

    `hand_on` is called before it is whole: for what else there is to know of it.
    """
    _checked(boxes, name)
    with boxes.held(name):
        instance = _checked(boxes, name)
        fork = Entry(name, boxes.place.name, instance, entry.workspace)
        key = hosts.new_key(boxes.host)
        with ExitStack() as undo:
            record.put(boxes.layout, fork)
            undo.callback(boxes.forget, fork)
            twin = Twin(instance, name, key.public, entry.instance, snapshot)
            boxes.place.copy(twin, progress)
            undo.callback(boxes.give_up, instance)
            boxes.place.put(instance, boxes.given(key) | _MACHINE_ID)
            block = boxes.block(fork, workspace, "")
            hosts.publish(boxes.layout, name, block, key.public)
            hand_on()
            boxes.place.finish(instance)
            undo.pop_all()
    return fork


def _numbered(name: str, number: int) -> str:
    end = f"-{number}"
    return name[: _LONGEST - len(end)].rstrip("-") + end


def _checked(boxes: AwayBoxes, name: str) -> str:
    """Return what a new box is called on its place. Raises NameTakenError."""
    instance = _free(boxes, name)
    if not instance:
        raise NameTakenError(
            f"there is a box {name!r}", hint="choose another name: cai fork --as NAME"
        )
    return instance


def _free(boxes: AwayBoxes, name: str) -> str:
    """Return what a box of a name would be called on its place; "" where there is one.

    A name that was noted, and has neither a host block nor a box, is of one that was killed.
    """
    known = record.every(boxes.layout).get(name)
    is_elsewhere = known is not None and known.place != boxes.place.name
    if is_elsewhere or os.path.exists(boxes.layout.ssh_block(name)):
        return ""
    for instance in design.instances(name, boxes.place.owner):
        seen = boxes.place.find(instance)
        if seen is None:
            return instance
        if seen.owner == boxes.place.owner:
            return ""
    return ""
