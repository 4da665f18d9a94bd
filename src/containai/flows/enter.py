"""The way into a box: at once where it runs, else set up, build, make, start, connect.

On the warm path: what only the longer ways need is imported by them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from containai.boxes import workspace as workspaces
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.errors import BoxNotFoundError, ContainAIError
from containai.layout import WORKSPACE_IN_BOX, Layout
from containai.light import TYPE_CHECKING, NamedTuple
from containai.ssh import session
from containai.ssh.session import Session

if TYPE_CHECKING:
    from containai.app import App
    from containai.boxes.box import Box
    from containai.boxes.limits import Limits
    from containai.boxes.locate import Located
    from containai.images.recipe import Recipe
    from containai.provision.step import AnyStep

#: Settings whose flags say nothing about the box.
_OF_SESSION = {"agent.default"}
#: The one that is only about where the box is.
_WHERE = "box.on"


class Wanted(NamedTuple):
    """How a box is made, where it has to be, and what the session in it gets."""

    #: Of a workspace that is refused otherwise.
    force: bool = False
    #: Without what is mounted in the workspace.
    skip_mounts: bool = False
    #: Able to read the workspace only.
    read_only: bool = False
    #: The variables of ssh's process that the session gets.
    send: Sequence[str] = ()
    #: Made anew where it is there.
    fresh: bool = False
    #: With a data volume that is new.
    reset: bool = False

    def of(self, workspace: Workspace) -> Workspace:
        """Return a workspace as a box is made for it."""
        return workspace._replace(skip_mounts=self.skip_mounts, read_only=self.read_only)


def at_once(
    layout: Layout,
    target: Target,
    command: Sequence[str],
    *,
    force: bool = True,
    send: Sequence[str] = (),
) -> Session | None:
    """Return the session in a running box, or None where it takes more.

    Docker is not asked. Raises WorkspaceError for a path that cannot be one.
    """
    exact = target.here or (target.name is not None and target.path is not None)
    workspace = workspaces.resolve(layout, target.path, force=force, exact=exact)
    name = target.name or workspaces.box_name(workspace.path, layout.uid)
    if not session.is_warm(layout, name, workspace.path, workspace.inode):
        return None
    # They are of boxes of this machine, and told on their cold way.
    if _has_news(layout) and not session.place_of(layout, name):
        return None
    return in_box(layout, name, workspace, command, send)


def existing(app: App, target: Target, command: Sequence[str], send: Sequence[str] = ()) -> Session:
    """Return the session in a box that is there, started if need be.

    Raises BoxNotFoundError where it is not.
    """
    found = None
    if not _has_to_look(app, target):
        found = at_once(app.layout, target, command, send=send)
    if found is not None:
        return found
    from containai.flows import whereabouts

    return whereabouts.box(app, target, to_enter=True).enter(command, send)


def made(app: App, target: Target, command: Sequence[str], wanted: Wanted) -> Session:
    """Return the session in a box; make and start whatever is missing."""
    found = made_at_once(app, target, command, wanted)
    return found if found is not None else brought_up(app, target, command, wanted)


def there(app: App, target: Target, wanted: Wanted) -> tuple[Box, Workspace]:
    """Return a box that runs, made and started if need be, and its workspace as it was named.

    Raises BoxNotFoundError where it goes meanwhile.
    """
    from containai.flows import whereabouts

    made(app, target, ["true"], wanted)
    try:
        placed = whereabouts.box(app, target, to_enter=True)
    except BoxNotFoundError:
        raise BoxNotFoundError(
            "the box went while it was to be entered", hint="try again"
        ) from None
    return placed.box, placed.at(target)


def made_at_once(
    app: App, target: Target, command: Sequence[str], wanted: Wanted
) -> Session | None:
    """Return the session in a box that runs as it is wanted, or None."""
    # What flags say, a box that runs already is to be given first.
    if wanted.fresh or wanted.read_only or app.flags.keys() - _OF_SESSION - {_WHERE}:
        return None
    if _has_to_look(app, target):
        return None
    # A name alone may be of another directory's box.
    force = wanted.force or (target.path is None and target.name is not None)
    return at_once(app.layout, target, command, force=force, send=wanted.send)


def _has_to_look(app: App, target: Target) -> bool:
    """Whether a flag says where the box is, and it is not seen at once that it is there."""
    if _WHERE not in app.flags:
        return False
    from containai.flows import whereabouts

    return not whereabouts.is_there_already(app, target)


def in_box(
    layout: Layout,
    name: str,
    workspace: Workspace,
    command: Sequence[str],
    send: Sequence[str] = (),
    start: str = "",
) -> Session:
    """Return the session in a box that runs; `start` where it is known."""
    session.follow_agent(layout)
    below = os.path.join(start or session.start(layout, name), workspace.directory)
    return Session(
        layout,
        name,
        command,
        directory=os.path.join(WORKSPACE_IN_BOX, below).rstrip("/"),
        terminal=os.isatty(0) and os.isatty(1),
        send=send,
    )


def _has_news(layout: Layout) -> bool:
    """Whether something was ended for want of memory since the user was told: two stats."""
    try:
        noted = os.stat(layout.kills).st_mtime_ns
    except OSError:
        return False
    try:
        return noted != os.stat(layout.kills_seen).st_mtime_ns
    except OSError:
        return True


def tell_news(app: App) -> None:
    """Say what was ended in boxes for want of memory since the user was told."""
    from containai.boxes import kills

    for kill in kills.news(app.engine):
        app.ui.tell(f"cai: {kill.described()}\n  hint: {kill.hint}\n")


def started(app: App, box: Box) -> Workspace:
    """Have a box that is there running and reachable; return its workspace."""
    from containai.flows import whereabouts

    return whereabouts.of(app, box).start()


def brought_up(app: App, target: Target, command: Sequence[str], wanted: Wanted) -> Session:
    """Return the session in a box; make and start whatever is missing, the longer way.

    Raises NoSpareError where only a spare is to be that box, and none can.
    """
    from containai.boxes import design
    from containai.flows import (
        admission,
        beside,
        filling,
        keeper,
        refusing,
        whereabouts,
        workspace_image,
    )
    from containai.images import recipe

    place = whereabouts.where(app, target)
    if place is not None:
        from containai.flows import away

        return away.brought_up(app, target, command, wanted, place)
    located = _located(app, target, wanted)
    box = located.box if located is not None else None
    is_made = box is None or wanted.fresh or design.is_left_over(box)
    workspace = located.workspace if located is not None else _resolved(app, target, wanted)
    if box is not None:
        workspace = checked(app.layout, workspace)
    app = app.at(workspace.path)
    if box is not None and not is_made:
        refusing.writable(box, wanted)
    refusing.volume(app, box if not is_made else None)
    if wanted.fresh and located is not None:
        _agreed(app, box, workspace, wanted)
    if is_made:
        if box is None and not target.here:
            refusing.moved(app, workspace)
        image = workspace_image.wanted(app, workspace.path)
        # There are spares only where there is all that.
        if not app.only_spares:
            # Before setup and builds, which take minutes.
            admission.look(app.host, workspace, force=wanted.force)
            have(app, image, is_new=located is None)
    else:
        image = recipe.wanted(app.settings)
    workspace = wanted.of(workspace)
    news: list[str] = []

    def admit() -> None:
        told = admission.look(app.host, workspace, force=wanted.force)
        news[:] = [*told, *app.boxes.wishes.places(app.host, workspace).news]
        if not is_made and workspace_image.wanted(app, workspace.path) != image:
            raise ContainAIError("the box went while it was to be entered", hint="again: cai run")

    is_first = is_made and filling.is_wanted(app, workspace, is_new=wanted.reset)
    name = app.boxes.bring_up(
        workspace,
        # Its digest is looked up once.
        image.reference,
        app.ui.say,
        target.name,
        asked(app),
        admit=admit,
        fresh=wanted.fresh,
        reset=wanted.reset,
    )
    beside.have(app, name)
    for text in [*news, *beside.without_proxies(app), *ignored(app, of_agents=False)]:
        app.ui.tell(text)
    tell_news(app)
    if is_first:
        from containai.flows import bringing

        bringing.offer(app, name)
    keeper.replenish(app)
    return in_box(app.layout, name, workspace, command, wanted.send)


def at_target(app: App, target: Target) -> App:
    """Return the App of the workspace that a target stands for, as far as no engine has to tell.

    Raises WorkspaceError for a path that cannot be one.
    """
    if target.path is None and target.name is not None:
        known = session.workspace_of(app.layout, target.name)
        if known:
            return app.at(known)
    return app.at(
        workspaces.resolve(app.layout, target.path, force=True, exact=target.is_exact).path
    )


def ignored(app: App, *, of_agents: bool) -> list[str]:
    """Return what is to be said of what the file of a workspace says in vain."""
    keys = [each.key for each in app.settings.ignored]
    keys = [key for key in keys if key.startswith("agent.") is of_agents]
    if not keys:
        return []
    return [f"cai: .containai/config.toml: {', '.join(keys)} ignored (cai config list says why)\n"]


def _agreed(app: App, box: Box | None, workspace: Workspace, wanted: Wanted) -> None:
    """Raise ContainAIError where the user does not want to lose what is in a box, or its data."""
    from containai.boxes.design import Order

    gone = ""
    if wanted.reset:
        order = Order(box.name if box else "", workspace, "")
        gone = app.boxes.renewed(order, box, reset=True)[1]
    lost = []
    if box is not None:
        what = f"The box {box.name!r} is made anew: all that is in it goes"
        lost.append(f"{what}, its own Docker's images too")
    if gone:
        lost.append(
            f"{'its' if box else 'The'} data volume {gone!r} goes: logins, settings and history"
        )
    if lost and not app.ui.ask(f"{'; '.join([*lost, 'the workspace stays'])}. Go on?"):
        words = "--reset" if wanted.reset else "--fresh"
        raise ContainAIError("nothing was changed", hint=f"agree to it: cai run {words} --yes")


def asked(app: App) -> Limits:
    """Return the limits that flags say: those that a box which is there gets, too."""
    from containai.boxes import limits

    flagged = app.settings.flagged
    return limits.said(flagged, app.host.capacity()) if app.flags else limits.Limits()


def checked(layout: Layout, workspace: Workspace) -> Workspace:
    """Return a box's workspace. Raises WorkspaceError where it is no directory any more."""
    present = workspaces.resolve(layout, workspace.path, force=True, exact=True)
    return present._replace(directory=workspace.directory)


