"""An App on a machine that does nothing: its engine is in memory, who looks on remembers."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from containai.app import App
from containai.boxes.spec import DOCKER_IN_BOX
from containai.boxes.workspace import Workspace, box_name
from containai.engine import configuration, runtimes
from containai.engine.container import Container, Image, Mount, Port, State
from containai.engine.fake import FakeEngine
from containai.engine.network import Network
from containai.host.fake import FakeMachine
from containai.images import recipe
from containai.layout import (
    LABEL_MANAGED,
    LABEL_OWNER,
    LABEL_WORKSPACE,
    WORKSPACE_IN_BOX,
    Layout,
)
from containai.machine_layout import RUNTIME
from containai.ssh import hosts
from containai.work.ui import Ui
from harness.ui import Silent

NETWORK = Network("10.203.0.0/20")
#: What every ssh-keygen makes.
PUBLIC_KEY = "ssh-ed25519 AAAAmade"
#: A user of the machine who is not the one of these tests.
ANOTHER = 54321


class FakeApp(App):
    """An App whose parts are fakes: `machine`, `docker` and, unless another `ui` is given, `user`.

    The machine is bare until `set_up`. Keys are made as by ssh-keygen.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        ui: Ui | None = None,
        agrees: bool = True,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        self.machine = FakeMachine(layout)
        self.user = Silent(agrees=agrees)
        super().__init__(layout, ui or self.user, host=self.machine, flags=flags)
        self.docker = FakeEngine(self.machine)
        self.engine = self.docker
        self.machine.answer("ssh-keygen", act=self._make_key)
        self.machine.answer("ssh-keygen", "-y", out=PUBLIC_KEY)

    def set_up(self) -> "FakeApp":
        """Have what `cai setup` leaves: a configuration, a chosen runtime, an image, an engine."""
        layout = self.layout
        config = configuration.text(layout, NETWORK, {RUNTIME: layout.runtime_program}, RUNTIME)
        choice = runtimes.Choice(RUNTIME, "for tests", {})
        _write(layout.engine_config, config)
        _write(layout.runtime_choice, runtimes.choice_text(choice))
        image = recipe.wanted(self.settings)
        self.docker.by_reference[image.reference] = Image("1" * 64)
        self.run_engine()
        return self

    def run_engine(self) -> None:
        """Have an engine that answers: docker's client is asked, as nobody listens."""
        _write(self.layout.engine_socket, "")
        self.machine.answer(*self.engine.argv("info"), out=self.layout.engine_data + "\n")

    def stop_engine(self) -> None:
        """Have no engine."""
        os.unlink(self.layout.engine_socket)

    def add_box(
        self,
        workspace: Path | str,
        *,
        name: str = "",
        owner: int | None = None,
        state: State = State.RUNNING,
        port: int = 2301,
    ) -> Container:
        """Have a box of a workspace, of this user unless another owner is named."""
        uid = self.layout.uid if owner is None else owner
        own = name or box_name(str(workspace), uid)
        if uid == self.layout.uid and os.path.isdir(workspace):
            self._publish(own, str(workspace), port)
        made = container(str(workspace), own, uid, state, port)
        return self.docker.add(made._replace(image=recipe.wanted(self.settings).reference))

    def _publish(self, name: str, path: str, port: int) -> None:
        """Have what ssh knows of a box."""
        hosts.ensure_user(self.machine)
        inode = Workspace(path).inode
        block = hosts.host_block(
            self.layout, name, port=port, workspace=path, inode=inode, forward_agent=False
        )
        hosts.publish(self.layout, name, block, "ssh-ed25519 AAAA")
        self.machine.ran.clear()

    def ran(self, *words: str) -> list[tuple[str, ...]]:
        """Return what was run that has these words in it, one after the other."""
        count = len(words)
        return [
            argv
            for argv in self.machine.ran
            if any(argv[at : at + count] == words for at in range(len(argv)))
        ]

    def _make_key(self) -> None:
        # While one is made in the background, something else may be run.
        words = next(argv for argv in reversed(self.machine.ran) if "ssh-keygen" in argv)
        path = words[-1]
        _write(path, "the private key\n")
        _write(path + ".pub", f"{PUBLIC_KEY} containai\n")


def container(
    workspace: str, name: str, owner: int, state: State = State.RUNNING, port: int = 2301
) -> Container:
    """Return the container of a box, as cai makes one."""
    labels = {
        LABEL_MANAGED: "true",
        LABEL_WORKSPACE: workspace,
        LABEL_OWNER: str(owner),
    }
    return Container(
        id=f"{name}-id",
        name=name,
        image="an-image:tag",
        created="2026-11-27T00:00:00Z",
        runtime=RUNTIME,
        state=state,
        running=state in (State.RUNNING, State.PAUSED),
        labels=tuple(labels.items()),
        mounts=(
            Mount("bind", workspace, WORKSPACE_IN_BOX),
            Mount("volume", "", DOCKER_IN_BOX),
        ),
        ports=(Port("22/tcp", "127.0.0.1", port),),
        processes=16384,
    )


def words(request: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the first word of each request."""
    return [each[0] for each in request]


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
