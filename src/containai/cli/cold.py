"""The way into a box that is not there or not running: set up, build, make, start, connect."""

import argparse
import sys

from containai.boxes import box
from containai.boxes.limits import Limits
from containai.boxes.workspace import Workspace, box_name
from containai.cli import admission, shared
from containai.cli.progress import Display
from containai.config.settings import Settings
from containai.engine import daemon, runtimes
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError
from containai.host import proc
from containai.images import build, recipe
from containai.images.recipe import Recipe
from containai.layout import Layout
from containai.provision.step import Choices


def bring_up(layout: Layout, workspace: Workspace, arguments: argparse.Namespace) -> str:
    """Return the name of the workspace's box, running and reachable."""
    workspace = workspace._replace(skip_mounts=arguments.skip_mounts)
    settings = shared.settings_of(layout, arguments)
    image = recipe.wanted(settings)
    if not _is_ready(layout, image, workspace, arguments.name):
        from containai.cli import consent

        # Else setup would come first, which takes minutes.
        admission.look(layout, workspace, force=arguments.force)
        consent.set_up(layout, Choices(settings), agreed=shared.agreed(arguments))
    with Display() as display:
        boxes = shared.boxes_of(layout, settings)
        asked = Limits(settings.flagged(Settings.box_memory), settings.flagged(Settings.box_cpus))
        news: list[str] = []

        def admit() -> None:
            news[:] = admission.look(layout, workspace, force=arguments.force)

        name = boxes.bring_up(
            workspace, image.reference, display.say, arguments.name, asked, admit=admit
        )
    sys.stderr.write("".join(news))
    return name


def wake(layout: Layout, workspace: Workspace, arguments: argparse.Namespace) -> str:
    """Return the name of the box that the workspace has, running and reachable.

    Raises BoxNotFoundError where it has none.
    """
    if daemon.configuration(layout) is None:
        raise BoxNotFoundError(
            "this machine is not set up, so there is no box", hint="make one: cai run"
        )
    daemon.start(layout)
    boxes = shared.boxes_of(layout)
    found = boxes.get(workspace, arguments.name)
    with Display() as display:
        return boxes.bring_up(workspace, found.image, display.say, found.name)


def _is_ready(layout: Layout, image: Recipe, workspace: Workspace, name: str | None) -> bool:
    if daemon.configuration(layout) is None or proc.which("dockerd", root=True) is None:
        return False
    daemon.start(layout)
    # A box that is there keeps the image that it was made from.
    own = name or box_name(workspace.path, layout.uid)
    engine = Engine(layout)
    if box.find(engine, workspace.path, own) is not None:
        return True
    return runtimes.read_choice(layout) is not None and build.exists(engine, image)
