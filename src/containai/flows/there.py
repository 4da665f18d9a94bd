"""A box on a remote place, which that place's driver has: what `away*.py` do with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.app import App
from containai.away.record import Entry
from containai.boxes.box import Box, Status
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.errors import UsageError
from containai.flows import away
from containai.flows.placed import Block, Forks, Limited, Look, Said
from containai.ssh import session
from containai.ssh.session import Session

if TYPE_CHECKING:
    from containai.away.place import Seen, Snapshot
    from containai.boxes.logs import Wanted
    from containai.flows.selftest import Tested
    from containai.flows.several import Outcome
    from containai.transfer.reach import Reach


class There(NamedTuple):
    """See `Placed`. Its place is not asked before something is done with it."""

    app: App
    entry: Entry

    @property
    def name(self) -> str:
        """See `Placed`."""
        return self.entry.name

    @property
    def on(self) -> str:
        """See `Placed`."""
        return self.entry.place

    @property
    def shown(self) -> str:
        """See `Placed`."""
        return f"{self.entry.name} on {self.entry.place}"

    @property
    def box(self) -> Box:
        """See `Placed`."""
        return away.as_box(self.app, self.entry)

    def at(self, target: Target) -> Workspace:
        """See `Placed`."""
        return away.workspace_of(self.app, self.entry, target)

    def reached(self) -> Box:
        """See `Placed`."""
        app, entry = self.app, self.entry
        if session.is_live(app.layout, entry.name):
            return self.box
        status = app.away(entry.place).existing(entry).status
        if status is Status.RUNNING:
            away.started(app, entry)
        return self.box._replace(status=status)

    def start(self) -> Workspace:
        """See `Placed`."""
        return away.started(self.app, self.entry)

    def enter(self, command: Sequence[str], send: Sequence[str]) -> Session:
        """See `Placed`."""
        return away.woken(self.app, self.entry, command, send)

    def stop(self) -> None:
        """See `Placed`."""
        self.app.away(self.entry.place).stop(self.entry)

    def restart(self) -> None:
        """See `Placed`."""
        self.app.ui.say(f"stopping the box {self.shown}")
        self.stop()
        self.start()

    def lost(self) -> str:
        """See `Placed`."""
        return away.lost(self.app, self.entry)

    def remove(self, data: Sequence[str] = ()) -> None:
        """See `Placed`. Its data are on its own disk."""
        away.remove(self.app, self.entry)

    def rename(self, new: str) -> None:
        """See `Placed`."""
        away.rename(self.app, self.entry, new)

    def limit(self) -> Limited:
        """See `Placed`."""
        looked = away.limited(self.app, self.entry)
        return Limited(dict(looked.seen.limits), looked.limits)

    def now(self) -> There:
        """See `Placed`."""
        return self

    def look(self, *, with_sizes: bool, with_processes: bool) -> Look:
        """See `Placed`. What a place says of its use, it says anyway."""
        from containai.flows import away_look, outlook

        return outlook.of_there(away_look.look(self.app, self.entry))

    def said(self, wanted: Wanted, *, console: bool) -> Said:
        """See `Placed`. Raises UsageError for a console that is to be followed."""
        from containai.flows import away_log

        app, entry = self.app, self.entry
        journal = not console and away_log.runs(app, entry)
        if wanted.follow and not journal:
            raise UsageError(
                "a console on a remote place is not followed", hint="leave out --follow"
            )

        def read(on_line: Callable[[str], None]) -> None:
            away_log.read(app, entry, wanted, on_line, journal=journal)

        return Said("journal" if journal else "console", read)

    def block(self) -> Block:
        """See `Placed`."""
        from containai.host import files

        return Block(files.read(self.app.layout.ssh_block(self.entry.name)) or "")

    def carry(self) -> tuple[Reach, str]:
        """See `Placed`."""
        from containai.flows import away_work

        self.start()
        return away_work.reach(self.app, self.entry.name), self.entry.workspace

    def selftest(self) -> Tested:
        """See `Placed`."""
        from containai.flows import selftest

        return selftest.of_there(self.app, self.entry)

    def fork(self, wanted: Forks) -> Outcome:
        """See `Placed`."""
        from containai.flows import away_fork

        return away_fork.fork(self.app, self.entry, wanted)

    def move(self, node: str) -> Seen:
        """See `Placed`."""
        from containai.flows import away_move

        return away_move.move(self.app, self.entry, node)

    @property
    def snapshots(self) -> SnapshotsThere:
        """See `Placed`."""
        return SnapshotsThere(self.app, self.entry)


class SnapshotsThere(NamedTuple):
    """See `Snapshots`."""

    app: App
    entry: Entry

    def add(self, name: str | None) -> str:
        """See `Snapshots`."""
        from containai.flows import away_snapshots

        return away_snapshots.add(self.app, self.entry, name)

    def listed(self) -> list[Snapshot]:
        """See `Snapshots`."""
        from containai.flows import away_snapshots

        return away_snapshots.listed(self.app, self.entry)

    def remove(self, name: str) -> None:
        """See `Snapshots`."""
        from containai.flows import away_snapshots

        away_snapshots.remove(self.app, self.entry, name)

    def restore(self, name: str) -> bool:
        """See `Snapshots`."""
        from containai.flows import away_snapshots

        return away_snapshots.restore(self.app, self.entry, name)
