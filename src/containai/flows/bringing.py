"""`cai import`: brings logins and settings of a home into the data of a box."""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from containai.app import App
from containai.boxes import locate, volumes
from containai.boxes import workspace as workspaces
from containai.boxes.box import Status
from containai.boxes.data import Place
from containai.boxes.locate import Located
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.engine import configuration
from containai.errors import (
    BoxNotFoundError,
    ContainAIError,
    CopyError,
    NotSetUpError,
    UsageError,
    WorkspaceError,
)
from containai.flows import enter, images, reaching, whereabouts
from containai.host import below
from containai.host.homes import Tree
from containai.sync import manifest, send
from containai.sync.archive import Archive
from containai.sync.choice import Choice
from containai.sync.gather import Gathered, Home, gather
from containai.sync.send import Done


class Brought(NamedTuple):
    """What was brought from where into which volume; `done` is None where nothing was to be.

    A box on a remote `place` has no volume: what is brought is on its disk.
    """

    source: str
    box: str
    volume: str
    #: Whether a running box has it at once.
    live: bool
    gathered: Gathered
    done: Done | None
    place: str = ""


class _Into(NamedTuple):
    """Where something is brought, what an agent may change on this machine, and what sends it."""

    box: str
    volume: str
    live: bool
    workspaces: Sequence[str]
    send: Callable[[bytes], Done]
    place: str = ""


def bring(app: App, target: Target, choice: Choice, source: str, *, dry_run: bool) -> Brought:
    """Bring what is chosen of a home, the user's own where no `source` is said.

    A box on a remote place is started for it. Raises CopyError for a source that cannot be read,
    and as `locate.locate` does.
    """
    into = _away(app, target) or _here(app, target)
    guarded = below.identities(into.workspaces)
    with ExitStack() as stack:
        home = _home(app, stack, source, guarded)
        out = io.BytesIO()
        gathered = gather(home, choice, _Nowhere() if dry_run else out)
        shown = source or app.layout.home
        brought = Brought(shown, into.box, into.volume, into.live, gathered, None, into.place)
        if dry_run or not gathered.items:
            return brought
        return brought._replace(done=into.send(out.getvalue()))


def _away(app: App, target: Target) -> _Into | None:
    """Return how a box on a remote place gets it; None for one of this machine.

    Raises NotThereError where the box is to be there, and is not yet.
    """
    entry = whereabouts.found(app, target)
    if entry is None:
        if target.name is None:
            hint = "make the box first: cai run"
            whereabouts.only_made_here(app, target, "data without its box", hint)
        return None
    from containai.flows import away

    box = away.as_box(app, entry)

    def send_it(archive: bytes) -> Done:
        enter.started(app, box)
        return send.into_box(reaching.way(app, box), archive)

    return _Into(box.name, "", True, reaching.workspaces(app), send_it, entry.place)


def _here(app: App, target: Target) -> _Into:
    if configuration.read(app.layout) is None:
        raise NotSetUpError("this machine is not set up, so there is no box", hint="run: cai setup")
    engine = images.engine_of(app)
    located = locate.locate(engine, target, to_enter=True)
    if located.box is None and target.name is not None:
        raise BoxNotFoundError(f"there is no box {target.name!r}", hint="see: cai ls")
    if located.box is None:
        located = located._replace(workspace=_to_be(app, target))
    volume = _volume(app, located)
    live = located.box is not None and located.box.status is Status.RUNNING
    written = [located.workspace.path, *reaching.workspaces(app)]
    return _Into(
        located.name, volume, live, written, lambda archive: _sent(app, located, volume, archive)
    )


def _to_be(app: App, target: Target) -> Workspace:
    """Return the workspace of a box that is yet to be made: of a directory that can have one."""
    try:
        return workspaces.resolve(app.layout, target.path)
    except WorkspaceError as wrong:
        hint = "a box that is there gets it, too: cai import --name NAME"
        raise WorkspaceError(str(wrong), hint=hint) from None


