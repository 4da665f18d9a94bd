"""The way of boxes to proxies on a loopback address of this machine."""

from containai.engine import configuration, daemon, forward
from containai.engine import network as networks
from containai.host import services
from containai.host.machine import Machine
from containai.provision.step import Area
from containai.provision.steps.bridge import OnBridge
from containai.work.actions import Action, Do, Finding
from containai.work.ui import Progress


class Forward(OnBridge):
    """Ports of 127.0.0.1, handed over on the bridge alone; it ends with the engine."""

    area = Area.NETWORK
    title = "proxy"
    holds = (
        "proxies on loopback addresses of this machine, if `https_proxy` and the like name some, "
        "are handed over to boxes on their bridge while the engine runs"
    )
    otherwise = "that is started, or ended where there are none any more"
    looks = "a connection is opened where it listens"
    means = "boxes reach no proxy, and so nothing that is behind one"
    starting = "start handing over proxies, and wait until it listens"
    service = staticmethod(forward.service)

    def check(self, host: Machine) -> Finding[networks.Network]:
        """Ask it where it leads, where the engine runs."""
        layout = host.layout
        ports = forward.forwarded(layout)
        network = configuration.network(layout)
        there = forward.on_bridge(ports)
        without = "".join(
            f"; {line}" for line in forward.explained(host.surroundings.proxies, ports)
        )
        seen = ", ".join(f"127.0.0.1:{port}" for port in ports)
        if network is None or not daemon.reachable(host):
            handed_over = f"{seen}, handed over to boxes with the engine"
            return Finding(True, (handed_over if ports else NONE) + without)
        if not ports and forward.service(layout, network).find():
            return Finding(False, "one that is none any more is handed over", data=network)
        if not ports:
            return Finding(True, NONE + without)
        if not forward.answers(layout, network):
            return Finding(False, f"not handed over to boxes: {seen}{without}", data=network)
        led = [f"127.0.0.1:{port} is {network.host}:{at} for boxes" for port, at in there.items()]
        return Finding(True, ", ".join(led) + without)

    def plan(self, host: Machine, finding: Finding[networks.Network]) -> list[Action]:
        """Start it; what leads elsewhere ends first."""
        network = finding.data
        if network is None:
            return []
        manager, wanted = services.manager(host), self.service(host.layout, network)
        # Which ports are handed over may be another by then.
        running = bool(wanted.find())

        def start(progress: Progress) -> None:
            if running:
                manager.stop(wanted)
            manager.start(wanted)

        stopped = manager.stop_shown(wanted) if running else []
        return [Do(self.starting, start, (*stopped, *manager.start_shown(wanted)))]


NONE = "none on a loopback address that boxes are to use"
