"""The engine: its group, its configuration and units, its network, and that it runs."""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from containai.engine import cache, configuration, daemon, forward, resolver, runtimes
from containai.engine import network as networks
from containai.host import files, services
from containai.host.machine import Machine
from containai.host.proxies import Proxies
from containai.host.service import Service
from containai.provision import record, versions, written
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Do, Finding, Later, Run, WriteFile
from containai.work.ui import Progress


class Group(Described):
    """The group that may use the engine's socket."""

    area = Area.ENGINE
    title = "socket group"
    holds = "the group `containai` is there; its members are shown"
    otherwise = "it is made, with nobody in it"
    looks = "the groups of this machine"
    means = "only root reaches the engine: `cai` asks for sudo each time"

    def check(self, host: Machine) -> Finding[None]:
        """Look whether it is there, and who is in it."""
        layout = host.layout
        members = host.group_members(layout.engine_group)
        if members is None:
            return Finding(False, f"there is no group {layout.engine_group}")
        who = ", ".join(members) if members else "nobody"
        return Finding(True, f"{layout.engine_group}: {who}")

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Make it. Nobody is put into it: whoever is in it is root on this machine."""
        if finding.ok:
            return []
        group = Run(["groupadd", "--system", host.layout.engine_group])
        return [_note(host, record.GROUP, ours=True), group]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove it if setup made it."""
        layout = host.layout
        there = host.group_members(layout.engine_group) is not None
        ours = there and record.read(layout).get(record.GROUP)
        return [Run(["groupdel", layout.engine_group])] if ours else []


#: What every containerd makes when it starts, whatever its configuration: the default of its plugin
#: `io.containerd.internal.v1.opt`, which dockerd, who writes that configuration, leaves alone.
CONTAINERD_DIRECTORIES = tuple(
    f"{record.CONTAINERD}{directory}" for directory in ("/bin", "/lib", "")
)


class Outdated(NamedTuple):
    """Files to write; what is yet to come that they depend on; and what goes with writing them.

    `subnet_is_taken`: an engine runs on a subnet that somebody else has now.
    `makes_directories`: its containerd is the first here.
    """

    files: list[WriteFile]
    unknown: list[str]
    subnet_is_taken: bool
    enable: list[list[str]]
    makes_directories: bool


