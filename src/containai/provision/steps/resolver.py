"""The resolver of boxes. Boxes do without, where its package cannot be had."""

from containai.engine import daemon, resolver
from containai.engine import network as networks
from containai.host import packages, proc
from containai.layout import Layout
from containai.provision.step import Action, Do, Finding, Progress, Run, Scope
from containai.provision.steps.programs import DNSMASQ


class Resolver:
    """dnsmasq, on the bridge of boxes alone."""

    title = "resolver"

    def check(self, layout: Layout) -> Finding:
        """Look for the program; ask it where the engine runs."""
        if not resolver.is_there():
            seen = (
                f"{resolver.PROGRAM} is missing; optional: without it boxes do not follow this "
                "machine's resolver, and cannot use one on a loopback address"
            )
            installable = packages.has_apt() and packages.known(DNSMASQ)
            return Finding(not installable, seen, optional=True)
        network = self._network(layout)
        if network is None:
            return Finding(True, f"{resolver.PROGRAM}, started with the engine")
        if not resolver.answers(layout, network):
            return Finding(False, f"it does not answer on {network.host}")
        return Finding(True, f"{network.host}, asks whom {layout.host_resolver} names")

    @staticmethod
    def _network(layout: Layout) -> networks.Network | None:
        """Return the network of an engine that runs and was told of the resolver, or None."""
        config = daemon.configuration(layout)
        if config is None or not config.get("dns") or proc.which("docker") is None:
            return None
        return networks.of(str(config["fixed-cidr"])) if daemon.answering(layout) else None

    def plan(self, layout: Layout) -> list[Action]:
        """Install it, or start it."""
        if self.check(layout).ok:
            return []
        if not resolver.is_there():
            script = packages.quiet_install_script([DNSMASQ])
            return [Run(["sh", "-c", script], title=f"install {DNSMASQ}")]

        def start(progress: Progress) -> None:
            network = self._network(layout)
            if network is not None:
                resolver.start(layout, network)

        return [Do("start the resolver of boxes", start)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """It ends with the engine; packages stay, as others may use them by now."""
        return []
