"""The engine: its group, its configuration and units, its network, and that it runs."""

import os
import re

from containai.engine import daemon, lxcfs, resolver, runtimes
from containai.engine import network as networks
from containai.errors import ContainAIError
from containai.host import files, machine, proc
from containai.layout import Layout
from containai.provision import record, versions
from containai.provision.step import Action, Do, Finding, Progress, Run, Scope, WriteFile


class Group:
    """The group that may use the engine's socket."""

    title = "socket group"

    def check(self, layout: Layout) -> Finding:
        """Look whether it is there, and who is in it."""
        found = machine.group_members(layout.engine_group)
        if found is None:
            return Finding(False, f"there is no group {layout.engine_group}")
        who = ", ".join(found) if found else "nobody"
        return Finding(True, f"{layout.engine_group}: {who}")

    def plan(self, layout: Layout) -> list[Action]:
        """Make it. Nobody is put into it: whoever is in it is root on this machine."""
        if self.check(layout).ok:
            return []

        group = Run(["groupadd", "--system", layout.engine_group])
        return [_note(layout, record.GROUP, ours=True), group]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove it if setup made it."""
        if not record.read(layout).get(record.GROUP) or not self.check(layout).ok:
            return []
        return [Run(["groupdel", layout.engine_group])]


#: What every containerd makes when it starts, whatever its configuration: the default of its plugin
#: `io.containerd.internal.v1.opt`, which dockerd, who writes that configuration, leaves alone.
CONTAINERD_DIRECTORIES = tuple(f"{record.CONTAINERD}{each}" for each in ("/bin", "/lib", ""))


class EngineFiles:
    """daemon.json, and the unit where systemd is PID 1."""

    title = "engine configuration"

    def __init__(self, host_ports: str | None = None) -> None:
        """`host_ports`: the ports to open to boxes; None leaves open what is open."""
        self.host_ports = host_ports

    def check(self, layout: Layout) -> Finding:
        """Compare with what this version writes."""
        if found := versions.newer(layout):
            return found
        try:
            wrong = [
                each.path for each in self._wanted(layout) if files.read(each.path) != each.text
            ]
        except ContainAIError as damaged:
            return Finding(False, str(damaged))
        return Finding(
            not wrong, "to write: " + ", ".join(wrong) if wrong else layout.engine_config
        )

    def plan(self, layout: Layout) -> list[Action]:
        """Write what differs."""
        if versions.newer(layout):
            return []
        wrong: list[Action] = [
            each for each in self._wanted(layout) if files.read(each.path) != each.text
        ]
        before = _subnet(layout)
        taken = before is not None and _network(layout).boxes != before
        if taken and daemon.running_pid(layout) is not None:
            title = "stop the engine and every box: somebody else has the subnet now"
            wrong.insert(0, Do(title, lambda _: daemon.stop(layout)))
        if wrong and machine.has_systemd() and layout.is_default:
            wrong += [
                Run(["systemctl", "daemon-reload"]),
                Run(["systemctl", "enable", layout.network_unit, layout.engine_unit]),
            ]
        if wrong and not any(map(os.path.exists, CONTAINERD_DIRECTORIES)):
            wrong.append(_note(layout, record.CONTAINERD, ours=True))
        return wrong

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove the units and what they run; the configuration goes with a purge."""
        units = [layout.engine_unit_file, layout.unit_file(layout.network_unit)]
        units += [layout.unit_file(each) for each in (layout.lxcfs_unit, layout.resolver_unit)]
        there = [path for path in units if os.path.exists(path)]
        ours = [layout.network_program, layout.engine_program]
        if scope.purge:
            ours.append(os.path.dirname(os.path.dirname(layout.engine_config)))
        found = there + [path for path in ours if os.path.exists(path)]
        actions: list[Action] = []
        if there:
            names = [os.path.basename(path) for path in there]
            actions.append(Run(["systemctl", "disable", *names]))
        if found:
            actions.append(Run(["rm", "-rf", *found]))
        if there:
            actions.append(Run(["systemctl", "daemon-reload"]))
        if record.read(layout).get(record.CONTAINERD):
            empty = [path for path in CONTAINERD_DIRECTORIES if os.path.exists(path)]
            if empty:
                actions.append(Run(["rmdir", "--ignore-fail-on-non-empty", *empty]))
            # Whoever makes them from now on is somebody else.
            actions.append(_note(layout, record.CONTAINERD, ours=False))
        return actions

    def _wanted(self, layout: Layout) -> list[WriteFile]:
        chosen = _network(layout)
        there, runtime = runtimes.programs(layout), runtimes.chosen(layout)
        resolves = resolver.is_there()
        config_text = daemon.daemon_json(layout, chosen, there, runtime, resolves=resolves)
        wanted = [
            WriteFile(layout.network_program, networks.script(), 0o755),
            WriteFile(layout.engine_program, daemon.engine_script(), 0o755),
            WriteFile(layout.engine_config, config_text),
        ]
        if self.host_ports is not None:
            wanted.append(WriteFile(layout.opened_ports, self.host_ports))
        if machine.has_systemd() and layout.is_default:
            unit = files.read(layout.engine_unit_file) or ""
            started = re.search(r"^ExecStart=(/\S+) --config-file ", unit, re.MULTILINE)
            dockerd = versions.program(started[1] if started else None, "dockerd")
            wanted += [
                WriteFile(
                    layout.unit_file(layout.network_unit), daemon.network_unit(layout, chosen)
                ),
                WriteFile(layout.engine_unit_file, daemon.unit(layout, dockerd, chosen)),
                WriteFile(layout.unit_file(layout.lxcfs_unit), lxcfs.unit(layout)),
                WriteFile(layout.unit_file(layout.resolver_unit), resolver.unit(layout, chosen)),
            ]
        return wanted


