"""What is measured: boxes and containers of the user's own engine, made for it and removed."""

import contextlib
import json
import os
import tempfile
from contextlib import ExitStack

from bench.measure import run
from containai.app import App
from containai.boxes import claims, limits
from containai.boxes.limits import Limits
from containai.boxes.workspace import box_name
from containai.errors import ContainAIError
from containai.flows import keeper
from containai.layout import LABEL_WORKSPACE, Layout
from containai.work.ui import Progress


class _Nobody:
    """Who is told what the benchmark itself does."""

    def say(self, text: str) -> None:
        pass

    def step(self, title: str, number: int, count: int) -> Progress:
        raise NotImplementedError

    def tell(self, text: str) -> None:
        pass

    def ask(self, question: str, *, beforehand: bool = True) -> bool:
        return False


class Bench:
    """The set-up that is measured, and what was made for it."""

    def __init__(self, cai: str, made: ExitStack, by_hand: str, rest: float) -> None:
        """`rest` is how long what costs something at rest is looked at, in seconds."""
        self.layout = Layout.from_environment()
        self.cai, self.by_hand, self.rest = cai, by_hand, rest
        self._made = made
        self.directory = made.enter_context(tempfile.TemporaryDirectory(prefix="cai-bench-"))
        self.workspace = self._workspace("box")
        self.box = box_name(self.workspace, self.layout.uid)
        made.callback(self._remove_data)
        made.callback(self.remove_box)
        # The user's own would be taken, or made meanwhile; the next new box has them made again.
        self.end_spares()
        run(self.cai_true())
        self.image = self.docker_run("inspect", "--format", "{{.Config.Image}}", self.box).strip()

    def _workspace(self, name: str) -> str:
        path = os.path.realpath(os.path.join(self.directory, name))
        os.mkdir(path)
        return path

    def docker(self, *arguments: str) -> list[str]:
        """Return a command line for the engine."""
        return ["docker", "--host", f"unix://{self.layout.engine_socket}", *arguments]

    def docker_run(self, *arguments: str) -> str:
        """Make a request to the engine; return what it printed."""
        return run(self.docker(*arguments))

    def cai_true(self) -> list[str]:
        """Return the command line that users type."""
        return [self.cai, "run", self.workspace, "--", "true"]

    def remove_box(self) -> None:
        """Remove the box, if it is there."""
        with contextlib.suppress(RuntimeError):
            run([self.cai, "rm", self.workspace])

    def _remove_data(self) -> None:
        """Remove the data volumes of all boxes that were made."""
        form = f'{{{{.Name}}}} {{{{.Label "{LABEL_WORKSPACE}"}}}}'
        for line in self.docker_run("volume", "ls", "--format", form).splitlines():
            name, _, workspace = line.partition(" ")
            if workspace.startswith(f"{self.directory}/"):
                self.docker_run("volume", "rm", name)

    def app(self) -> App:
        """Return what a command works with, by the environment as it is now."""
        return App(self.layout, _Nobody(), environ=os.environ)

    def end_spares(self) -> None:
        """End what makes spare boxes, and remove those that there are; the setting says `0`."""
        claims.ask(self.layout, claims.END)
        with contextlib.suppress(ContainAIError):
            # One that is being made is waited for, as it could be for as long as that takes.
            keeper.have(self.app())
        keeper.have(self.app())

    def limits(self) -> tuple[Limits, str]:
        """Return the limits of the box, and on which processors it runs."""
        has = json.loads(self.docker_run("inspect", self.box))[0]["HostConfig"]
        memory, cpus = has["Memory"], has["NanoCpus"] / 1e9
        swap = max(has["MemorySwap"] - memory, limits.ALL)
        return Limits(memory, cpus, swap, has["PidsLimit"]), has["CpusetCpus"]

    def volume(self, name: str) -> str:
        """Make a volume, which is removed at the end; return its name."""
        self.docker_run("volume", "create", name)
        self._made.callback(self.docker_run, "volume", "rm", "--force", name)
        return name

    def container(self, runtime: str, *options: str) -> str:
        """Start a container that does nothing; return its id. It is removed at the end."""
        argv = ["run", "--detach", "--runtime", runtime, *options]
        found = self.docker_run(*argv, self.image, "sleep", "infinity").strip()
        self._made.callback(self.remove_container, found)
        return found

    def remove_container(self, name: str) -> None:
        """Remove a container and its volumes, if it is there."""
        with contextlib.suppress(RuntimeError):
            self.docker_run("rm", "--force", "--volumes", name)
