"""The engine: its configuration and unit, and that it runs."""

from containai.engine import daemon, lxcfs, runtimes
from containai.engine import network as networks
from containai.errors import ContainAIError
from containai.host import files, machine, proc
from containai.layout import Layout
from containai.provision.step import Action, Do, Finding, Progress, Run, Scope, WriteFile


class EngineFiles:
    """daemon.json, and the unit where systemd is PID 1."""

    title = "engine configuration"

    def check(self, layout: Layout) -> Finding:
        """Compare with what this version writes."""
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
        wrong: list[Action] = [
            each for each in self._wanted(layout) if files.read(each.path) != each.text
        ]
        if wrong and machine.has_systemd() and layout.is_default:
            wrong += [
                Run(["systemctl", "daemon-reload"]),
                Run(["systemctl", "enable", layout.network_unit, layout.engine_unit]),
            ]
        return wrong

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Filled by `cai uninstall`."""
        return []

    @staticmethod
    def _wanted(layout: Layout) -> list[WriteFile]:
        try:
            config = daemon.configuration(layout) or {}
        except ContainAIError:
            config = {}
        subnet = config.get("fixed-cidr")
        chosen = networks.choose() if subnet is None else networks.of(subnet)
        there, runtime = runtimes.programs(layout), runtimes.chosen(layout)
        config_text = daemon.daemon_json(layout, chosen, there, runtime)
        wanted = [
            WriteFile(layout.network_program, networks.script(), 0o755),
            WriteFile(layout.engine_program, daemon.engine_script(), 0o755),
            WriteFile(layout.engine_config, config_text),
        ]
        if machine.has_systemd() and layout.is_default:
            dockerd = proc.which("dockerd") or "/usr/sbin/dockerd"
            wanted += [
                WriteFile(layout.network_unit_file, daemon.network_unit(layout, chosen)),
                WriteFile(layout.engine_unit_file, daemon.unit(layout, dockerd)),
                WriteFile(layout.lxcfs_unit_file, lxcfs.unit(layout)),
            ]
        return wanted


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
        """Filled by `cai uninstall`."""
        return []
