"""Boxes that are there, wherever they are: found, and the way into them."""

from containai.app import App
from containai.boxes import lookup
from containai.boxes.box import Box
from containai.boxes.target import Target
from containai.boxes.way import ByEngine, BySsh, Way
from containai.engine import configuration, daemon
from containai.flows import whereabouts
from containai.host import below
from containai.host.below import Identity
from containai.layout import LABEL_MANAGED
from containai.ssh import session


def existing(app: App, target: Target) -> Box:
    """Return the box that a target stands for, of this machine or a remote place, to enter it.

    One that runs elsewhere is connected to; one that is off stays so, and its status says so.
    Raises as `locate.existing`, and a RemoteError.
    """
    return whereabouts.box(app, target, to_enter=True).reached()


def way(app: App, box: Box) -> Way:
    """Return the way into a box, by what its host block says."""
    if session.place_of(app.layout, box.name):
        return BySsh(app.host, box)
    return ByEngine(app.engine, box)


def workspaces(app: App) -> list[str]:
    """Return the workspaces of the user's boxes: an agent may change what lies there.

    Of those elsewhere, too, from where it came here.
    """
    here = lookup.own(app.engine) if _has_engine(app) else []
    return [
        *(box.workspace for box in here),
        *(entry.workspace for entry in whereabouts.every(app)),
    ]


def shared(app: App) -> set[Identity]:
    """Return the directories that an agent of anybody's may write; start the engine for that."""
    paths = [entry.workspace for entry in whereabouts.every(app)]
    if _has_engine(app):
        paths += [
            mount.source
            for container in app.engine.containers(f"label={LABEL_MANAGED}=true")
            for mount in container.mounts
            if mount.kind == "bind"
        ]
    return below.identities(paths)


def _has_engine(app: App) -> bool:
    """Whether this machine has an engine, which is started then."""
    if configuration.read(app.layout) is None:
        return False
    daemon.start(app.host)
    return True
