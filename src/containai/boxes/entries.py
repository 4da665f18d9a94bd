"""What ssh has of boxes, and what of it is of boxes that are gone.

Only the engine knows which are: where it does not answer, nothing is taken for gone.
"""

import os
import re
import socket
import stat
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from containai.boxes import lookup
from containai.boxes.box import Box
from containai.engine import daemon
from containai.engine.client import Engine
from containai.errors import EngineError
from containai.host import files, locks
from containai.layout import SPARE, Layout
from containai.ssh import hosts, session

#: How an entry is that no box belongs to, and one of which nobody knows.
GONE, UNKNOWN = "gone", "unknown"

#: Control sockets listen from the moment on that they have their names.
_CONTROL = re.compile("[0-9a-f]{16}")
#: Others, and names that ssh binds first, may be about to, for that many seconds.
_OTHERS = re.compile(r"[0-9a-f]{16}(a|\.[A-Za-z0-9]{16})|forward-[0-9]+")
_YOUNG = 60.0


class Entry(NamedTuple):
    """What ssh has of a box: how that is, and what is wrong with it.

    `connected`: whether cai's own connection stands.
    """

    name: str
    state: str
    port: int
    workspace: str
    connected: bool
    file: str
    problems: tuple[str, ...]


class Gone(NamedTuple):
    """What is left of boxes that are gone: their names, and sockets with nobody behind them."""

    names: list[str]
    sockets: list[str]


def boxes(engine: Engine) -> list[Box] | None:
    """Return this user's boxes; None where the engine does not answer."""
    host = engine.host
    if not daemon.reachable(host):
        return None
    return lookup.own(engine)


def listed(engine: Engine) -> list[Entry]:
    """Return what ssh has of each box, and of those that it should have something of."""
    layout, own = engine.layout, boxes(engine)
    by_name = {box.name: box for box in own or ()}
    places = _away(layout)
    names = sorted(_of_boxes(layout) | places.keys() | by_name.keys())
    known = files.read(layout.known_hosts) or ""
    otherwise = GONE if own is not None else UNKNOWN
    states = {name: f"on {place}" for name, place in places.items()}
    return [
        _entry(layout, known, name, by_name.get(name), states.get(name, otherwise))
        for name in names
    ]


def _entry(layout: Layout, known: str, name: str, box: Box | None, otherwise: str) -> Entry:
    block = files.read_if_whole(layout.ssh_block(name)) or ""
    port, workspace = hosts.port_of(block), session.workspace_of(layout, name)
    wrong = [] if block else ["there is no host block"]
    if hosts.pinned_key(known, name) is None:
        wrong.append("no key is pinned")
    if box is not None and block and port != box.ssh_port:
        wrong.append(f"it leads to port {port}, and the box has {box.ssh_port}")
    if box is not None and block and workspace != box.workspace:
        wrong.append("it is of another workspace")
    state = box.status if box is not None else otherwise
    file = layout.ssh_block(name) if block else ""
    connected = session.is_live(layout, name)
    return Entry(name, state, port, workspace, connected, file, tuple(wrong))


def gone(engine: Engine) -> Gone:
    """Return what is of no box. Raises EngineError where nobody can tell."""
    own = boxes(engine)
    if own is None:
        raise EngineError(
            "the engine does not answer, so that nobody knows which boxes are gone",
            hint="start it: cai engine start",
        )
    return Gone(stale(engine.layout, own), forsaken(engine.layout))


def stale(layout: Layout, own: Sequence[Box]) -> list[str]:
    """Return the names of which ssh has something, and that no box of this user's has."""
    return sorted(_of_boxes(layout) - {box.name for box in own})


def _of_boxes(layout: Layout) -> set[str]:
    """Return the names of which ssh has something, without spare boxes and those elsewhere."""
    names = {name for name in hosts.published(layout) if not name.startswith(SPARE)}
    return names - _away(layout).keys()


def _away(layout: Layout) -> dict[str, str]:
    """Return the boxes that are on remote places, of which no engine knows, and which those are.

    The user's file says so, and where that is damaged their host blocks: the key of one whose block
    was lost is not to be had again from anybody who could be believed.
    """
    places = {name: session.place_of(layout, name) for name in hosts.published(layout)}
    try:
        # As away/record.py writes it.
        noted = files.from_json(files.read_if_whole(layout.away) or "{}").get("boxes", {})
        places |= {str(name): str(each["place"]) for name, each in noted.items()}
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    return {name: place for name, place in places.items() if place}


def forsaken(layout: Layout) -> list[str]:
    """Return the sockets in our directory that nobody listens on any more."""
    if not session.has_own_directory(layout):
        return []
    with os.scandir(layout.control_dir) as found:
        return sorted(entry.path for entry in found if _is_forsaken(entry))


def _is_forsaken(entry: os.DirEntry[str]) -> bool:
    try:
        seen = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISSOCK(seen.st_mode):
        return False
    is_control = _CONTROL.fullmatch(entry.name)
    is_old = seen.st_mtime < time.time() - _YOUNG
    is_ours = is_control or (is_old and _OTHERS.fullmatch(entry.name))
    return bool(is_ours) and _is_dead(entry.path)


def _is_dead(path: str) -> bool:
    """Whether nobody listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def forget(engine: Engine, names: Collection[str]) -> list[str]:
    """Remove what ssh has of boxes that are gone; return of which. The engine has to answer."""
    done = []
    for name in names:
        # Somebody may be making a box of that name by now.
        with locks.hold_box(engine.host, name):
            if all(box.name != name for box in lookup.own(engine)):
                hosts.forget(engine.host, name)
                done.append(name)
    return done


def remove(engine: Engine, left: Gone) -> Gone:
    """Remove what is left of boxes that are gone; return what it was."""
    names = forget(engine, left.names)
    sockets = [path for path in left.sockets if _is_dead(path)]
    for path in sockets:
        files.remove(path)
    return Gone(names, sockets)
