"""Spare boxes: made before anybody wants one, and a workspace's own within milliseconds then.

One is as good as a box that would be made now if all is the same that does not come from the
workspace: a label has a digest of that. The runtime makes it the workspace's (runtime/claim.py),
which is recorded where only root writes. Whoever is killed before that leaves a spare, that no
second claim succeeds on; afterwards a box, whose name `mend` gives it.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import containai
from containai.boxes import holding, limits, lookup, maker, places, telling, volumes
from containai.boxes.box import Box
from containai.boxes.design import Order
from containai.boxes.given import Files
from containai.boxes.limits import Limits
from containai.boxes.places import Places
from containai.boxes.spec import BoxSpec, create_arguments, hostname, part_of
from containai.boxes.workspace import Workspace
from containai.config.amounts import Amount
from containai.engine import attached, runtimes
from containai.engine.client import Engine
from containai.engine.container import Container, State
from containai.errors import ContainAIError, EngineError
from containai.host import files, locks
from containai.host.machine import Machine
from containai.layout import (
    DATA_IN_BOX,
    LABEL_PART_OF,
    LABEL_SPARE,
    SPARE,
    WORKSPACE_IN_BOX,
    Layout,
)
from containai.light import sha256
from containai.ssh import hosts, session

if TYPE_CHECKING:
    from containai.boxes.lifecycle import Boxes

#: What a machine has of memory that is to have one by itself, and what of it is free, in bytes.
ENOUGH, FREE = 4 * 10**9, 2 << 30
#: How the data volumes of spares are called, which stay with the workspace that gets one.
_DATA = "data-"
#: The first word of an exec that has the runtime wait for a claim; where, and what ends that
#: (runtime/claim.py).
AWAIT, SOCKET, END = ":await", ".claim", b"end\n"
#: How long a claim may take, in seconds: its mounts have five (runtime/attach.py).
_PATIENCE = 20.0
_LIMIT = 1 << 16


def wanted(host: Machine, said: Amount, there: int = 0) -> int:
    """Return how many spare boxes there are to be, by what the setting says.

    One that is `there` by itself stays, though less is free with it.
    """
    if not said.is_auto:
        return int(said.number)
    return int(host.capacity().memory >= ENOUGH and (there > 0 or host.free_memory() >= FREE))


def note(layout: Layout) -> str:
    """Return the path of a note on why the last one could not be made, which there may be."""
    return os.path.join(layout.state_dir, "spares.failed")


def unclaimed(engine: Engine) -> list[Container]:
    """Return this user's spare boxes that are nobody's yet, running or not."""
    found = engine.each(lookup.spares(engine))
    return [each for each in found if each.mount(WORKSPACE_IN_BOX) is None]


def mend(engine: Engine, own: str = "") -> bool:
    """Give spares that became a workspace's the name of its box; return whether there was one.

    `own` is the name of a box whose lock is held.
    """
    named = False
    for container in lookup.spares(engine):
        name = attached.got(engine.layout, container).hostname
        # Whoever is at it has the lock; or somebody has the name.
        with contextlib.suppress(ContainAIError):
            held = contextlib.nullcontext()
            with held if name in ("", own) else locks.hold_box(engine.host, name, wait=0):
                found = engine.container(container) if name else None
                if found is not None and found.name.startswith(SPARE):
                    settle(engine, found, name, str)
                    # What ssh has of a box is made anew when that is entered.
                    hosts.forget(engine.host, found.name)
                    named = True
    return named


def settle(engine: Engine, claimed: Container, name: str, say: Callable[[str], object]) -> None:
    """Give what became a workspace's the name of its box, and that workspace its data volume."""
    box, layout = Box.from_container(claimed), engine.layout
    if attached.replaced(claimed):
        holding.take(engine, claimed._replace(name=name), say)
    elif box.data:
        volumes.adopt(layout, box.data, box.workspace)
    if box.start != WORKSPACE_IN_BOX:
        # What git in a linked worktree takes for its repository, is no mount.
        linked = places.repository_of(layout, box.workspace)
        if linked:
            telling.link(engine, box._replace(name=name), linked, say)
    try:
        engine.rename(claimed.id, name)
    except EngineError:
        now = engine.container(claimed.id)
        # Another cai has mended it meanwhile.
        if now is None or now.name != name:
            raise


