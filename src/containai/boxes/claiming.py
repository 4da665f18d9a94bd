"""A spare box becomes a workspace's: limits, claim, name, and what ssh knows of it."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from containai.boxes import design, holding, limiting, lookup, places, spares, telling, volumes
from containai.boxes.box import Box
from containai.boxes.design import Order
from containai.boxes.places import Mount
from containai.engine import attached, runtimes
from containai.engine.client import Engine
from containai.engine.container import Container, State
from containai.errors import ContainAIError, EngineError
from containai.host.background import Background
from containai.layout import LABEL_SPARE, WORKSPACE_IN_BOX, Layout
from containai.light import sha256
from containai.machine_layout import RUNTIME
from containai.ssh import hosts, session

if TYPE_CHECKING:
    from containai.boxes.lifecycle import Boxes


class NoSpareError(Exception):
    """Nothing but a spare was to be brought up, and none can be it. Nobody is told of it."""


def refuse_others(boxes: "Boxes") -> None:
    """Raise NoSpareError where nothing is to be brought up but a spare."""
    if boxes.only_spares:
        raise NoSpareError


def claimed(boxes: "Boxes", order: Order, say: Callable[[str], None]) -> bool:
    """Have a spare be the box that was ordered, running and connected; return whether one is.

    None is where there is none as good, or the order asks for what one cannot be given later.
    Raises as `Boxes.make` does.
    """
    engine = boxes.engine
    there = spares.unclaimed(engine)
    if not there or order.workspace.skip_mounts:
        return False
    volume = _volume(engine, order)
    if volume and runtimes.chosen(boxes.layout) != RUNTIME:
        # Tried with cai-runc alone.
        return False
    wanted = spares.digest_now(boxes, order, say)
    good = [each for each in there if each.label(LABEL_SPARE) == wanted]
    # Several at once begin with different ones.
    for spare in sorted(good, key=lambda each: sha256((each.id + order.name).encode())):
        if spare.state is State.RUNNING and _limited_and_claimed(boxes, order, volume, spare):
            say(f"took a spare box for {order.name}: {order.limits.described()}")
            if others := _others(engine, volume, spare):
                say(design.said_of_sharing(volume, others))
            _settled(boxes, order, attached.whole(boxes.layout, spare), say)
            return True
    return False


def _volume(engine: Engine, order: Order) -> str:
    """Return the data volume that a spare is to get, "" where its own is to be the workspace's."""
    own, _ = volumes.names(order.workspace.path, engine.layout.uid)
    is_new = order.data == own and engine.inspect("volume", own) is None
    return "" if is_new else order.data


def _others(engine: Engine, volume: str, spare: Container) -> tuple[str, ...]:
    """Return the boxes that a volume is of, beside the one that has just got it."""
    boxes = lookup.every(engine) if volume else []
    return design.sharing([each for each in boxes if each.container != spare.id], volume, "")


def _limited_and_claimed(boxes: "Boxes", order: Order, volume: str, spare: Container) -> bool:
    """Give a spare the limits of an order, and then have it be its box; return whether it is.

    Killed in between, it has those limits, and whoever comes next gives it others again.
    """
    try:
        with spares.held(boxes.layout, spare.name):
            now = boxes.engine.container(spare.id)
            if now is None or now.mount(WORKSPACE_IN_BOX) is not None:
                return False
            limiting.limit(boxes.engine, Box.from_container(now), order.limits.whole)
            if not volume:
                return _claim(boxes, order, spare)
            with holding.held(boxes.engine, volume, order, now) as data:
                return _claim(boxes, order, spare, data)
    except (ContainAIError, FileNotFoundError):
        # Another is about to claim it, or has; or it cannot have them while it runs.
        return False


def _claim(boxes: "Boxes", order: Order, spare: Container, *more: Mount) -> bool:
    """Have a spare be the order's box; return whether it is. Its name is still the spare's.

    It gets `more` than the order says.
    """
    places.prepare(order.places)
    try:
        why = _ask(boxes.layout, spare, order, *more)
    except (FileNotFoundError, ConnectionRefusedError):
        # Nobody waits there: another has it by now, or it is about to go.
        return False
    except OSError as ended:
        # Perhaps when it had recorded it; else something of the workspace is in it.
        if attached.got(boxes.layout, spare.id).hostname == order.name:
            return True
        why = str(ended)
    if why:
        spares.remove(boxes, spare)
    return not why


def _ask(layout: Layout, spare: Container, order: Order, *more: Mount) -> str:
    """Claim a spare; return why it cannot be. Raises OSError where nobody answers."""
    where = order.places
    own = Mount(order.workspace.path, WORKSPACE_IN_BOX, not order.workspace.read_only)
    claim = {
        "hostname": order.name,
        "claimed": [[m.source, m.target, not m.writable] for m in (own, *where.mounts, *more)],
        "start": where.start if where.start != WORKSPACE_IN_BOX else "",
    }
    return spares.said(layout, spare, json.dumps(claim).encode() + b"\n")


def _settled(boxes: "Boxes", order: Order, claimed: Container, say: Callable[[str], None]) -> None:
    """Give what became a workspace's its name, and ssh what it has to know of it."""
    engine, layout, name = boxes.engine, boxes.layout, order.name
    # The engine takes as long for that as we for the rest.
    naming = Background(lambda: spares.settle(engine, claimed, name, say))
    try:
        block = _told(boxes, order, Box.from_container(claimed), say)
    finally:
        try:
            naming.result()
        except EngineError:
            spares.discard(boxes, claimed)
            raise
    # Not before: who finds a connection asks the engine nothing, and mends nothing there.
    hosts.adopt(layout, claimed.name, name, block)
    if isinstance(boxes.forward_agent, tuple):
        # It reaches the agent that is the spare's.
        hosts.close(boxes.host, name)
    if not session.is_live(layout, name):
        boxes.connect(name, claimed.id)


def _told(boxes: "Boxes", order: Order, box: Box, say: Callable[[str], None]) -> str:
    """Have what was a spare know what a new box would be told; return its host block."""
    told, variables = telling.told(boxes.host, order.name), boxes.variables()
    telling.tell(boxes.engine, box, told, say, runs=True)
    telling.give(boxes.engine, box, variables, say, runs=True)
    return boxes.block(order.name, box.ssh_port, order.workspace, told, order.places.start)
