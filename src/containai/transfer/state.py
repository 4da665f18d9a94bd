"""What is known on this machine of the exchange with a box: below the user's state directory."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from containai.errors import CopyError
from containai.host import files
from containai.layout import Layout

_WAIT = 600.0
#: The files of what is known, beside our repository.
STATE, MANIFEST = "state.json", "files.json"


class Point(NamedTuple):
    """A state of a repository: the commit of its HEAD, "" for none, and one with all work."""

    head: str = ""
    work: str = ""


class State(NamedTuple):
    """What both sides had in common last, and what was fetched last; commits of the branches, too.

    `workspace` is whose it is, `kind` how it is exchanged: "git" or "files"; both are "" before
    the first exchange.
    """

    workspace: str = ""
    kind: str = ""
    base: Point = Point()
    fetched: Point = Point()
    branches: tuple[str, ...] = ()

    @property
    def known(self) -> list[str]:
        """All commits that both sides have, if nobody took them away."""
        every = (*self.base, *self.fetched, *self.branches)
        return [oid for oid in dict.fromkeys(every) if oid]


class Place(NamedTuple):
    """Where that is kept, for one box."""

    directory: str

    @property
    def store(self) -> str:
        """Our repository for the box."""
        return os.path.join(self.directory, "repository")

    @property
    def manifest(self) -> str:
        """What files were at the last exchange, where there is no repository."""
        return os.path.join(self.directory, MANIFEST)

    @property
    def _file(self) -> str:
        return os.path.join(self.directory, STATE)

    def load(self, workspace: str, kind: str) -> State:
        """Return what is known of the exchange of a workspace, nothing where there was none.

        Raises CopyError where the box has the work of another workspace, or of another kind.
        """
        text = files.read(self._file)
        state = State(workspace, kind)
        if text is None:
            return state
        try:
            said = files.from_json(text)
            state = State(
                said["workspace"],
                said["kind"],
                Point(*said["base"]),
                Point(*said["fetched"]),
                tuple(said["branches"]),
            )
        except (ValueError, KeyError, TypeError):
            raise files.damaged(self._file, "is none of cai's") from None
        if workspace and (state.workspace, state.kind) != (workspace, kind):
            raise CopyError(
                f"the box has the work of {state.workspace!r} ({state.kind}), not of {workspace!r} "
                f"({kind})",
                hint="a workspace that became a git repository, or moved, gets a box of its own",
            )
        return state

    def save(self, state: State) -> None:
        """Note what is known."""
        import json

        files.write(self._file, json.dumps(state._asdict()) + "\n", 0o600)

    def forget(self) -> None:
        """Have nothing of the box any more."""
        import shutil

        shutil.rmtree(self.directory, ignore_errors=True)


def _top(layout: Layout) -> str:
    return os.path.join(layout.state_dir, "transfer")


def seen(layout: Layout, box: str) -> State:
    """Return what is known of a box's exchange, as files say it; nothing is written for that."""
    return Place(os.path.join(_top(layout), box)).load("", "")


def gone(place: Place) -> None:
    """Have nothing of a box that is gone, which is held, nor its lock: who waits makes another."""
    place.forget()
    files.remove(f"{place.directory}.lock")


@contextlib.contextmanager
def held(layout: Layout, box: str) -> Iterator[Place]:
    """Have what is known of a box to ourselves."""
    top = _top(layout)
    files.private_directory(top)
    with files.lock(f"{top}/{box}.lock", wait=_WAIT, what=f"the work of {box}"):
        directory = os.path.join(top, box)
        files.private_directory(directory)
        yield Place(directory)
