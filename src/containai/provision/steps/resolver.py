"""The resolver of boxes. Boxes do without, where its package cannot be had."""

from containai.engine import configuration, daemon, resolver
from containai.engine import network as networks
from containai.host import packages, proc, services
from containai.layout import Layout
from containai.provision.step import Scope
from containai.provision.steps.programs import DNSMASQ
from containai.work.actions import Action, Do, Finding, Run


class Resolver:
    """dnsmasq, on the bridge of boxes alone."""

    title = "resolver"
    holds = (
        "wanted, not needed: dnsmasq answers on the bridge; boxes resolve names as this machine "
        "does, and follow when it changes"
    )
    otherwise = "it is installed and started"

    def check(self, layout: Layout) -> Finding[networks.Network]:
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
            return Finding(False, f"it does not answer on {network.host}", data=network)
        return Finding(True, f"{network.host}, asks whom {layout.host_resolver} names")

    @staticmethod
    def _network(layout: Layout) -> networks.Network | None:
        """Return the network of an engine that runs and was told of the resolver, or None."""
        config = configuration.read(layout)
        if config is None or not config.get("dns") or proc.which("docker") is None:
            return None
        return networks.of(str(config["fixed-cidr"])) if daemon.answering(layout) else None

    def plan(self, layout: Layout, finding: Finding[networks.Network]) -> list[Action]:
        """Install it, or start it."""
        if finding.ok:
            return []
        network = finding.data
        if network is None:
            return [Run(packages.quiet_install_argv([DNSMASQ]), title=f"install {DNSMASQ}")]
        manager, wanted = services.manager(layout), resolver.service(layout, network)
        details = tuple(manager.start_shown(wanted))
        title = "start the resolver of boxes, and wait until it answers"
        return [Do(title, lambda _: manager.start(wanted), details)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """It ends with the engine; packages stay, as others may use them by now."""
        return []
