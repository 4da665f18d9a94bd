"""Mounts of a box that runs: added, listed and taken away without a restart.

A box's runtime does it, as root and in the box (runtime/attach.py). Who may use the engine asks it
by an `exec` that is none; what there is then is in a record that only root writes.
"""

import os

from containai.boxes.box import Box
from containai.boxes.places import Mount
from containai.engine import attached
from containai.engine.client import Engine
from containai.errors import BoxStartError, ContainAIError, EngineError, WorkspaceError
from containai.host import locks
from containai.layout import Layout

#: The first word of such an exec (runtime/attached.py).
ATTACH, DETACH = ":attach", ":detach"


def added(layout: Layout, container: str) -> tuple[Mount, ...]:
    """Return what was added to a container; nothing where its record is damaged."""
    found = attached.got(layout, container).added
    return tuple(Mount(each.source, each.target, not each.read_only) for each in found)


def is_there(source: str) -> bool:
    """Whether this machine still has what was added. What this user may not look at is."""
    try:
        os.stat(source)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        pass
    return True


def add(engine: Engine, box: Box, mount: Mount) -> bool:
    """Have a running box show something of the host; return whether it did not before.

    Raises WorkspaceError, and BoxStartError where the box does not run.
    """
    with locks.hold_box(engine.host, box.name):
        before = added(engine.layout, box.container)
        _attach(engine, box.container, mount)
        return mount not in before


def remove(engine: Engine, box: Box, target: str) -> Mount:
    """Take what was added at a place away again, and return it. Raises as `add`."""
    with locks.hold_box(engine.host, box.name):
        found = [m for m in added(engine.layout, box.container) if m.target == target]
        if not found:
            raise WorkspaceError(
                f"no mount was added to {box.name} at {target!r}", hint="see: cai mount ls"
            )
        _ask(engine, box.container, DETACH, target)
        return found[0]


def carry(engine: Engine, old: str, new: str) -> list[str]:
    """Add to a container that runs what another had; return what could not be, and why."""
    problems = []
    for mount in added(engine.layout, old):
        try:
            _attach(engine, new, mount)
        except ContainAIError as failed:
            problems.append(f"{mount.target} is not mounted any more: {failed}")
    return problems


def _attach(engine: Engine, container: str, mount: Mount) -> None:
    mode = "rw" if mount.writable else "ro"
    _ask(engine, container, ATTACH, mount.source, mount.target, mode)


def _ask(engine: Engine, container: str, *words: str) -> None:
    """Ask for a change. What runs then in the box is nothing that counts."""
    # Docker's client takes a word for an option that begins with "-"; none of these does.
    done = engine.docker("exec", "--user", "0:0", container, *words, ok=None, timeout=60)
    said = (done.err or done.out).strip()
    _, is_ours, why = said.partition(": exec: ")
    if is_ours:
        shown = words[-1] if words[0] == DETACH else words[1]
        raise WorkspaceError(
            f"{shown!r}: {why.removesuffix(': unknown')}", hint="see: cai mount add --help"
        )
    if done.code and "is not running" in said:
        raise BoxStartError("the box does not run", hint="start it: cai start")
    if done.code in (125, 126, 127) and not _is_done(engine.layout, container, words):
        raise EngineError(said.splitlines()[-1] if said else "docker exec failed")


def _is_done(layout: Layout, container: str, words: tuple[str, ...]) -> bool:
    """Whether the record says so: what the box has run in its place may not be there."""
    targets = [mount.target for mount in added(layout, container)]
    return (words[2] in targets) if words[0] == ATTACH else (words[1] not in targets)
