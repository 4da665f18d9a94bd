"""A box of a cluster goes to another node, with all that it has."""

import contextlib

from containai.app import App
from containai.away import forking
from containai.away.lifecycle import AwayBoxes
from containai.away.place import Seen
from containai.away.record import Entry
from containai.errors import ContainAIError, NotThereError, RemoteError
from containai.flows import away
from containai.ssh import hosts


def move(app: App, entry: Entry, node: str) -> Seen:
    """Move a box to another node, and return it as it is then.

    One that runs is shut down for that, if the user agrees, and started again. Raises NotThereError
    for what cannot be, by name: no cluster, no such node, its own, one that is away.
    """
    boxes = app.away(entry.place)
    seen = forking.ready(boxes, entry)
    _refuse(boxes, seen, entry, node)
    runs = not seen.status.is_off
    question = (
        f"The box {entry.name!r} is shut down, moved from {seen.node} to {node}, and started "
        "again: what runs in it ends. Go on?"
    )
    if runs and not app.ui.ask(question):
        raise ContainAIError("nothing was changed", hint="agree to it: cai move --yes")
    with boxes.held(entry.name):
        _moved(app, boxes, entry, node, runs=runs)
    if runs:
        away.started(app, entry)
    return boxes.existing(entry)


def _refuse(boxes: AwayBoxes, seen: Seen, entry: Entry, node: str) -> None:
    place = boxes.place.name
    nodes = {each.name: each for each in boxes.place.nodes()}
    names = ", ".join(sorted({*nodes} - {seen.node}))
    others = f"its other nodes: {names}" if names else "there is no other node"
    if not nodes:
        raise NotThereError(
            f"{place} is one server, not a cluster", hint="a box of it has nowhere to go"
        )
    if node not in nodes:
        raise NotThereError(f"{place} has no node {node!r}", hint=others)
    if node == seen.node:
        raise NotThereError(f"the box {entry.name!r} is on {node} already", hint=others)
    if nodes[node].problem:
        raise NotThereError(
            f"no box can go to {node}: {nodes[node].problem}", hint="wait for it, or choose another"
        )


def _moved(app: App, boxes: AwayBoxes, entry: Entry, node: str, *, runs: bool) -> None:
    if runs:
        app.ui.say(f"stopping the box {entry.name} on {entry.place}")
        hosts.close(app.host, entry.name)
        boxes.place.stop(entry.instance)
    app.ui.say(f"moving the box {entry.name} to {node}")
    try:
        boxes.place.move(entry.instance, node, app.ui.step(f"the box {entry.name}", 1, 1))
        if boxes.existing(entry).node != node:
            raise RemoteError(
                f"{entry.place} did not move the box {entry.name!r} to {node}",
                hint="see where it is: cai ls; then try again",
            )
    except BaseException:
        # It is as it was, wherever that is by now.
        if runs:
            with contextlib.suppress(ContainAIError):
                boxes.place.start(entry.instance)
        raise
