"""What settings say of the host's directories in new boxes."""

from typing import NamedTuple

from containai.boxes import extras, places
from containai.boxes.design import Order
from containai.boxes.places import Places
from containai.boxes.workspace import Workspace
from containai.config.places import Extra
from containai.host.machine import Machine


class Wishes(NamedTuple):
    """What a box cannot change of its workspace, and what it has beside it."""

    protect: tuple[str, ...] = ()
    read_only: bool = False
    mounts: tuple[Extra, ...] = ()

    def on(self, workspace: Workspace) -> Workspace:
        """Return a workspace as a new box has it."""
        return workspace._replace(read_only=workspace.read_only or self.read_only)

    def heeded(self, host: Machine, order: Order) -> Order:
        """Return the order for a new box with all that. Raises as `places`."""
        workspace = self.on(order.workspace)
        return order._replace(workspace=workspace, places=self.places(host, workspace))

    def places(self, host: Machine, workspace: Workspace) -> Places:
        """Return what a new box of a workspace has of the host.

        Raises WorkspaceError for what the settings say and cannot be.
        """
        seen = places.of(host.layout, self.on(workspace), self.protect)
        more = extras.checked(host, self.mounts, workspace.path)
        return places.joined(seen, more)
