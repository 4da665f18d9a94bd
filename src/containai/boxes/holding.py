"""A data volume that a spare box gets when it becomes a workspace's: mounted, and held.

The runtime mounts it in the place of the spare's own. Docker adds no volume to a container that is
there, and removes one that no container has: so another one, which is never started, holds it, and
goes with its box.
"""

import contextlib
from collections.abc import Callable, Iterator

from containai.boxes import design, sshd, volumes
from containai.boxes.box import Box
from containai.boxes.design import Order
from containai.boxes.places import Mount
from containai.engine import attached
from containai.engine.client import Engine
from containai.engine.container import Container
from containai.errors import EngineError
from containai.layout import DATA_IN_BOX, LABEL_HOLDS

#: Where a box has what of its image was in its first volume, for the next one, and the program that
#: takes it (images/base: data, volume).
_BEFORE, _TAKE = "/var/lib/containai/data-before", "/usr/local/lib/containai/volume"
#: How long that may take, in seconds: it gives up itself.
_TIMEOUT = 60


@contextlib.contextmanager
def held(engine: Engine, volume: str, order: Order, spare: Container) -> Iterator[Mount]:
    """Yield the mount of an order's volume for a spare; made where it is not there, and held.

    Held it stays if the spare is that box by then. Raises EngineError, NameTakenError.
    """
    is_new = volumes.have(engine, volume, order.workspace.path)
    try:
        hold(engine, volume, spare)
        words = ("cp", "--archive", "--no-target-directory", DATA_IN_BOX, _BEFORE)
        engine.docker("exec", "--user", "0:0", spare.id, *words, timeout=_TIMEOUT)
        yield Mount(str((engine.inspect("volume", volume) or {})["Mountpoint"]), DATA_IN_BOX, True)
    finally:
        if attached.got(engine.layout, spare.id).volume != volume:
            release(engine, spare.id)
            if is_new:
                with contextlib.suppress(EngineError):
                    engine.remove_volume(volume)


def hold(engine: Engine, volume: str, box: Container) -> None:
    """Have a volume held for a box. Raises EngineError."""
    name = design.holder(box.id)
    now = engine.container(name)
    if now is not None and _held(now) == volume:
        return
    if now is not None:
        release(engine, box.id)
    engine.hold_volume(name, volume, box.image_id, {LABEL_HOLDS: box.id})


def release(engine: Engine, box: str) -> None:
    """Hold nothing for a box any more, by its container's id."""
    engine.docker("rm", design.holder(box), ok=(0, 1))


def holders(engine: Engine) -> Iterator[tuple[str, str]]:
    """Give the id of each box that a volume is held for, and which: of all users."""
    for container in engine.containers(f"label={LABEL_HOLDS}"):
        box = container.label(LABEL_HOLDS) or ""
        if container.name == design.holder(box):
            yield box, _held(container)


def mend(engine: Engine, container: str) -> None:
    """Have the volume of a box that is about to start be there, and held, if one was claimed."""
    volume = attached.got(engine.layout, container).volume
    found = engine.container(container) if volume else None
    if found is not None:
        volumes.have(engine, volume, Box.from_container(found).workspace)
        hold(engine, volume, found)


def take(engine: Engine, box: Container, say: Callable[[str], object]) -> None:
    """Have a box that runs take its new volume as it would when it boots."""
    done = sshd.ask(engine, box.id, (_TAKE,), timeout=_TIMEOUT)
    if done is None or done.code:
        say(f"{box.name} did not take its data volume; a newer image does: cai run --fresh")


def _held(container: Container) -> str:
    return next((mount.source for mount in container.mounts), "")
