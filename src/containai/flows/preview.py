"""What `cai run` would do: looked at and decided as there, and nothing of it done."""

import os
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from containai.app import App
from containai.boxes import around, design, ids, locate, lookup, preloaded, region
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.design import Order, Request
from containai.boxes.spec import create_arguments
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.engine import configuration, daemon, nested
from containai.flows import admission, enter, setup, workspace_image
from containai.flows.workspace_image import Trust
from containai.host import files, services
from containai.images import build, dockerfile
from containai.images.recipe import Recipe
from containai.provision.steps.user import Keys
from containai.ssh import connect, hosts, session
from containai.work.actions import Action, Later, Run

#: What stands for a key that is yet to be made or asked for.
_LATER = "(known only later)"


class Shown(NamedTuple):
    """Something that is done on the way without a command of its own, and its details."""

    title: str
    details: str = ""

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"{self.title}\n{textwrap.indent(self.details, '    ')}".rstrip("\n")


class Preview(NamedTuple):
    """What would be done for a box, and the session in it.

    `status` is that of a box that is there. `name` and `argv`, the session's command line, are None
    where only what is done first can tell; `create` is the command line that makes a box.
    """

    name: str | None
    status: Status | None
    actions: Sequence[Action | Shown]
    argv: Sequence[str] | None = None
    create: Sequence[str] | None = None

    def describe(self) -> str:
        """Return all of it, as a dry run prints it."""
        last = [Run(self.argv, root=False)] if self.argv is not None else []
        return "".join(f"{action.describe()}\n" for action in (*self.actions, *last))


def preview(app: App, target: Target, command: Sequence[str], wanted: enter.Wanted) -> Preview:
    """Return what `enter.made` would do. Raises as that does for what can be seen beforehand."""
    argv = enter.made_at_once(app, target, command, wanted)
    if argv is not None:
        return Preview(_text(argv)[-2], Status.RUNNING, (), _text(argv))
    if not enter.has_engine(app):
        return _set_up(app, target, wanted)
    if not daemon.answering(app.host):
        later = Later("which box it is, and what it takes: only a running engine knows")
        return Preview(None, None, (_engine_start(app), later))
    located = locate.locate(app.engine, target, force=wanted.force, to_enter=True)
    box = located.box
    if box is not None and wanted.fresh and not design.is_left_over(box):
        return _made_anew(app, box, located.workspace, wanted, command)
    if box is not None and not design.is_left_over(box):
        workspace = enter.checked(app.layout, located.workspace)
        return _woken(app, box, workspace, command, wanted.send)
    workspace = _admitted(app, enter.checked(app.layout, located.workspace), wanted)
    image, trust = workspace_image.previewed(app, workspace.path)
    if not enter.is_set_up(app, workspace_image.layer_of(image).reference):
        return _planned(app, image, trust)
    order = Order(located.name, workspace, image.reference, enter.asked(app))
    made = _made(app, order, box, command, wanted.send)
    return made._replace(actions=(*_built(app, image, trust), *made.actions))


def _admitted(app: App, workspace: Workspace, wanted: enter.Wanted) -> Workspace:
    workspace = workspace._replace(skip_mounts=wanted.skip_mounts)
    for text in admission.look(app.host, workspace, force=wanted.force):
        app.ui.tell(text)
    return workspace


def _set_up(app: App, target: Target, wanted: enter.Wanted) -> Preview:
    workspace = workspaces.resolve(app.layout, target.path, force=wanted.force)
    _admitted(app, workspace, wanted)
    return _planned(app, *workspace_image.previewed(app, workspace.path))


def _planned(app: App, image: Recipe, trust: Trust) -> Preview:
    plans = setup.preview(app.host, enter.steps_to(app, workspace_image.layer_of(image)))
    actions = [action for plan in plans for action in plan.actions]
    later = Later("how the box is made: this machine has to be set up first")
    return Preview(None, None, (*actions, *_built(app, image, trust), later))


def _built(app: App, image: Recipe, trust: Trust) -> list[Action | Shown]:
    """Return what has the image of a workspace's own Dockerfile, where it is not there."""
    shown: list[Action | Shown] = []
    if trust is not Trust.YES:
        shown.append(Shown(f"ask whether {dockerfile.PATH} is trusted"))
    layer = workspace_image.layer_of(image)
    is_there = layer == image or build.exists(app.engine, image)
    if not is_there:
        words = app.engine.argv(*build.build_words(image, build.upon(layer)))
        shown.append(Shown(f"build {dockerfile.PATH}, which is on stdin", f"$ {shlex.join(words)}"))
    return shown


def _engine_start(app: App) -> Shown:
    dockerd = app.host.which("dockerd", root=True) or ""
    service = daemon.service(app.host, configuration.network(app.layout), dockerd)
    details = services.manager(app.host).start_shown(service)
    return Shown("start the engine and wait until it answers", "\n".join(details))