class EngineFiles(Described):
    """daemon.json, and the unit where systemd is PID 1."""

    area = Area.ENGINE
    title = "engine configuration"
    holds = (
        "`daemon.json`, the units and their programs are of this version, or of a newer one "
        "that set this machine up"
    )
    otherwise = "they are written"
    looks = "each file is compared with what this version writes"
    means = "the engine does not start, or not as boxes need it"
    interrupts = "stops every box where somebody else has taken their network, and only then"

    def __init__(
        self, host_ports: str | None = None, *, proxies: bool = True, cached: str | None = None
    ) -> None:
        """`host_ports`: the ports to open to boxes; `cached`: the registry whose images are kept.

        None leaves either as it is. `proxies`: whether boxes are led to proxies on loopback
        addresses of this machine.
        """
        self.host_ports = host_ports
        self.proxies = proxies
        self.cached = cached

    def check(self, host: Machine) -> Finding[Outdated]:
        """Compare with what this version writes. Raises EngineError where no subnet is free."""
        layout = host.layout
        if newer := versions.newer(layout):
            return newer
        before, network = configuration.subnet(layout), network_of(host)
        wrong = written.wrong(host, self._wanted(host, network))
        wrong += self._told_proxies(host)
        parts, manager = _parts(host, network), services.manager(host)
        off = manager.off_at_boot(parts)
        if not wrong and not off:
            return Finding(True, layout.engine_config)
        taken = before is not None and network.boxes != before
        outdated = Outdated(
            wrong,
            _unknown(host),
            subnet_is_taken=taken and daemon.running_pid(layout) is not None,
            enable=manager.enable(parts),
            makes_directories=not any(map(os.path.exists, CONTAINERD_DIRECTORIES)),
        )
        seen = ["to write: " + ", ".join(file.path for file in wrong)] if wrong else []
        seen += ["not started at boot: " + ", ".join(off)] if off and not wrong else []
        return Finding(
            False, "; ".join(seen), data=outdated, is_harmless=not outdated.subnet_is_taken
        )

    def plan(self, host: Machine, finding: Finding[Outdated]) -> list[Action]:
        """Write what differs."""
        outdated = finding.data
        if outdated is None:
            return []
        actions: list[Action] = []
        if outdated.subnet_is_taken:
            actions.append(_stop(host, "stop the engine: somebody else has its subnet now"))
        actions += [Later(what) for what in outdated.unknown]
        actions += outdated.files
        actions += map(Run, outdated.enable)
        if outdated.makes_directories:
            actions.append(_note(host, record.CONTAINERD, ours=True))
        return actions

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove the units and what they run; the configuration goes with a purge."""
        layout = host.layout
        units = [layout.engine_unit_file, layout.unit_file(layout.network_unit)]
        units += [
            layout.unit_file(unit)
            for unit in (layout.lxcfs_unit, layout.resolver_unit, forward.UNIT, cache.UNIT)
        ]
        there = [path for path in units if os.path.exists(path)]
        ours = [layout.network_program, layout.engine_program]
        if scope.purge:
            ours.append(os.path.dirname(os.path.dirname(layout.engine_config)))
        left = there + [path for path in ours if os.path.exists(path)]
        actions: list[Action] = []
        if there:
            names = [os.path.basename(path) for path in there]
            actions.append(Run(["systemctl", "disable", *names]))
        if left:
            actions.append(Run(["rm", "-rf", *left]))
        if there:
            actions.append(Run(["systemctl", "daemon-reload"]))
        if record.read(layout).get(record.CONTAINERD):
            empty = [path for path in CONTAINERD_DIRECTORIES if os.path.exists(path)]
            if empty:
                actions.append(Run(["rmdir", "--ignore-fail-on-non-empty", *empty]))
            # Whoever makes them from now on is somebody else.
            actions.append(_note(host, record.CONTAINERD, ours=False))
        return actions

    def _wanted(self, host: Machine, chosen: networks.Network) -> list[WriteFile]:
        layout = host.layout
        there, runtime = runtimes.programs(layout), runtimes.chosen(layout)
        resolves = resolver.is_there()
        config_text = configuration.text(layout, chosen, there, runtime, resolves=resolves)
        units = services.manager(host).files(_parts(host, chosen))
        # Units before the programs: those of an older version know less of what they are asked.
        wanted = [WriteFile(path, text) for path, text in units.items()]
        wanted += [
            WriteFile(layout.network_program, networks.script(), 0o755),
            WriteFile(layout.engine_program, daemon.script(), 0o755),
            WriteFile(layout.engine_config, config_text),
        ]
        if self.host_ports is not None:
            wanted.append(WriteFile(layout.opened_ports, self.host_ports))
        if (ports := self._proxy_ports(host)) is not None:
            wanted.append(WriteFile(forward.path(layout), forward.text(ports)))
        upstream = cache.upstream(layout) if self.cached is None else self.cached
        if upstream or os.path.exists(cache.path(layout)):
            wanted.append(WriteFile(cache.path(layout), cache.text(layout, chosen, upstream)))
        return wanted

    def _told_proxies(self, host: Machine) -> list[WriteFile]:
        """Return the file that tells dockerd of proxies, if it is to be another. Looks as root.

        Who has none takes nobody's away, as below.
        """
        path = configuration.proxies_file(host.layout)
        known = host.surroundings.proxies if self.proxies else Proxies()
        text = configuration.proxies_text(known)
        is_there = os.path.exists(path)
        if not text and (self.proxies or not is_there):
            return []
        same = ["cmp", "--silent", "-", path]
        if is_there and host.run(same, stdin=text, root=True, ok=None).code == 0:
            return []
        return [WriteFile(path, text, 0o600, configuration.proxies_shown(known))]

    def _proxy_ports(self, host: Machine) -> Sequence[int] | None:
        """Return the ports of loopback to forward, or None where that stays as it is.

        Who has no proxy in his environment, as behind sudo, takes nobody's away.
        """
        if not self.proxies:
            return () if os.path.exists(forward.path(host.layout)) else None
        return forward.wanted(host.surroundings.proxies) or None


def _parts(host: Machine, network: networks.Network) -> list[Service]:
    """Return what is started, by the dockerd that an installed unit starts if that is another's."""
    unit = files.read_if_whole(host.layout.engine_unit_file) or ""
    started = re.search(r"^ExecStart=(/\S+) --config-file ", unit, re.MULTILINE)
    dockerd = versions.program(host, started[1] if started else None, "dockerd")
    return daemon.parts(host, network, dockerd)


