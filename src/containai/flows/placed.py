"""What a user does with a box that is there, by one interface, wherever that is.

`here.py` does it with a box of this machine, through its engine; `there.py` with one on a remote
place, through that place's driver. Which of them it is, `whereabouts.box` says. What one of them
cannot do, it refuses by name, with a NotThereError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from containai.away.place import Seen, Snapshot
    from containai.boxes.box import Box
    from containai.boxes.logs import Wanted
    from containai.boxes.target import Target
    from containai.boxes.workspace import Workspace
    from containai.flows.selftest import Tested
    from containai.flows.several import Outcome
    from containai.ssh.session import Session
    from containai.transfer.reach import Reach


class Look(NamedTuple):
    """How a box is: for machines, for people, and what is wrong with it, each with a hint.

    `processes` has a heading first.
    """

    value: dict[str, Any]
    rows: Sequence[Sequence[str]]
    problems: Sequence[tuple[str, str]] = ()
    processes: Sequence[Sequence[str]] = ()


class Limited(NamedTuple):
    """What a box may use: for machines, and for people."""

    value: Any
    text: str


class Said(NamedTuple):
    """What a box has said: what that is of (`journal`, `console`), and what hands over its lines.

    `note` is what is to be known beside it.
    """

    of: str
    read: Callable[[Callable[[str], None]], None]
    note: str = ""


class Block(NamedTuple):
    """A box's host block; `stale` is what its file does not say yet."""

    text: str
    is_stale: bool = False


class Forks(NamedTuple):
    """Which forks: how many, or one of a name; of a snapshot, or "" for how the box is now."""

    number: int = 1
    name: str = ""
    snapshot: str = ""


class Snapshots(Protocol):
    """The snapshots of a box."""

    def add(self, name: str | None) -> str:
        """Take one, and return its name. Raises NameTakenError."""
        ...

    def listed(self) -> list[Snapshot]:
        """Return them, oldest first."""
        ...

    def remove(self, name: str) -> None:
        """Remove one. Raises BoxNotFoundError where there is none."""
        ...

    def restore(self, name: str) -> bool:
        """Have the box as it was then, if the user agrees; return whether it runs."""
        ...


class Placed(Protocol):
    """A box that is there. What needs its place raises a RemoteError, and BoxNotFoundError."""

    @property
    def name(self) -> str:
        """Its name, one over all places."""
        ...

    @property
    def on(self) -> str:
        """What the user calls where it is: `layout.LOCAL` for this machine."""
        ...

    @property
    def shown(self) -> str:
        """The box, as it is spoken of: where it is elsewhere, with the place."""
        ...

    @property
    def box(self) -> Box:
        """The box as what enters it over ssh, and asks it by a `Way`, has it."""
        ...

    def at(self, target: Target) -> Workspace:
        """Return its workspace, as far in it as a target is."""
        ...

    def reached(self) -> Box:
        """Return it with its status, and connected to where it runs; start nothing."""
        ...

    def start(self) -> Workspace:
        """Have it running and reachable; return its workspace."""
        ...

    def enter(self, command: Sequence[str], send: Sequence[str]) -> Session:
        """Return the session in it, started if need be."""
        ...

    def stop(self) -> None:
        """Shut it down."""
        ...

    def restart(self) -> None:
        """Shut it down where it runs, say so, and start it."""
        ...

    def lost(self) -> str:
        """Return what of the work goes with it, in a few words; "" for nothing."""
        ...

    def remove(self, data: Sequence[str] = ()) -> None:
        """Remove it with all that is its own, and then data volumes of this machine."""
        ...

    def rename(self, new: str) -> None:
        """Give it another name. Raises NameTakenError."""
        ...

    def limit(self) -> Limited:
        """Give it the limits that flags say, and return which it has then."""
        ...

    def now(self) -> Placed:
        """Return it as it is now. Raises BoxNotFoundError."""
        ...

    def look(self, *, with_sizes: bool, with_processes: bool) -> Look:
        """Return how it is."""
        ...

    def said(self, wanted: Wanted, *, console: bool) -> Said:
        """Return what it has said: in its journal where it runs, else on its console."""
        ...

    def block(self) -> Block:
        """Return its host block."""
        ...

    def carry(self) -> tuple[Reach, str]:
        """Return how work is carried to and from it, running for that, and its workspace.

        Raises CopyError for one that has the workspace itself.
        """
        ...

    def selftest(self) -> Tested:
        """Run all probes in it, running for that."""
        ...

    def fork(self, wanted: Forks) -> Outcome:
        """Make boxes that begin as it is."""
        ...

    def move(self, node: str) -> Seen:
        """Move it to another node of its cluster, and return it as it is then."""
        ...

    @property
    def snapshots(self) -> Snapshots:
        """Its snapshots."""
        ...
