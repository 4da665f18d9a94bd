"""The resolver of boxes. Boxes do without, where its package cannot be had.

Its program decides what the engine is configured with, and it answers where there is a network.
"""

from containai.engine import configuration, daemon, resolver
from containai.engine import network as networks
from containai.host.machine import Machine
from containai.provision.step import Area
from containai.provision.steps.bridge import OnBridge
from containai.provision.steps.optional import OptionalPackage
from containai.provision.steps.programs import DNSMASQ
from containai.work.actions import Finding


class Dnsmasq(OptionalPackage):
    """Debian's dnsmasq, without a service of its own."""

    package = DNSMASQ
    area = Area.NETWORK
    title = "dnsmasq"
    holds = (
        "wanted, not needed: with it boxes resolve names as this machine does, and follow when it "
        "changes"
    )
    looks = "its program"
    means = (
        "boxes keep the name servers that they were made with, also where this machine moves to "
        "another network"
    )

    def check(self, host: Machine) -> Finding[None]:
        """Look for the program."""
        if resolver.is_there():
            return Finding(True, resolver.PROGRAM)
        seen = (
            f"{resolver.PROGRAM} is missing; optional: without it boxes do not follow this "
            "machine's resolver, and cannot use one on a loopback address"
        )
        return self.absent(host, seen)


class Resolver(OnBridge):
    """dnsmasq, on the bridge of boxes alone. It needs the network, and ends with the engine."""

    area = Area.NETWORK
    title = "resolver"
    holds = "dnsmasq, where there is one, answers on the bridge while the engine runs"
    otherwise = "it is started"
    looks = "it is asked for a name"
    means = "names do not resolve in boxes"
    starting = "start the resolver of boxes, and wait until it answers"
    service = staticmethod(resolver.service)

    def check(self, host: Machine) -> Finding[networks.Network]:
        """Ask it where the engine runs."""
        if not resolver.is_there():
            return Finding(True, "none: boxes are given this machine's name servers")
        network = self._network(host)
        if network is None:
            return Finding(True, f"{resolver.PROGRAM}, started with the engine")
        if not resolver.answers(host.layout, network):
            return Finding(False, f"it does not answer on {network.host}", data=network)
        return Finding(True, f"{network.host}, asks whom {host.layout.host_resolver} names")

    @staticmethod
    def _network(host: Machine) -> networks.Network | None:
        """Return the network of an engine that runs and was told of the resolver, or None."""
        config = configuration.read(host.layout)
        if config is None or not config.get("dns") or host.which("docker") is None:
            return None
        return networks.of(str(config["fixed-cidr"])) if daemon.answering(host) else None