def sweep(boxes: "Boxes") -> None:
    """Remove what is left of spares that somebody removed, or that were killed in the making.

    Of data volumes only those in which nothing is: no label says whose one became, and a note of
    the user's can be lost. `cai prune --data` names the others, and asks.
    """
    engine, layout = boxes.engine, boxes.layout
    volumes.forget_gone(engine)
    release_unneeded(engine)
    there = {*engine.names(f"label={LABEL_SPARE}").values()}
    for name in hosts.published(layout):
        if name.startswith(SPARE) and name not in there:
            _forget(engine, name)
    # A box that was a spare, removed by docker alone.
    inner = part_of(layout.uid, SPARE)
    for name in engine.volumes(f"label={LABEL_PART_OF}", "dangling=true"):
        labels = (engine.inspect("volume", name) or {}).get("Labels") or {}
        if f"{LABEL_PART_OF}={labels.get(LABEL_PART_OF, '')}".startswith(inner):
            engine.remove_volume(name)
    for name in volumes.empty(engine):
        if name.startswith(_DATA):
            engine.remove_volume(name)


def release_unneeded(engine: Engine) -> None:
    """Hold no data volume for who does not have it: removed by docker alone, or killed in a claim.

    The volume is dangling from then on, as that of any box that is gone.
    """
    for box, volume in holding.holders(engine):
        found = engine.container(box)
        # Whoever is about to claim a spare holds first.
        with contextlib.suppress(ContainAIError, FileNotFoundError), contextlib.ExitStack() as own:
            if found is not None and found.name.startswith(SPARE):
                own.enter_context(held(engine.layout, found.name))
            if found is None or attached.got(engine.layout, box).volume != volume:
                holding.release(engine, box)


def remove_volume(engine: Engine, name: str) -> None:
    """Remove a data volume that is there. The engine refuses while a box has it."""
    release_unneeded(engine)
    volumes.remove(engine, name)


def _forget(engine: Engine, name: str) -> None:
    """Forget what ssh has of a spare that is gone, or of one that a killed claim had named."""
    port = hosts.port_of(files.read(engine.layout.ssh_block(name)) or "")
    now = [each for each in lookup.own(engine) if each.ssh_port == port]
    # A claim that is being made gives it to the box, whose lock it has.
    with contextlib.suppress(ContainAIError), contextlib.ExitStack() as held:
        for box in now:
            held.enter_context(locks.hold_box(engine.host, box.name, wait=0))
        hosts.forget(engine.host, name)


def remove(boxes: "Boxes", spare: Container) -> None:
    """Remove a spare with its data volume, unless somebody has claimed it by now."""
    try:
        # From here on nobody does.
        said(boxes.layout, spare, END)
    except TimeoutError:
        return
    except OSError:
        # Nobody waited there, or no longer.
        pass
    if not attached.got(boxes.layout, spare.id).claimed:
        discard(boxes, spare)


def discard(boxes: "Boxes", spare: Container) -> None:
    """Remove a spare, or what was one, with its data volume."""
    boxes.discard(spare.id)
    data = spare.mount(DATA_IN_BOX)
    if data is not None and not attached.replaced(spare):
        with contextlib.suppress(EngineError):
            boxes.engine.remove_volume(data.source)


def digest(boxes: "Boxes", order: Order, given: Files) -> str | None:
    """Return which boxes one is as good as that is made now, but for what is its workspace's.

    None where there is no such image. `given` are the files that it is given.
    """
    image = boxes.engine.image(order.image)
    if image is None:
        return None
    plain = BoxSpec(
        name="",
        workspace="",
        image=image.id,
        ssh_port=0,
        owner=boxes.layout.uid,
        runtime=runtimes.chosen(boxes.layout),
        # Docker changes the others while it runs.
        limits=Limits(disk=order.limits.disk),
        ipv6=boxes.host.has_ipv6(),
        spare=containai.__version__,
    )
    return sha256(json.dumps([create_arguments(plain), given], sort_keys=True).encode())[:32]


