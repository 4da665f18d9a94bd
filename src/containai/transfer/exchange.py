"""Work between a workspace here and a box that has no mount of it: what other layers call."""

import contextlib
import os
from collections.abc import Sequence

from containai.errors import ContainAIError, CopyError
from containai.host.proc import Programs
from containai.layout import Layout
from containai.transfer import count, past, plain
from containai.transfer import pull as pulling
from containai.transfer import push as pushing
from containai.transfer.count import Unfetched
from containai.transfer.git import opened
from containai.transfer.plain import Exchanged
from containai.transfer.pull import Pulled
from containai.transfer.push import Pushed
from containai.transfer.reach import Reach, Tell
from containai.transfer.remote import forget as forget_remote
from containai.transfer.remote import remember
from containai.transfer.remote import rename as rename_remote
from containai.transfer.source import source
from containai.transfer.state import Place, gone, held


def push(
    programs: Programs,
    layout: Layout,
    reach: Reach,
    workspace: str,
    *,
    ignored: Sequence[str] = (),
    tell: Tell,
) -> Pushed | Exchanged:
    """Bring what is new of a workspace into a box; ignored files only by their names.

    `workspace` is a real path; `tell` gets the number of bytes as they go. Raises CopyError where
    the box has changed the same, SshConnectError, NoSpaceError, WorkspaceError.
    """
    with held(layout, reach.box) as place:
        repository = source(workspace, layout.home)
        if repository is not None:
            return pushing.push(
                programs, layout, place, reach, repository, ignored=ignored, tell=tell
            )
        if ignored:
            raise CopyError("nothing is ignored where there is no git", hint="leave the names out")
        return plain.push(programs, place, reach, workspace, tell)


def pull(
    programs: Programs, layout: Layout, reach: Reach, workspace: str, *, merge: bool, tell: Tell
) -> Pulled | Exchanged:
    """Fetch what is new in a box; of a git workspace it is merged only where that is asked for.

    Arguments and errors as of `push`. Files that are in no repository come into the workspace.
    """
    with held(layout, reach.box) as place:
        repository = source(workspace, layout.home)
        if repository is not None:
            return pulling.pull(
                programs, layout, place, reach, repository, merging=merge, tell=tell
            )
        return plain.pull(programs, place, reach, workspace, tell)


def unfetched(programs: Programs, layout: Layout, reach: Reach) -> Unfetched:
    """Return what of a box's work is nowhere else. A box that does not answer is unknown."""
    with held(layout, reach.box) as place:
        state = place.load("", "")
        if not state.workspace:
            # Nothing ever went there, or it was cut off: git's way says what lies there.
            return count.unfetched(programs, reach, state)
        if state.kind == "files":
            return plain.unfetched(programs, place, reach)
        return count.unfetched(programs, reach, state)


def hand_on(programs: Programs, layout: Layout, place: Place, reach: Reach, snapshot: str) -> None:
    """Have known of a new box what is known of the one that it is a copy of, whose `place` is held.

    It is a copy of a snapshot. The box is a remote of the user's repository then.
    """
    with held(layout, reach.box) as other:
        past.copy(place, other, snapshot)
        state = other.load("", "")
        repository = source(state.workspace, layout.home) if state.kind == "git" else None
        if repository is not None:
            with opened(programs, other.store, repository, layout.home) as store:
                remember(store, reach)


def forget(programs: Programs, layout: Layout, reach: Reach) -> None:
    """Have nothing of a box any more: what is kept of it, the remote, and what leads to its work.

    What was fetched and merged stays. For a box that is removed; another may get its name.
    """
    with held(layout, reach.box) as place:
        state = place.load("", "")
        # A workspace that is gone, or broken, has no say in that.
        with contextlib.suppress(ContainAIError):
            repository = source(state.workspace, layout.home) if state.kind == "git" else None
            if repository is not None:
                with opened(programs, place.store, repository, layout.home) as store:
                    forget_remote(store, reach)
        gone(place)


def rename(programs: Programs, layout: Layout, reach: Reach, new: Reach) -> None:
    """Know a box by another name: what is kept of it, the remote, and what leads to its work.

    Done again where it was cut off. Branches of the user's that follow the remote's still do.
    """
    with held(layout, reach.box) as place, held(layout, new.box) as other:
        if place.load("", "").workspace:
            other.forget()
            os.rename(place.directory, other.directory)
        gone(place)
        state = other.load("", "")
        # A workspace that is gone, or broken, has no say in that.
        with contextlib.suppress(ContainAIError):
            repository = source(state.workspace, layout.home) if state.kind == "git" else None
            if repository is not None:
                with opened(programs, other.store, repository, layout.home) as store:
                    rename_remote(store, reach, new)
