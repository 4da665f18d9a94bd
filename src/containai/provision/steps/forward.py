"""The way of boxes to a proxy that listens on a loopback address of this machine."""

from containai.engine import configuration, daemon, forward
from containai.engine import network as networks
from containai.host.machine import Machine
from containai.provision.steps.bridge import OnBridge
from containai.work.actions import Finding


class Forward(OnBridge):
    """One port of 127.0.0.1, handed over on the bridge alone; it ends with the engine."""

    title = "proxy"
    holds = (
        "a proxy on a loopback address of this machine, if `https_proxy` names one, is handed over "
        "to boxes on their bridge while the engine runs"
    )
    otherwise = "that is started"
    starting = "start handing over the proxy, and wait until it listens"
    service = staticmethod(forward.service)

    def check(self, host: Machine) -> Finding[networks.Network]:
        """Connect to it, where the engine runs."""
        layout = host.layout
        port = forward.forwarded(layout)
        network = configuration.network(layout)
        if not port:
            return Finding(True, "none on a loopback address that boxes are to use")
        seen = f"127.0.0.1:{port}"
        if network is None or host.which("docker") is None or not daemon.answering(host):
            return Finding(True, f"{seen}, handed over to boxes with the engine")
        if not forward.answers(layout, network):
            return Finding(False, f"{seen} is not handed over to boxes", data=network)
        return Finding(True, f"{seen}, for boxes {network.host}:{networks.PROXY_PORT}")
