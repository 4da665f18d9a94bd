"""The way into a box: at once where it runs, else set up, build, make, start, connect.

On the warm path: what only the longer ways need is imported by them.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.boxes import workspace as workspaces
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.errors import ContainAIError
from containai.layout import Layout
from containai.ssh import session

if TYPE_CHECKING:
    from containai.app import App
    from containai.boxes.box import Box
    from containai.boxes.limits import Limits
    from containai.boxes.locate import Located
    from containai.images.recipe import Recipe
    from containai.provision.step import AnyStep

Argv = list[bytes | str]
#: Settings whose flags say nothing about the box.
_OF_SESSION = {"agent.default"}


class Wanted(NamedTuple):
    """How a box is made, where it has to be, and what the session in it gets."""

    #: Of a workspace that is refused otherwise.
    force: bool = False
    #: Without what is mounted in the workspace.
    skip_mounts: bool = False
    #: The variables of this process that the session gets.
    send: Sequence[str] = ()
    #: Made anew where it is there.
    fresh: bool = False


def at_once(
    layout: Layout,
    target: Target,
    command: Sequence[str],
    *,
    force: bool = True,
    send: Sequence[str] = (),
) -> Argv | None:
    """Return the command line of a session in a running box, or None where it takes more.

    Docker is not asked. Raises WorkspaceError for a path that cannot be one.
    """
    workspace = workspaces.resolve(layout, target.path, force=force)
    name = target.name or workspaces.box_name(workspace.path, layout.uid)
    if not session.is_warm(layout, name, workspace.path, workspace.inode):
        return None
    return in_box(layout, name, workspace, command, send)


def existing(app: "App", target: Target, command: Sequence[str]) -> Argv:
    """Return the command line of a session in a box that is there, started if need be.

    Raises BoxNotFoundError where it is not.
    """
    argv = at_once(app.layout, target, command)
    return argv if argv is not None else _woken(app, target, command)


def made(app: "App", target: Target, command: Sequence[str], wanted: Wanted) -> Argv:
    """Return the command line of a session in a box; make and start whatever is missing."""
    argv = made_at_once(app, target, command, wanted)
    return argv if argv is not None else _brought_up(app, target, command, wanted)


def made_at_once(app: "App", target: Target, command: Sequence[str], wanted: Wanted) -> Argv | None:
    """Return the command line of a session in a box that runs as it is wanted, or None."""
    # What flags say, a box that runs already is to be given first.
    if wanted.fresh or app.flags.keys() - _OF_SESSION:
        return None
    # A name alone may be of another directory's box.
    force = wanted.force or (target.path is None and target.name is not None)
    return at_once(app.layout, target, command, force=force, send=wanted.send)


def in_box(
    layout: Layout,
    name: str,
    workspace: Workspace,
    command: Sequence[str],
    send: Sequence[str] = (),
) -> Argv:
    """Return the command line of a session in a box that runs."""
    return session.ssh_argv(
        layout,
        name,
        command,
        terminal=os.isatty(0),
        directory=workspace.directory,
        send=send,
    )


def _woken(app: "App", target: Target, command: Sequence[str]) -> Argv:
    from containai.boxes import locate

    box = locate.existing(app.engine, target, to_enter=True)
    return in_box(app.layout, box.name, started(app, box), command)


def started(app: "App", box: "Box") -> Workspace:
    """Have a box that is there running and reachable; return its workspace."""
    from containai.boxes import locate

    workspace = checked(app.layout, locate.workspace_of(box))
    app.boxes.bring_up(workspace, box.image, app.ui.say, box.name)
    return workspace


def _brought_up(app: "App", target: Target, command: Sequence[str], wanted: Wanted) -> Argv:
    from containai.boxes import design
    from containai.flows import admission, workspace_image
    from containai.images import recipe

    located = _located(app, target, wanted)
    box = located.box if located is not None else None
    is_made = box is None or wanted.fresh or design.is_left_over(box)
    if located is not None and box is not None:
        workspace = checked(app.layout, located.workspace)
        if wanted.fresh:
            _agreed(app, box)
    else:
        workspace = workspaces.resolve(app.layout, target.path, force=wanted.force)
    if is_made:
        # Before setup and builds, which take minutes.
        admission.look(app.host, workspace, force=wanted.force)
        image = workspace_image.wanted(app, workspace.path)
        _have(app, image, is_new=located is None)
    else:
        image = recipe.wanted(app.settings)
    workspace = workspace._replace(skip_mounts=wanted.skip_mounts)
    news: list[str] = []

    def admit() -> None:
        news[:] = admission.look(app.host, workspace, force=wanted.force)
        if not is_made and workspace_image.wanted(app, workspace.path) != image:
            raise ContainAIError("the box went while it was to be entered", hint="again: cai run")

    name = app.boxes.bring_up(
        workspace,
        # Its digest is looked up once.
        image.reference,
        app.ui.say,
        target.name,
        asked(app),
        admit=admit,
        fresh=wanted.fresh,
    )
    for text in [*news, *_without_proxies(app)]:
        app.ui.tell(text)
    return in_box(app.layout, name, workspace, command, wanted.send)


def _without_proxies(app: "App") -> list[str]:
    """Return what is to be said of proxies that boxes do not reach."""
    from containai.engine import forward

    lines = forward.explained(app.host.surroundings.proxies, forward.forwarded(app.layout))
    return [f"cai: {line}\n" for line in lines]


def _agreed(app: "App", box: "Box") -> None:
    """Raise ContainAIError where the user does not want to lose what is in a box."""
    what = f"The box {box.name!r} is made anew: all that is in it goes, its own Docker's images too"
    if not app.ui.ask(f"{what}; the workspace stays. Go on?"):
        raise ContainAIError("nothing was changed", hint="agree to it: cai run --fresh --yes")


def asked(app: "App") -> "Limits":
    """Return the limits that flags say: those that a box which is there gets, too."""
    from containai.boxes.limits import Limits
    from containai.config.settings import Settings

    settings = app.settings
    return Limits(settings.flagged(Settings.box_memory), settings.flagged(Settings.box_cpus))


def checked(layout: Layout, workspace: Workspace) -> Workspace:
    """Return a box's workspace. Raises WorkspaceError where it is no directory any more."""
    present = workspaces.resolve(layout, workspace.path, force=True)
    return present._replace(directory=workspace.directory)