def _made(
    app: App, order: Order, left: Box | None, command: Sequence[str], send: Sequence[str]
) -> Preview:
    """Return what is done for a new box; `left` is what an interrupted start left of another."""
    order = app.boxes.completed(order)
    made = app.boxes.designed(order, left=left)
    container = app.engine.container(left.container) if left is not None else None
    removing = design.removing(container) if container is not None else []
    tidying = design.tidying(lookup.forgotten_volumes(app.engine, order.name))
    create = Run(app.engine.argv(*create_arguments(made)), root=app.engine.needs_root)
    authorized = (files.read(f"{app.layout.ssh_key}.pub") or _LATER).strip()
    told = app.boxes.told(order.name)
    given = design.files(
        ids.agent_files(made.runtime, made.workspace) | region.seen(app.host),
        key=(_LATER, _LATER),
        authorized=authorized,
        pools=nested.settings(app.host),
        told=around.shown(told),
    )
    actions = (
        *_requests(app, removing),
        *_keys(app),
        *_requests(app, tidying),
        create,
        *(
            Shown(f"write in the box /{path} (mode {given[path][1]:o})", given[path][0])
            for path in given
        ),
        *((Shown(preloaded.COPYING),) if preloaded.exist(app.engine) else ()),
        *_published(app, order.name, made.ssh_port, order.workspace, _LATER, told),
        *_requests(app, [("start", order.name)]),
        _connection(app, order.name),
    )
    argv = _text(enter.in_box(app.layout, order.name, order.workspace, command, send))
    return Preview(order.name, left.status if left else None, actions, argv, create.argv)


def _made_anew(
    app: App, box: Box, workspace: Workspace, wanted: enter.Wanted, command: Sequence[str]
) -> Preview:
    """Return what is done for a box that takes the place of one that is there."""
    workspace = _admitted(app, enter.checked(app.layout, workspace), wanted)
    image, trust = workspace_image.previewed(app, workspace.path)
    if not enter.is_set_up(app, workspace_image.layer_of(image).reference):
        return _planned(app, image, trust)
    order = Order(box.name, workspace, image.reference, enter.asked(app))
    order = design.succeeding(order, box)
    made = _made(app, order, None, command, wanted.send)
    container = app.engine.container(box.container)
    removing = design.removing(container) if container is not None else []
    actions = (
        *_built(app, image, trust),
        *_requests(app, [("rename", box.container, design.kept(box.name))]),
        *made.actions,
        *_requests(app, [("stop", box.container), *removing]),
    )
    return made._replace(status=box.status, actions=actions)


def _woken(
    app: App, box: Box, workspace: Workspace, command: Sequence[str], send: Sequence[str]
) -> Preview:
    """Return what is done for a box that is there."""
    layout = app.layout
    same = session.block_matches(layout, box.name, workspace.path, workspace.inode)
    requests = [(step, box.container) for step in design.waking(box, same=same)]
    starting = [request for request in requests if request[0] == "start"]
    pinned = hosts.pinned_key(files.read(layout.known_hosts) or "", box.name)
    told = app.boxes.told(box.name)
    actions = (
        *_requests(app, app.boxes.limiting(box, enter.asked(app))),
        *_requests(app, [request for request in requests if request not in starting]),
        *_keys(app),
        *_told(app, box, told, runs=not starting),
        *_published(app, box.name, box.ssh_port, workspace, pinned or _LATER, told),
        *_requests(app, starting),
        _connection(app, box.name),
    )
    argv = _text(enter.in_box(layout, box.name, workspace, command, send))
    return Preview(box.name, box.status, actions, argv)


def _requests(app: App, requests: Iterable[Request]) -> list[Run]:
    return [Run(app.engine.argv(*words), root=app.engine.needs_root) for words in requests]


def _keys(app: App) -> list[Action]:
    finding = Keys().check(app.host)
    return Keys().plan(app.host, finding)


def _told(app: App, box: Box, told: str, *, runs: bool) -> list[Shown]:
    """Return what tells a box of certificates and proxies, where it knows others."""
    if around.mark(told) == session.last_told(app.layout, box.name):
        return []
    if not runs:
        title = f"write in the box /{around.FILE_IN_BOX} (mode 600)"
        return [Shown(title, around.shown(told))]
    words = ("exec", "--interactive", box.container, *around.PLACE)
    return [Shown(f"$ {shlex.join(app.engine.argv(*words))}, with this", around.shown(told))]


def _published(
    app: App, name: str, port: int, workspace: Workspace, key: str, told: str
) -> list[Shown]:
    layout = app.layout
    pinned = hosts.with_host_key("", name, key)
    block = app.boxes.block(name, port, workspace, told)
    return [
        Shown(f"$ write in {layout.known_hosts} (mode 600)", pinned),
        Shown(f"$ write {layout.ssh_block(name)} (mode 600)", block),
    ]


def _connection(app: App, name: str) -> Shown:
    argv = connect.master_argv(app.layout, name, "LOG")
    title = "wait for sshd, and open the connection that sessions share; LOG is a file that goes"
    return Shown(title, f"$ {shlex.join(argv)}")


def _text(argv: enter.Argv) -> list[str]:
    return [os.fsdecode(word) for word in argv]
