"""A box gets another name: its container, and what ssh knows of it.

What was interrupted is noted in a file, and finished by the next command that looks for a box. The
labels of volumes cannot be changed, and none of them is found by them while a container has it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from containai.boxes import design, keeping, lookup, pinned
from containai.boxes.box import Box
from containai.boxes.workspace import Workspace
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, ContainAIError, NameTakenError
from containai.host import files, locks
from containai.host.machine import Machine
from containai.layout import Layout
from containai.ssh import hosts

if TYPE_CHECKING:
    from containai.boxes.lifecycle import Boxes


def rename(boxes: "Boxes", box: Box, new: str) -> None:
    """Give a box another name; sessions in it go on.

    Raises NameTakenError for a name that something has, BoxNotFoundError where the box is gone.
    """
    engine, layout, old = boxes.engine, boxes.layout, box.name
    if new == old:
        raise NameTakenError(f"the box is called {old!r} already", hint="see: cai ls")
    with _both(engine.host, old, new, wait=locks.BOX_TIMEOUT):
        _refuse(engine, box, new)
        key = pinned.host_key(engine, old, box.container)
        with ExitStack() as undo:
            undo.callback(files.remove, _note(layout))
            files.write(_note(layout), f"{old}\n{new}\n", 0o600)
            if os.path.isdir(box.workspace):
                # What it was told it knows: that is said again when it is entered.
                block = boxes.block(new, box.ssh_port, Workspace(box.workspace), "", box.start)
                undo.callback(hosts.forget, engine.host, new)
                hosts.publish(layout, new, block, key)
            engine.docker("rename", box.container, new)
            undo.pop_all()
        # Sessions that run end with the connection that they share, and not before.
        hosts.retire(engine.host, old)
        keeping.move(layout, old, new)
        hosts.forget(engine.host, old)
        files.remove(_note(layout))


def mend(engine: Engine) -> None:
    """Finish what was interrupted, unless another is at it: what ssh knows of the other name goes.

    The engine has to run.
    """
    layout = engine.layout
    noted = (files.read_if_whole(_note(layout)) or "").split()
    if len(noted) != 2:
        return
    old, new = noted
    # Who holds the locks is not done yet.
    with contextlib.suppress(ContainAIError), _both(engine.host, old, new, wait=0):
        if files.read_if_whole(_note(layout)) is None:
            return
        for name, other in ((old, new), (new, old)):
            box = lookup.get(engine, other)
            if engine.container(name) is None and box is not None and box.belongs_to(layout.uid):
                keeping.move(layout, name, other)
                hosts.forget(engine.host, name)
        files.remove(_note(layout))


def _note(layout: Layout) -> str:
    return os.path.join(layout.state_dir, "renaming")


def _refuse(engine: Engine, box: Box, new: str) -> None:
    now = engine.container(box.container)
    if now is None or now.name != box.name:
        raise BoxNotFoundError(f"the box {box.name!r} is gone", hint="see: cai ls")
    if engine.container(new) is not None or engine.container(design.kept(new)) is not None:
        raise NameTakenError(f"the name {new!r} is taken", hint="choose another; see: cai ls --all")
    if engine.container(design.kept(box.name)) is not None or design.is_left_over(box):
        raise ContainAIError(
            f"the box {box.name!r} is half made", hint=f"enter it first: cai run --name {box.name}"
        )


@contextlib.contextmanager
def _both(host: Machine, old: str, new: str, *, wait: float) -> Iterator[None]:
    """Hold the locks of two names, which may be one, in the order in which all take them."""
    with ExitStack() as stack:
        for lock in sorted({locks.of_box(old), locks.of_box(new)}):
            what = f"the box {old} or {new}"
            stack.enter_context(locks.hold(host, lock, wait=wait, what=what))
        yield