def ordered(boxes: "Boxes", image: str) -> tuple[Order, str | None]:
    """Return the order for a spare, and which boxes it is as good as (`digest`)."""
    unique = os.urandom(4).hex()
    order = Order(SPARE + unique, Workspace(""), image, boxes.limits(), data=_DATA + unique)
    limits.check(order.limits, boxes.host.capacity())
    return order, digest_now(boxes, order)


def digest_now(boxes: "Boxes", order: Order, say: Callable[[str], object] = str) -> str | None:
    """Return `digest` with the files that a box would be given now. Raises as `Boxes.make`."""
    public = hosts.ensure_user(boxes.host, say)
    told, plain = telling.told(boxes.host, hostname("", SPARE)), order._replace(places=Places())
    return digest(boxes, order, maker.given(boxes.host, plain, told, public))


def make(boxes: "Boxes", order: Order, say: Callable[[str], None]) -> None:
    """Make a spare that was ordered, and have it wait to be claimed. Raises as a box's making."""
    boxes.make(order, set(), say)
    listen(boxes.engine, order.name)


@contextlib.contextmanager
def held(layout: Layout, spare: str) -> Iterator[None]:
    """Be the only one who is about to claim a spare, which its user alone is: by its host block.

    That goes when it is claimed. Raises ContainAIError, FileNotFoundError.
    """
    path = layout.ssh_block(spare)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        locks.take(handle, path, wait=0, what="a spare box")
        yield
    finally:
        os.close(handle)


def listen(engine: Engine, container: str) -> None:
    """Have a spare wait to be claimed. Raises EngineError where it does not."""
    engine.docker("exec", "--user", "0:0", container, AWAIT, str(engine.layout.uid), timeout=60)


def is_ready(layout: Layout, container: Container) -> bool:
    """Whether a spare can be claimed now."""
    if container.state is not State.RUNNING:
        return False
    try:
        connected(layout, container.id).close()
    except OSError:
        return False
    return True


def is_good(boxes: "Boxes", spare: Container, digest: str | None) -> bool:
    """Whether a spare is as good as a box that would be made now; one that runs is made ready."""
    if spare.label(LABEL_SPARE) != digest or spare.state is not State.RUNNING:
        return False
    if not os.path.exists(boxes.layout.ssh_block(spare.name)):
        return False
    if not is_ready(boxes.layout, spare):
        # What waited was killed, perhaps in the middle of a claim; else the machine was started.
        if os.path.lexists(os.path.join(boxes.layout.attached, spare.id + SOCKET)):
            return False
        listen(boxes.engine, spare.id)
    if not session.is_live(boxes.layout, spare.name):
        boxes.connect(spare.name, spare.id)
    return True


def are_known(layout: Layout) -> bool:
    """Whether ssh knows of a spare of this user's: without asking the engine."""
    with contextlib.suppress(OSError):
        return any(name.startswith(SPARE) for name in os.listdir(layout.ssh_blocks))
    return False


def said(layout: Layout, spare: Container, request: bytes) -> str:
    """Ask what waits for a claim, and return its answer. Raises OSError where there is none."""
    with connected(layout, spare.id) as asking:
        asking.settimeout(_PATIENCE)
        asking.sendall(request)
        answer = asking.recv(_LIMIT).decode(errors="replace")
    if not answer:
        raise ConnectionAbortedError("it ended before it answered")
    return answer[1:]


def connected(layout: Layout, spare: str) -> socket.socket:
    """Return a connection to what waits for a claim of a container, by its id.

    Raises OSError where nothing does.
    """
    directory = os.open(layout.attached, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # By descriptor: a socket's path holds 107 bytes (unix(7)).
        connection.connect(f"/proc/self/fd/{directory}/{spare}{SOCKET}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(directory)
    return connection