def _note(host: Machine, what: str, *, ours: bool) -> Action:
    """Return the action that records whether setup made something."""
    layout = host.layout

    def note(progress: Progress) -> None:
        record.write(host, record.read(layout) | {what: ours})

    title = f"record that {what} is {'' if ours else 'not '}ours"
    return Do(title, note, (f'# "{what}": {str(ours).lower()} in {layout.install_record}',))


def _stop(host: Machine, title: str) -> Do:
    stop = services.manager(host).stop_shown(daemon.service(host, None))
    details = (
        "every box shuts down through its own systemd first",
        *stop,
        "the shims of its containers, lxcfs and the resolver are ended, what they mounted is "
        "unmounted",
    )
    return Do(title, lambda _: daemon.stop(host), details)


def _unknown(host: Machine) -> list[str]:
    """Return what decides about the files and is decided by steps that are still to be done."""
    layout = host.layout
    unknown = []
    if host.which("dockerd", root=True) is None:
        unknown.append("the path of dockerd, here as Debian has it")
    if not resolver.is_there():
        unknown.append("whether there is a resolver for boxes")
    if runtimes.read_choice(layout) is None:
        unknown.append(f"which runtime passes its probe; {layout.engine_config} then names it")
    return unknown


def network_of(host: Machine) -> networks.Network:
    """Return the network that is configured, or another where there is none that is free."""
    layout = host.layout
    routes = networks.routes(host)
    # Where no file tells any more, the bridge does that boxes are on.
    subnet = configuration.subnet(layout) or networks.of_bridge(routes, layout.bridge)
    # Somebody may have taken ours while the engine, and with it our bridge, was down.
    if subnet is None or networks.user_of(routes, subnet, layout.bridge):
        return networks.choose(host)
    return networks.of(subnet)


class Missing(NamedTuple):
    """The network to make, and whether the engine's configuration names it yet."""

    network: networks.Network
    is_configured: bool


