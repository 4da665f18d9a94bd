"""What `cai run` would do: looked at and decided as there, and nothing of it done."""

import os
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from containai.app import App
from containai.boxes import (
    around,
    design,
    limiting,
    locate,
    lookup,
    maker,
    preloaded,
    telling,
    variables,
    volumes,
)
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.design import Order, Request
from containai.boxes.limits import Limits
from containai.boxes.spec import create_arguments, data_labels
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.engine import configuration, daemon
from containai.flows import admission, enter, outline, refusing, setup, whereabouts, workspace_image
from containai.flows.outline import Elsewhere, Fate, Outline
from containai.host import files, services
from containai.images import build, dockerfile
from containai.images.recipe import Recipe
from containai.provision.steps.user import Keys
from containai.ssh import connect, hosts, session
from containai.trust import Trust
from containai.work.actions import Action, Later, Run

#: What stands for a key that is yet to be made or asked for.
LATER = "(known only later)"


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
    #: What the box is to be, where that is known.
    outline: Outline | Elsewhere | None = None

    def describe(self, command: Sequence[str] = ()) -> str:
        """Return all of it, as a dry run prints it; `command` is what runs in the box."""
        head = f"{self.outline.describe(command)}\n" if self.outline is not None else ""
        last = [Run(self.argv, root=False)] if self.argv is not None else []
        return head + "".join(f"{action.describe()}\n" for action in (*self.actions, *last))


def preview(app: App, target: Target, command: Sequence[str], wanted: enter.Wanted) -> Preview:
    """Return what `enter.made` would do. Raises as that does for what can be seen beforehand."""
    place = whereabouts.where(app, target)
    if place is not None:
        from containai.flows import away_preview

        return away_preview.preview(app, target, command, wanted, place)
    entered = enter.made_at_once(app, target, command, wanted)
    if entered is not None:
        name = entered.box
        return Preview(name, Status.RUNNING, (), text(entered), outline=_running(app, name))
    if not enter.has_engine(app):
        return _set_up(app, target, wanted)
    if not daemon.answering(app.host):
        later = Later("which box it is, and what it takes: only a running engine knows")
        return Preview(None, None, (_engine_start(app), later))
    located = locate.locate(app.engine, target, force=wanted.force, to_enter=True)
    app = app.at(located.workspace.path)
    box = located.box
    if box is not None and wanted.fresh and not design.is_left_over(box):
        return _made_anew(app, box, located.workspace, wanted, command)
    if box is not None and not design.is_left_over(box):
        refusing.volume(app, box)
        refusing.writable(box, wanted)
        workspace = enter.checked(app.layout, located.workspace)
        return _woken(app, box, workspace, command, wanted.send)
    if box is None and not target.here:
        refusing.moved(app, located.workspace)
    workspace = _admitted(app, enter.checked(app.layout, located.workspace), wanted)
    image, trust = workspace_image.previewed(app, workspace.path)
    if not enter.is_set_up(app, workspace_image.layer_of(image).reference):
        return _planned(app, image, trust)
    order = Order(located.name, workspace, image.reference, enter.asked(app))
    order, gone = app.boxes.renewed(order, None, reset=wanted.reset)
    made = _made(app, order, box, command, wanted.send)
    return made._replace(actions=(*_built(app, image, trust), *made.actions, *_gone(gone)))


def _admitted(app: App, workspace: Workspace, wanted: enter.Wanted) -> Workspace:
    workspace = wanted.of(workspace)
    told = admission.look(app.host, workspace, force=wanted.force)
    for text in [*told, *app.boxes.wishes.places(app.host, workspace).news]:
        app.ui.tell(text)
    return workspace


def _set_up(app: App, target: Target, wanted: enter.Wanted) -> Preview:
    workspace = workspaces.resolve(
        app.layout, target.path, force=wanted.force, exact=target.is_exact
    )
    app = app.at(workspace.path)
    _admitted(app, workspace, wanted)
    return _planned(app, *workspace_image.previewed(app, workspace.path))