def _note(layout: Layout, what: str, *, ours: bool) -> Action:
    """Return the action that records whether setup made something."""

    def note(progress: Progress) -> None:
        record.write(layout, record.read(layout) | {what: ours})

    return Do(f"record that {what} is {'' if ours else 'not '}ours", note)


def _subnet(layout: Layout) -> str | None:
    """Return the subnet that is configured, or None where none is, or nothing can be read."""
    try:
        config = daemon.configuration(layout) or {}
    except ContainAIError:
        return None
    subnet = config.get("fixed-cidr")
    return None if subnet is None else str(subnet)


def _network(layout: Layout) -> networks.Network:
    """Return the network that is configured, or another where there is none that is free."""
    subnet = _subnet(layout)
    # Somebody may have taken ours while the engine, and with it our bridge, was down.
    if subnet is None or networks.user_of(networks.routes(), subnet, layout.bridge):
        return networks.choose(layout)
    return networks.of(subnet)


class Network:
    """The network of boxes, as the firewall of this machine lets it through."""

    title = "network"

    def check(self, layout: Layout) -> Finding:
        """Look as root: rules are not for everybody's eyes."""
        config = daemon.configuration(layout)
        if config is None or not os.path.exists(layout.network_program):
            return Finding(False, "not set up yet")
        network = networks.of(config["fixed-cidr"])
        missing = networks.missing(layout, network)
        if missing:
            return Finding(False, "missing: " + ", ".join(missing))
        ports = ", ".join((files.read(layout.opened_ports) or "").splitlines())
        opened = f"; the host's ports that are open to boxes: {ports}" if ports else ""
        return Finding(True, f"{layout.bridge} {network.address}{opened}")

    def plan(self, layout: Layout) -> list[Action]:
        """Make it."""
        if self.check(layout).ok:
            return []
        config = daemon.configuration(layout)
        if config is None:
            return [Do("make the network of boxes", lambda _: self._up(layout))]
        return [Run(networks.argv(layout, networks.of(config["fixed-cidr"]), "up"))]

    @staticmethod
    def _up(layout: Layout) -> None:
        config = daemon.configuration(layout) or {}
        proc.run(networks.argv(layout, networks.of(config["fixed-cidr"]), "up"), root=True)

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove it; the firewall is then as if it had never been."""
        config = daemon.configuration(layout)
        if config is None or not os.path.exists(layout.network_program):
            return []
        return [Run(networks.argv(layout, networks.of(config["fixed-cidr"]), "down"))]


class EngineRunning:
    """The engine answers on its socket."""

    title = "engine"

    def check(self, layout: Layout) -> Finding:
        """Ask it; compare the configuration that it has read with the one that is written."""
        if proc.which("docker") is None or not daemon.answering(layout):
            return Finding(False, "not running")
        if files.read(layout.engine_running_config) != files.read(layout.engine_config):
            return Finding(False, "runs with an older configuration")
        return Finding(True, layout.engine_socket)

    def plan(self, layout: Layout) -> list[Action]:
        """Start it, or exchange a running one; boxes live on."""
        if self.check(layout).ok:
            return []

        def start(progress: Progress) -> None:
            progress("starting the engine", None)
            daemon.renew(layout)

        return [Do("start the engine and wait until it answers", start)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Stop it, and all boxes through their own systemd."""
        left = [layout.engine_exec, layout.engine_socket, layout.engine_pidfile]
        if scope.purge:
            left += [layout.engine_data, layout.engine_log, layout.lxcfs_log, layout.resolver_log]
        found = [path for path in left if os.path.exists(path)]
        actions: list[Action] = []
        if daemon.configuration(layout) is not None and proc.which("docker"):
            actions.append(Do("stop the engine and every box", lambda _: daemon.stop(layout)))
        return actions + ([Run(["rm", "-rf", *found])] if found else [])