class Network(Described):
    """The network of boxes, as the firewall of this machine lets it through."""

    area = Area.NETWORK
    title = "network"
    holds = (
        "the bridge has its address, a MAC that stays, and no IPv6; our tables are there, with "
        "the pins of running boxes and the host's open ports; every firewall that drops what is "
        "forwarded or comes in has our rules"
    )
    otherwise = "they are made"
    looks = "the bridge, the rules of this machine's firewalls and the pins of boxes, as root"
    means = "boxes reach nothing; or, where the tables are gone, more than they should"

    def check(self, host: Machine) -> Finding[Missing]:
        """Look as root: rules are not for everybody's eyes."""
        layout = host.layout
        network = configuration.network(layout)
        if network is None or not os.path.exists(layout.network_program):
            missing = Missing(network_of(host), network is not None)
            return Finding(False, "not set up yet", data=missing)
        wrong = networks.missing(host, network)
        if wrong:
            return Finding(False, "missing: " + ", ".join(wrong), data=Missing(network, True))
        ports = ", ".join((files.read_if_whole(layout.opened_ports) or "").splitlines())
        opened = f"; the host's ports that are open to boxes: {ports}" if ports else ""
        return Finding(True, f"{layout.bridge} {network.address}{opened}")

    def plan(self, host: Machine, finding: Finding[Missing]) -> list[Action]:
        """Make it."""
        if finding.data is None:
            return []
        network, is_configured = finding.data
        later = [] if is_configured else [Later("the subnet: the first that is free then")]
        return [*later, Run(networks.argv(host.layout, network, "up"))]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove it; the firewall is then as if it had never been."""
        layout = host.layout
        there = os.path.isfile(layout.network_program) or written.bridge_is_there(layout)
        if not (configuration.is_there(layout) and there):
            return []
        # All of it goes by the bridge's name, where nobody knows any more which network it was.
        network = networks.of(configuration.subnet(layout) or networks.NONE)
        return [Run(networks.argv(layout, network, "down"))]


class EngineRunning(Described):
    """The engine answers on its socket."""

    area = Area.ENGINE
    title = "engine"
    holds = "it answers, and has read that configuration"
    otherwise = "it is started, or exchanged while boxes live on"
    looks = "it is asked on its socket; the files that it has read are compared"
    means = "no box starts, stops or is seen; those that run go on"

    def check(self, host: Machine) -> Finding[networks.Network]:
        """Ask it; compare the configuration that it has read with the one that is written."""
        layout = host.layout
        if stopped := daemon.frozen(layout):
            pids = " and ".join(str(process.pid) for process in stopped)
            return Finding(False, f"frozen: a signal has stopped {pids}", data=network_of(host))
        if not daemon.reachable(host):
            return Finding(False, "not running", data=network_of(host))
        if files.read_if_whole(layout.engine_running_config) != files.read_if_whole(
            layout.engine_config
        ):
            seen = "runs with an older configuration"
            return Finding(False, seen, data=network_of(host))
        if _is_newer(configuration.proxies_file(layout), layout.engine_pidfile):
            return Finding(False, "was told of other proxies", data=network_of(host))
        return Finding(True, layout.engine_socket)

    def plan(self, host: Machine, finding: Finding[networks.Network]) -> list[Action]:
        """Start it, or exchange a running one; boxes live on."""
        if finding.data is None:
            return []

        if stopped := daemon.frozen(host.layout):
            pids = tuple(f"SIGCONT to {process.pid}" for process in stopped)
            return [Do("let the engine go on", lambda _: daemon.start(host), pids)]

        def start(progress: Progress) -> None:
            progress("starting the engine", None)
            daemon.renew(host)

        details = _start_details(host, finding.data)
        return [Do("start the engine and wait until it answers", start, details)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Stop it, and all boxes through their own systemd."""
        layout = host.layout
        left = [layout.engine_exec, layout.engine_socket, layout.engine_pidfile]
        left.append(cache.data(layout))
        if scope.purge:
            left += [layout.engine_data, layout.engine_log, layout.lxcfs_log, layout.resolver_log]
        there = [path for path in left if os.path.exists(path)]
        actions: list[Action] = []
        if configuration.is_there(layout) and host.which("docker"):
            actions += written.to_stop(host)
            actions.append(_stop(host, "stop the engine and every box"))
        return actions + ([Run(["rm", "-rf", *there])] if there else [])


def _is_newer(path: str, other: str) -> bool:
    """Whether a file was written after another was; not where one cannot be looked at."""
    try:
        return os.stat(path).st_mtime > os.stat(other).st_mtime
    except OSError:
        return False


def _start_details(host: Machine, network: networks.Network) -> tuple[str, ...]:
    exchange = "a dockerd of ours that runs is ended with SIGTERM first; boxes live on"
    wait = f"wait until it answers on {host.layout.engine_socket}"
    engine = daemon.service(host, network, "dockerd")
    return (exchange, *services.manager(host).start_shown(engine), wait)
