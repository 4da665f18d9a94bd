"""The steps of `cai setup`, in the order they build on each other."""

import json
import os
from typing import Any

from containai.engine import daemon
from containai.engine.client import Engine
from containai.errors import ContainAIError, UnsupportedError
from containai.host import files, machine, packages, proc
from containai.images import build
from containai.layout import RUNTIME, Layout
from containai.provision.step import Action, Do, Finding, Run, Step, WriteFile
from containai.provision.step import Progress as StepProgress

#: Overlay on idmapped layers came with this version (see Documentation/filesystems/overlayfs).
MINIMUM_KERNEL = (5, 19)

#: Debian's packages for the programs that ContainAI starts.
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker-cli",
    "runc": "runc",
    "containerd": "containerd",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
#: The runtime runs on the system's own Python, where only root writes.
PYTHON = "/usr/bin/python3"


class Kernel:
    """A kernel that boxes can run on."""

    title = "kernel"

    def check(self, layout: Layout) -> Finding:
        """Raises UnsupportedError for a kernel that is too old."""
        seen = machine.kernel()
        if seen < MINIMUM_KERNEL:
            raise UnsupportedError(
                f"kernel {seen[0]}.{seen[1]} is too old: boxes need "
                f"{MINIMUM_KERNEL[0]}.{MINIMUM_KERNEL[1]} or newer",
                hint="on Debian 12: its own kernel 6.1, or the one from backports",
            )
        return Finding(True, f"{seen[0]}.{seen[1]}")

    def plan(self, layout: Layout) -> list[Action]:
        """Nothing here makes a kernel newer."""
        return []


class Programs:
    """Docker's programs, and those that Docker and ssh need."""

    title = "programs"

    def check(self, layout: Layout) -> Finding:
        """Look for each program."""
        missing = self._missing()
        return Finding(not missing, "missing: " + ", ".join(missing) if missing else "all there")

    @staticmethod
    def _missing() -> list[str]:
        missing = [program for program in PACKAGES if proc.which(program) is None]
        return missing + ([] if os.path.exists(PYTHON) else [PYTHON])

    def plan(self, layout: Layout) -> list[Action]:
        """Install what is missing. Raises UnsupportedError on a system without apt."""
        missing = self._missing()
        if not missing:
            return []
        if not packages.has_apt():
            raise UnsupportedError(
                f"{', '.join(missing)}: missing, and this system's packages are not Debian's",
                hint="install Docker's engine with its package manager, then run cai again",
            )
        names = {PACKAGES.get(program, "python3") for program in missing}
        if "docker-cli" in names and not packages.available("docker-cli"):
            # Up to Debian 12 the client is a part of docker.io.
            names = (names - {"docker-cli"}) | {"docker.io"}
        return [Run(["sh", "-c", packages.quiet_install_script(sorted(names))])]


class Runtime:
    """cai-runc, installed where only root writes."""

    title = "runtime cai-runc"

    def check(self, layout: Layout) -> Finding:
        """Compare what is installed with what this version ships."""
        wanted = self._files(layout)
        wrong = [path for path, (text, _) in wanted.items() if files.read(path) != text]
        if not wrong:
            return Finding(True, layout.runtime_program)
        return Finding(False, "not installed" if len(wrong) == len(wanted) else "out of date")

    def plan(self, layout: Layout) -> list[Action]:
        """Write its files, then compile them."""
        if self.check(layout).ok:
            return []
        library = os.path.join(layout.runtime_dir, "containai_runtime")
        writes: list[Action] = [
            WriteFile(path, text, mode) for path, (text, mode) in self._files(layout).items()
        ]
        # The launcher last: what daemon.json names is never there without its library.
        compile_argv = [PYTHON, "-IS", "-m", "compileall", "-q", library]
        state = ["install", "-d", "-m", "0711", layout.runtime_state]
        return [*writes[1:], Run(compile_argv), Run(state), writes[0]]

    @staticmethod
    def _files(layout: Layout) -> dict[str, tuple[str, int]]:
        source = os.path.join(os.path.dirname(os.path.dirname(__file__)), "runtime")
        library = os.path.join(layout.runtime_dir, "containai_runtime")
        runc = proc.which("runc") or "/usr/sbin/runc"
        launcher = files.read(os.path.join(source, RUNTIME)) or ""
        for placeholder, value in (
            ("@RUNC@", runc),
            ("@PYTHON@", PYTHON),
            ("@LIB@", layout.runtime_dir),
        ):
            launcher = launcher.replace(placeholder, value)
        base, count = layout.id_window
        config: dict[str, Any] = {
            "runc": runc,
            "state": layout.runtime_state,
            "id_base": base,
            "id_count": count,
            "engine_data": layout.engine_data,
        }
        found = {
            layout.runtime_program: (launcher, 0o755),
            os.path.join(layout.runtime_dir, "runtime.json"): (
                json.dumps(config, indent=4) + "\n",
                0o644,
            ),
        }
        for name in sorted(os.listdir(source)):
            if name.endswith(".py"):
                text = files.read(os.path.join(source, name)) or ""
                found[os.path.join(library, name)] = (text, 0o644)
        return found


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
        wanted = [WriteFile(layout.engine_config, daemon.daemon_json(layout, subnet))]
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

        def start(progress: StepProgress) -> None:
            progress("starting the engine", None)
            daemon.start(layout)

        return [Do("start the engine and wait until it answers", start)]


class Image:
    """The image of new boxes."""

    def __init__(self, name: str, root: str) -> None:
        self.title = f"image {name}"
        self.name, self.root = name, root

    def check(self, layout: Layout) -> Finding:
        """Ask the engine for the image of this version's recipe."""
        if proc.which("docker") is None or not daemon.answering(layout):
            return Finding(False, "unknown until the engine runs")
        there = build.exists(Engine(layout), self.name)
        return Finding(there, build.reference(self.name) if there else "not built yet")

    def plan(self, layout: Layout) -> list[Action]:
        """Build it."""

        def make(progress: StepProgress) -> None:
            build.ensure(Engine(layout), self.name, self.root, progress)

        return [Do(f"build image {self.name}", make)]


def steps(image: str, root: str) -> list[Step]:
    """Return the steps of a whole setup."""
    return [Kernel(), Programs(), Runtime(), EngineFiles(), EngineRunning(), Image(image, root)]