def found(app: App) -> Gathered:
    """Return what there is to be brought of the user's own home."""
    guarded = below.identities(reaching.workspaces(app))
    home = Tree(app.layout.home, app.layout.uid, workspaces=guarded)
    return gather(home, Choice(), _Nowhere())


class _Nowhere(io.BytesIO):
    """What is written there is nowhere."""

    def write(self, content: Any) -> int:
        return len(content)


def summary(gathered: Gathered) -> str:
    """Return in a line what is brought: whose it is, how many files, how many logins."""
    whose = ", ".join(dict.fromkeys(item.whose for item in gathered.items))
    logins = sum(item.login for item in gathered.items)
    count = len(gathered.items)
    files = f"{count} file{'s' * (count != 1)}"
    return f"{whose}: {files}, {logins or 'no'} login{'s' * (logins != 1)}"


def _sent(app: App, located: Located, volume: str, archive: bytes) -> Done:
    engine, box = app.engine, located.box
    if box is not None and box.status is Status.RUNNING:
        return send.into_box(reaching.way(app, box), archive)
    if box is not None:
        image = box.image
    else:
        image = images.make(app, app.settings.image_name, anew=False)[-1].reference
        volumes.have(engine, volume, located.workspace.path)
    return send.into_volume(engine, Place(volume, image), archive)


def _volume(app: App, located: Located) -> str:
    """Return the name of the volume that a box has, or that the workspace's would have."""
    if located.box is None:
        there = app.at(located.workspace.path)
        return there.boxes.data_volume or volumes.own(app.engine, located.workspace.path)
    if not located.box.data:
        raise ContainAIError(
            f"the box {located.name} has no data volume: it was made by an earlier version",
            hint=f"make it anew: cai run --fresh --name {located.name}",
        )
    return located.box.data


def _home(app: App, stack: ExitStack, source: str, guarded: set[below.Identity]) -> Home:
    if not source:
        return Tree(app.layout.home, app.layout.uid, workspaces=guarded)
    path = os.path.abspath(source)
    if not os.path.exists(path):
        raise UsageError(f"there is no {source!r}", hint="--from DIRECTORY or --from ARCHIVE")
    try:
        if os.path.isdir(path):
            fd = stack.enter_context(below.open_directory(path, guarded))
            return Tree(path, app.layout.uid, follows=False, top=fd)
        above = stack.enter_context(below.open_directory(os.path.dirname(path), guarded))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        fd = os.open(os.path.basename(path), flags, dir_fd=above)
    except OSError as wrong:
        raise CopyError(
            f"{source!r} cannot be read: {wrong.strerror}",
            hint="--from takes a directory, or a tar archive by its own name and not a link's",
        ) from None
    with open(fd, "rb") as file:
        return Archive(file, source, manifest.has)


def offer(app: App, name: str, place: str = "") -> None:
    """Offer, or do, what `import.auto` says, for a box that has just been made.

    On a remote place, where others may look into it, it is asked in any case.
    """
    how = app.settings.import_auto
    if how == "never" or (place and not app.at_terminal):
        return
    try:
        there = found(app)
        if not there.items or ((how == "ask" or place) and not _agreed(app, there, place)):
            return
        brought = bring(app, Target(name=name), Choice(), "", dry_run=False)
    except ContainAIError as failed:
        app.ui.tell(f"cai: your settings were not brought: {failed}\n")
        return
    left = len(brought.gathered.left)
    more = f"; {left} stay on the host: cai import --dry-run" if left else ""
    app.ui.tell(f"cai: brought {summary(brought.gathered)}{more}\n")


def _agreed(app: App, there: Gathered, place: str) -> bool:
    """Whether somebody at a terminal wants it. What was agreed to beforehand does not count."""
    where = f"this box on {place}" if place else "this box"
    question = f"Bring your logins and settings into {where} ({summary(there)})?"
    if app.ui.ask(question, beforehand=False):
        return True
    app.ui.tell("cai: later: cai import, and --dry-run to see it; import.auto = never: not asked\n")
    return False
