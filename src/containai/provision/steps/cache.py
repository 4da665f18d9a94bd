"""The cache of images for the Docker in boxes: only where the setting image.cache asks for it."""

from containai.engine import cache, configuration, daemon
from containai.engine import network as networks
from containai.host import packages
from containai.host.machine import Machine
from containai.provision.step import Area, Described, Scope
from containai.provision.steps.bridge import OnBridge
from containai.work.actions import Action, Finding, Run

OFF = "none: it is for who sets image.cache"


class DockerRegistry(Described):
    """Debian's docker-registry, without a service of its own."""

    area = Area.IMAGES
    title = "docker-registry"
    holds = "the program of the cache of images is there, where `image.cache` asks for one"
    otherwise = "its package is installed"
    looks = "its program"
    means = "the Docker of each box pulls from the registry itself"

    def __init__(self, wanted: str | None = None) -> None:
        """`wanted`: the registry that is to be cached, "" for none; None leaves it as it is."""
        self.wanted = wanted

    def check(self, host: Machine) -> Finding[None]:
        """Look for the program."""
        wanted = cache.upstream(host.layout) if self.wanted is None else self.wanted
        if not wanted:
            return Finding(True, OFF)
        if host.which(cache.PACKAGE, root=True) != cache.PROGRAM:
            seen = f"{cache.PROGRAM} is missing: without it boxes pull from the registry itself"
            return Finding(False, seen, optional=True)
        return Finding(True, cache.PROGRAM)

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Install it."""
        if finding.ok or not packages.has_apt(host):
            return []
        install = packages.quiet_install_argv(host, [cache.PACKAGE])
        return [Run(install, title=f"install {cache.PACKAGE}")]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Packages stay: others may use them by now."""
        return []


class Cache(OnBridge):
    """docker-registry, on the bridge of boxes alone; it ends with the engine."""

    area = Area.IMAGES
    title = "cache of images"
    holds = (
        "a cache of the registry that `image.cache` names answers on the bridge of boxes while "
        "the engine runs"
    )
    otherwise = "it is started"
    looks = "a connection is opened where it listens"
    means = "the Docker of each box pulls from the registry itself"
    starting = "start the cache of images, and wait until it answers"
    service = staticmethod(cache.answering_service)

    def check(self, host: Machine) -> Finding[networks.Network]:
        """Connect to it, where the engine runs."""
        layout = host.layout
        upstream = cache.upstream(layout)
        network = configuration.network(layout)
        if not upstream:
            return Finding(True, OFF)
        if host.which(cache.PACKAGE, root=True) != cache.PROGRAM:
            return Finding(False, f"{cache.PROGRAM} is missing", optional=True)
        if network is None or not daemon.reachable(host):
            return Finding(True, f"{upstream}, started with the engine")
        if not cache.answers(layout, network):
            seen = f"{upstream}: nothing answers on {network.host}; boxes ask the registry itself"
            hint = f"does the registry answer? see: {cache.log(layout)}"
            return Finding(False, seen, optional=True, hint=hint, data=network)
        return Finding(True, f"{network.host}:{networks.CACHE_PORT}, of {upstream}")