def _located(app: "App", target: Target, wanted: Wanted) -> "Located | None":
    """Return what the target stands for, or None where no engine can run yet."""
    from containai.boxes import locate
    from containai.engine import daemon

    if not has_engine(app):
        return None
    daemon.start(app.host)
    return locate.locate(app.engine, target, force=wanted.force, to_enter=True)


def has_engine(app: "App") -> bool:
    """Whether there is an engine that can be started."""
    from containai.engine import configuration

    there = configuration.read(app.layout) is not None
    return there and app.host.which("dockerd", root=True) is not None


def is_set_up(app: "App", image: str) -> bool:
    """Whether boxes can be made of an image. The engine has to run."""
    from containai.engine import runtimes

    return runtimes.read_choice(app.layout) is not None and app.engine.image(image) is not None


def _have(app: "App", image: "Recipe", *, is_new: bool) -> None:
    """Have what a box is made of; `is_new` says that no engine can run yet."""
    from containai.flows import setup, workspace_image

    layer = workspace_image.layer_of(image)
    if is_new or not is_set_up(app, layer.reference):
        # Only here, as what knows how is much to import.
        setup.set_up(app.host, steps_to(app, layer), app.ui)
    if layer == image:
        return
    from containai.images import build

    if not build.exists(app.engine, image):
        build.ensure(app.engine, image, app.ui.step(f"image {image.name}", 1, 1))


def steps_to(app: "App", layer: "Recipe") -> "Sequence[AnyStep]":
    """Return the steps of setup, for boxes of a layer."""
    from containai.provision import steps
    from containai.provision.step import Choices

    settings = app.settings
    if layer.name != settings.image_name:
        settings = settings.over({"image.name": layer.name})
    return steps.steps(app.host, Choices(settings))
