"""The engine: its configuration and unit, and that it runs."""

from containai.engine import daemon, runtimes
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
                Run(["systemctl", "enable", layout.engine_unit]),
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
        if subnet is None:
            routes = proc.run(["ip", "-json", "route"]).out if proc.which("ip") else "[]"
            subnet = daemon.free_subnet(routes)
        there = runtimes.programs(layout)
        config_text = daemon.daemon_json(layout, subnet, there, runtimes.chosen(layout))
        wanted = [WriteFile(layout.engine_config, config_text)]
        if machine.has_systemd() and layout.is_default:
            dockerd = proc.which("dockerd") or "/usr/sbin/dockerd"
            wanted.append(WriteFile(layout.engine_unit_file, daemon.unit(layout, dockerd, subnet)))
        return wanted


class EngineRunning:
    """The engine answers on its socket."""

    title = "engine"

    def check(self, layout: Layout) -> Finding:
        """Ask it."""
        if proc.which("docker") is None:
            return Finding(False, "not running")
        up = daemon.answering(layout)
        return Finding(up, layout.engine_socket if up else "not running")

    def plan(self, layout: Layout) -> list[Action]:
        """Start it."""

        def start(progress: Progress) -> None:
            progress("starting the engine", None)
            daemon.start(layout)

        return [Do("start the engine and wait until it answers", start)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Filled by `cai uninstall`."""
        return []