def _planned(app: App, image: Recipe, trust: Trust) -> Preview:
    plans = setup.preview(app.host, enter.steps_to(app, workspace_image.layer_of(image)))
    actions = [action for plan in plans for action in plan.actions]
    later = Later("how the box is made: this machine has to be set up first")
    return Preview(None, None, (*actions, *_built(app, image, trust), later))


def _built(app: App, image: Recipe, trust: Trust) -> list[Action | Shown]:
    """Return what has the image of a workspace's own Dockerfile, where it is not there."""
    shown: list[Action | Shown] = [*trusted(trust)]
    layer = workspace_image.layer_of(image)
    is_there = layer == image or build.exists(app.engine, image)
    if not is_there:
        words = app.engine.argv(*build.build_words(image, build.upon(layer)))
        shown.append(Shown(f"build {dockerfile.PATH}, which is on stdin", f"$ {shlex.join(words)}"))
    return shown


def trusted(trust: Trust) -> list[Shown]:
    """Return what is asked about a workspace's own Dockerfile."""
    return [] if trust is Trust.YES else [Shown(f"ask whether {dockerfile.PATH} is trusted")]


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
    authorized = (files.read(f"{app.layout.ssh_key}.pub") or LATER).strip()
    told = telling.told(app.host, order.name)
    given = maker.given(app.host, order, around.shown(told), authorized)
    given |= design.host_key(LATER, LATER)
    given |= {
        path: (app.boxes.variables().shown, mode)
        for path, (_, mode) in app.boxes.variables().files.items()
    }
    actions = (
        *_requests(app, removing),
        *keys(app),
        *_requests(app, tidying),
        *_volume(app, order),
        *(Shown(f"make {os.path.join(*path)}") for path in order.places.directories),
        *(Shown(f"$ write {path} (mode 644)", text) for path, text in order.places.files),
        *(
            (Shown(f"say: {design.said_of_sharing(made.data, made.sharing)}"),)
            if made.sharing
            else ()
        ),
        create,
        *(
            Shown(f"write in the box /{path} (mode {given[path][1]:o})", given[path][0])
            for path in given
        ),
        *((Shown(preloaded.COPYING),) if preloaded.exist(app.engine) else ()),
        *_published(app, order.name, made.ssh_port, order.workspace, LATER, told, made.start),
        *_requests(app, [("start", order.name)]),
        connection(app, order.name),
        *_brought(app, order),
    )
    argv = text(enter.in_box(app.layout, order.name, order.workspace, command, send, made.start))
    data = Fate.CREATED if volumes.get(app.engine, order.data) is None else Fate.KEPT
    seen = outline.of_new(made, Fate.CREATED, data)
    return Preview(order.name, left.status if left else None, actions, argv, create.argv, seen)


def _volume(app: App, order: Order) -> list[Shown]:
    """Return what makes the data volume, where it is not there."""
    if volumes.get(app.engine, order.data) is not None:
        return []
    labels = data_labels(app.layout.uid, order.workspace.path)
    details = "\n".join(f"{key}={value}" for key, value in labels.items())
    return [Shown(f"make the data volume {order.data}", details)]


def _gone(volume: str) -> list[Shown]:
    """Return what removes a data volume that is made anew."""
    return [Shown(f"remove the data volume {volume}")] if volume else []


def _brought(app: App, order: Order) -> list[Shown]:
    """Return what is said of the user's own settings, where the data volume is new."""
    from containai.flows import bringing

    how = app.settings.import_auto
    if how == "never" or volumes.get(app.engine, order.data) is not None:
        return []
    there = bringing.found(app)
    verb = "bring" if how == "always" else "ask, at a terminal, whether to bring"
    what = f"{verb} your logins and settings (import.auto)"
    return [Shown(what, bringing.summary(there))] if there.items else []


