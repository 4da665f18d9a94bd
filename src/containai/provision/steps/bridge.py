"""A service of ours on the bridge of boxes, as a base of steps."""

from collections.abc import Callable

from containai.engine.network import Network
from containai.host import services
from containai.host.machine import Machine
from containai.host.service import Service
from containai.layout import Layout
from containai.provision.step import Described, Scope
from containai.work.actions import Action, Do, Finding


class OnBridge(Described):
    """Started where the network is that a finding has; it ends with the engine."""

    #: What starting it is called.
    starting: str
    service: Callable[[Layout, Network | None], Service]

    def plan(self, host: Machine, finding: Finding[Network]) -> list[Action]:
        """Start it."""
        network = finding.data
        if network is None:
            return []
        manager, wanted = services.manager(host), self.service(host.layout, network)
        details = tuple(manager.start_shown(wanted))
        return [Do(self.starting, lambda _: manager.start(wanted), details)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """It ends with the engine."""
        return []
