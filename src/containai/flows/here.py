"""A box of this machine, which its engine has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from containai.app import App
from containai.boxes.box import Box, Status
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.errors import BoxNotFoundError, CopyError, NotThereError
from containai.flows import enter
from containai.flows.placed import Block, Forks, Limited, Look, Said
from containai.layout import LOCAL

if TYPE_CHECKING:
    from containai.boxes.logs import Wanted
    from containai.flows.selftest import Tested
    from containai.ssh.session import Session


class Here(NamedTuple):
    """See `Placed`."""

    app: App
    box: Box

    @property
    def name(self) -> str:
        """See `Placed`."""
        return self.box.name

    @property
    def on(self) -> str:
        """See `Placed`."""
        return LOCAL

    @property
    def shown(self) -> str:
        """See `Placed`."""
        return self.box.name

    def at(self, target: Target) -> Workspace:
        """See `Placed`."""
        from containai.boxes import locate

        located = locate.locate(self.app.engine, target, force=True, to_enter=True)
        return located.workspace

    def reached(self) -> Box:
        """See `Placed`."""
        return self.box

    def start(self) -> Workspace:
        """See `Placed`."""
        from containai.boxes import locate
        from containai.flows import beside

        workspace = enter.checked(self.app.layout, locate.workspace_of(self.box))
        app = self.app.at(workspace.path)
        app.boxes.bring_up(workspace, self.box.image, app.ui.say, self.box.name)
        beside.have(app, self.box.name)
        return workspace

    def enter(self, command: Sequence[str], send: Sequence[str]) -> Session:
        """See `Placed`."""
        workspace = self.start()
        enter.tell_news(self.app)
        return enter.in_box(self.app.layout, self.box.name, workspace, command, send)

    def stop(self) -> None:
        """See `Placed`."""
        self.app.boxes.stop(self.box)

    def restart(self) -> None:
        """See `Placed`."""
        if not self.box.status.is_off:
            self.app.ui.say(f"stopping the box {self.box.name}")
            self.stop()
        self.start()

    def lost(self) -> str:
        """See `Placed`. The workspace is not in it."""
        return ""

    def remove(self, data: Sequence[str] = ()) -> None:
        """See `Placed`."""
        from containai.flows import volumes

        self.app.boxes.remove(self.box)
        volumes.forget(self.app, data)

    def rename(self, new: str) -> None:
        """See `Placed`."""
        from containai.boxes import renaming

        renaming.rename(self.app.boxes, self.box, new)

    def limit(self) -> Limited:
        """See `Placed`."""
        from containai.boxes.limits import Limits

        box, asked = self.box, enter.asked(self.app)
        if asked != Limits():
            box = self.app.boxes.limit(box, asked)
        return Limited(box.limits, box.limits.described())

    def now(self) -> Here:
        """See `Placed`."""
        from containai.boxes import lookup

        box = lookup.get(self.app.engine, self.box.container)
        if box is None:
            raise BoxNotFoundError(f"the box {self.box.name!r} is gone", hint="see: cai ls")
        return self._replace(box=box)

    def look(self, *, with_sizes: bool, with_processes: bool) -> Look:
        """See `Placed`."""
        from containai.flows import outlook, status

        seen = status.look(self.app, self.box, with_sizes=with_sizes, with_processes=with_processes)
        return outlook.of_here(self.app, seen)

    def said(self, wanted: Wanted, *, console: bool) -> Said:
        """See `Placed`. Raises BoxNotFoundError for a unit's journal of one that does not run."""
        from containai.boxes import logs

        app, box = self.app, self.box
        runs = box.status is Status.RUNNING
        if wanted.unit and not runs:
            raise BoxNotFoundError(
                f"{box.name} is {box.status}: its journal can be read where it runs",
                hint=f"its console: cai logs --name {box.name}; or start it: cai start",
            )
        journal = runs and not console

        def read(on_line: Callable[[str], None]) -> None:
            logs.read(app.engine, box, wanted, on_line, journal=journal)

        note = "" if runs or console else f"{box.name} is {box.status}: this is its console"
        return Said("journal" if journal else "console", read, note)

    def block(self) -> Block:
        """See `Placed`."""
        from containai.host import files
        from containai.ssh import hosts, session

        box, app = self.box, self.app
        text = files.read(app.layout.ssh_block(box.name)) or ""
        if hosts.port_of(text) == box.ssh_port:
            return Block(text)
        # What it was told, and its variables, is known when it is entered.
        made = app.boxes.block(box.name, box.ssh_port, Workspace(box.workspace), "", box.start)
        return Block(session.without_variables(made), is_stale=True)

    def carry(self) -> NoReturn:
        """See `Placed`."""
        raise CopyError(
            f"the box {self.box.name} has the workspace {self.box.workspace!r} itself",
            hint="nothing has to be carried: what is changed there is changed here",
        )

    def selftest(self) -> Tested:
        """See `Placed`."""
        from containai.flows import selftest

        return selftest.of_here(self.app, self.box)

    def fork(self, wanted: Forks) -> NoReturn:
        """See `Placed`."""
        self._only_elsewhere("a fork")

    def move(self, node: str) -> NoReturn:
        """See `Placed`."""
        self._only_elsewhere("a move to another node")

    @property
    def snapshots(self) -> NoReturn:
        """See `Placed`."""
        self._only_elsewhere("a snapshot")

    def _only_elsewhere(self, what: str) -> NoReturn:
        raise NotThereError(
            f"{what} is not to be had of the box {self.box.name!r}, which is on this machine",
            hint="boxes on a server have it, for now: cai run --on PLACE; see: cai help incus",
        )