def _made_anew(
    app: App, box: Box, workspace: Workspace, wanted: enter.Wanted, command: Sequence[str]
) -> Preview:
    """Return what is done for a box that takes the place of one that is there."""
    workspace = _admitted(app, enter.checked(app.layout, workspace), wanted)
    image, trust = workspace_image.previewed(app, workspace.path)
    if not enter.is_set_up(app, workspace_image.layer_of(image).reference):
        return _planned(app, image, trust)
    order = Order(box.name, workspace, image.reference, enter.asked(app))
    order, gone = app.boxes.renewed(order, box, reset=wanted.reset)
    made = _made(app, order, None, command, wanted.send)
    container = app.engine.container(box.container)
    removing = design.removing(container) if container is not None else []
    actions = (
        *_built(app, image, trust),
        *_requests(app, [("rename", box.container, design.kept(box.name))]),
        *made.actions,
        *_requests(app, [("stop", box.container), *removing]),
        *_gone(gone),
    )
    seen = made.outline._replace(fate=Fate.ANEW) if made.outline is not None else None
    return made._replace(status=box.status, actions=actions, outline=seen)


def _woken(
    app: App, box: Box, workspace: Workspace, command: Sequence[str], send: Sequence[str]
) -> Preview:
    """Return what is done for a box that is there."""
    layout = app.layout
    same = session.block_matches(layout, box.name, workspace.path, workspace.inode)
    requests = [(step, box.container) for step in design.waking(box, same=same)]
    starting = [request for request in requests if request[0] == "start"]
    pinned = hosts.pinned_key(files.read(layout.known_hosts) or "", box.name)
    told = telling.told(app.host, box.name)
    actions = (
        *_requests(app, limiting.requests(app.engine, box, enter.asked(app))),
        *_requests(app, [request for request in requests if request not in starting]),
        *keys(app),
        *_told(app, box, told, runs=not starting),
        *_given(app, box, runs=not starting),
        *_published(app, box.name, box.ssh_port, workspace, pinned or LATER, told, box.start),
        *_requests(app, starting),
        connection(app, box.name),
    )
    argv = text(enter.in_box(layout, box.name, workspace, command, send, box.start))
    container = app.engine.container(box.container)
    fate = Fate.STARTED if starting else Fate.KEPT
    seen = outline.of_there(box, container, fate, enter.asked(app)) if container else None
    return Preview(box.name, box.status, actions, argv, outline=seen)


def _running(app: App, name: str) -> Outline | None:
    """Return the outline of a box that is entered at once, if the engine knows it."""
    container = app.engine.container(name) if daemon.answering(app.host) else None
    if container is None:
        return None
    return outline.of_there(Box.from_container(container), container, Fate.KEPT, Limits())


def _requests(app: App, requests: Iterable[Request]) -> list[Run]:
    return [Run(app.engine.argv(*words), root=app.engine.needs_root) for words in requests]


def keys(app: App) -> list[Action]:
    """Return what has the user's own key, where there is none."""
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


def _given(app: App, box: Box, *, runs: bool) -> list[Shown]:
    """Return what gives a box other variables than it has; no value is shown."""
    wanted = app.boxes.variables()
    if wanted.mark == session.last_variables(app.layout, box.name):
        return []
    if not runs:
        return [Shown(f"write in the box /{variables.FILE_IN_BOX} (mode 600)", wanted.shown)]
    words = ("exec", "--interactive", box.container, *variables.PLACE)
    return [Shown(f"$ {shlex.join(app.engine.argv(*words))}, with this", wanted.shown)]


def _published(
    app: App, name: str, port: int, workspace: Workspace, key: str, told: str, start: str
) -> list[Shown]:
    layout = app.layout
    pinned = hosts.with_host_key("", name, key)
    block = session.without_variables(app.boxes.block(name, port, workspace, told, start))
    return [
        Shown(f"$ write in {layout.known_hosts} (mode 600)", pinned),
        Shown(f"$ write {layout.ssh_block(name)} (mode 600)", block),
    ]


def connection(app: App, name: str) -> Shown:
    """Return what opens the connection that sessions share."""
    argv = connect.master_argv(app.layout, name, "LOG", seconds=app.settings.ssh_timeout)
    title = "wait for sshd, and open the connection that sessions share; LOG is a file that goes"
    return Shown(title, f"$ {shlex.join(argv)}")


def text(entered: session.Session) -> list[str]:
    """Return the command line of a session."""
    return [os.fsdecode(word) for word in entered.argv]
