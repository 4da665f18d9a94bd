"""The checks of what a user has made with the engine, in the order in which they are shown."""

from containai.boxes.box import Box
from containai.provision.step import AnyStep
from containai.provision.steps.agents_inside import AgentsInside
from containai.provision.steps.configuration import WorkspaceFiles
from containai.provision.steps.inside import (
    Asked,
    Booted,
    BoxSpace,
    HostKeys,
    InnerDocker,
    LetIn,
    Units,
)
from containai.provision.steps.made import Kills, MadeBy
from containai.provision.steps.mounts import Mounts
from containai.provision.steps.ssh import Blocks, BoxPorts, Connections, Pins, Sockets
from containai.provision.steps.volumes import Labels, Ownership, Parts
from containai.provision.steps.workspaces import Unremovable, Workspaces


def of_user() -> list[AnyStep]:
    """Return the checks of all boxes and volumes of a user."""
    asked = Asked()
    return [
        Sockets(),
        BoxPorts(),
        Kills(),
        Labels(),
        Parts(),
        *_of_boxes(asked),
    ]


def of_box(box: Box) -> list[AnyStep]:
    """Return the checks of one box, beside those that only one has."""
    return _of_boxes(Asked(box.name))


def _of_boxes(asked: Asked) -> list[AnyStep]:
    only = asked.only
    return [
        Pins(only),
        Blocks(only),
        Workspaces(only),
        Mounts(only),
        MadeBy(only),
        Ownership(only),
        WorkspaceFiles(only),
        Booted(asked),
        LetIn(asked),
        HostKeys(asked),
        Connections(only),
        Units(asked),
        InnerDocker(asked),
        BoxSpace(asked),
        Unremovable(only),
        AgentsInside(only),
    ]