def _located(app: App, target: Target, wanted: Wanted) -> Located | None:
    """Return what the target stands for, or None where no engine can run yet."""
    from containai.boxes import locate
    from containai.engine import daemon

    if app.only_spares:
        # Whether there is a box, is seen under its lock.
        return locate.Located(_resolved(app, target, wanted), "", None)
    if not has_engine(app):
        return None
    daemon.start(app.host)
    return locate.locate(app.engine, target, force=wanted.force, to_enter=True)


def _resolved(app: App, target: Target, wanted: Wanted) -> Workspace:
    return workspaces.resolve(app.layout, target.path, force=wanted.force, exact=target.is_exact)


def has_engine(app: App) -> bool:
    """Whether there is an engine that can be started."""
    from containai.engine import configuration

    there = configuration.read(app.layout) is not None
    return there and app.host.which("dockerd", root=True) is not None


def is_set_up(app: App, image: str) -> bool:
    """Whether boxes can be made of an image. The engine has to run."""
    from containai.engine import runtimes

    return runtimes.read_choice(app.layout) is not None and app.engine.image(image) is not None


def have(app: App, image: Recipe, *, is_new: bool) -> None:
    """Have what a box is made of; `is_new` says that no engine can run yet."""
    from containai.flows import workspace_image

    layer = workspace_image.layer_of(image)
    if is_new or not is_set_up(app, layer.reference):
        # Only here, as what knows how is much to import.
        from containai.flows import setup

        setup.set_up(app.host, steps_to(app, layer), app.ui)
    if layer == image:
        return
    from containai.images import build

    if not build.exists(app.engine, image):
        build.ensure(app.engine, image, app.ui.step(f"image {image.name}", 1, 1))


def steps_to(app: App, layer: Recipe) -> Sequence[AnyStep]:
    """Return the steps of setup, for boxes of a layer."""
    from containai.provision import steps
    from containai.provision.step import Choices

    settings = app.settings
    if layer.name != settings.image_name:
        settings = settings.over({"image.name": layer.name})
    return steps.steps(app.host, Choices(settings))
