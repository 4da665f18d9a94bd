"""What `cai run` would do with a box on a remote place, which is asked and not changed."""

from collections.abc import Sequence

from containai.app import App
from containai.away import limits
from containai.away.lifecycle import broken
from containai.away.place import Seen
from containai.away.record import Entry
from containai.boxes import variables
from containai.boxes.box import Status
from containai.boxes.target import Target
from containai.flows import away, away_image, away_work, enter, workspace_image
from containai.flows.away import Ordered
from containai.flows.enter import Wanted
from containai.flows.outline import Elsewhere, Fate
from containai.flows.preview import LATER, Preview, Shown, connection, keys, text, trusted
from containai.flows.whereabouts import Where
from containai.host import files
from containai.ssh import connect, hosts, session
from containai.ssh.hosts import KeyPair
from containai.work.actions import Action


def preview(
    app: App, target: Target, command: Sequence[str], wanted: Wanted, place: Where
) -> Preview:
    """Return what `away.brought_up` would do. Raises as that does for what can be seen before."""
    order = away.ordered(app, target, wanted, place)
    name, workspace, there = order.name, order.workspace, order.boxes.place
    entry, seen = order.boxes.looked(Entry(name, there.name, "", workspace.path))
    stays = seen is not None and seen.is_whole and not wanted.fresh
    if seen is not None and stays:
        if seen.status is Status.BROKEN:
            raise broken(name, seen)
        actions = _kept(order, entry, seen)
        fate = Fate.KEPT if seen.status is Status.RUNNING else Fate.STARTED
        image, config = seen.image, dict(seen.limits) | order.asked
    else:
        recipe, trust = workspace_image.previewed(order.app, workspace.path)
        actions = [
            *_gone(seen, order),
            *trusted(trust),
            *map(Shown, away_image.previewed(order.app, there, recipe)),
            *_made(order, entry),
        ]
        fate = Fate.ANEW if seen is not None and seen.is_whole else Fate.CREATED
        image, config = recipe.name, order.making.config
    where = f"{there.name}/{seen.node}" if seen is not None and seen.node else there.name
    outline = Elsewhere(name, fate, image, workspace.path, where, limits.described(config))
    argv = text(enter.in_box(app.layout, name, workspace, command, wanted.send))
    return Preview(name, seen.status if seen else None, actions, argv, outline=outline)


def _gone(seen: Seen | None, order: Ordered) -> list[Shown]:
    if seen is None:
        return []
    where = order.boxes.place.name
    if not seen.is_whole:
        return [Shown(f"remove what an interrupted start left of {order.name} on {where}")]
    title = f"ask whether the box {order.name} on {where} may go, with its data"
    return [Shown(title), Shown(f"remove the box {order.name} on {where}")]


def _made(order: Ordered, entry: Entry) -> list[Action | Shown]:
    """Return what is done for a new box."""
    app, boxes, where = order.app, order.boxes, order.boxes.place.name
    given = boxes.given(KeyPair(LATER, LATER))
    given |= {
        path: (boxes.variables.shown, mode) for path, (_, mode) in boxes.variables.files.items()
    }
    details = [f"{key}={text}" for key, text in sorted(order.making.config.items()) if text]
    details += [f"disk={order.making.disk}"] if order.making.disk else []
    return [
        *keys(app),
        Shown(f"make the box {entry.instance} on {where}", "\n".join(details)),
        *(
            Shown(f"write in the box /{path} (mode {mode:o})", content)
            for path, (content, mode) in given.items()
        ),
        *_published(order, entry, LATER),
        Shown(f"start the box {entry.instance} on {where}"),
        connection(app, order.name),
        *_work(order, is_new=True),
        *_brought(order),
    ]


def _kept(order: Ordered, entry: Entry, seen: Seen) -> list[Action | Shown]:
    """Return what is done with a box that is there."""
    app, boxes, where = order.app, order.boxes, order.boxes.place.name
    runs, known = seen.status is Status.RUNNING, {*seen.limits}
    changed = [f"{key}={text}" for key, text in order.asked.items() if (key, text) not in known]
    mark = session.last_variables(app.layout, order.name)
    same = runs and connect.stands(app.layout, order.name)
    pinned = hosts.pinned_key(files.read(app.layout.known_hosts) or "", order.name)
    return [
        *([Shown(f"limit the box on {where}", "\n".join(changed))] if changed else []),
        *keys(app),
        *(
            [Shown(f"write in the box /{variables.FILE_IN_BOX} (mode 600)", boxes.variables.shown)]
            if boxes.variables.mark != mark
            else []
        ),
        *([] if same else _published(order, entry, pinned or seen.host_key or LATER)),
        *([] if runs else [Shown(f"start the box {entry.instance} on {where}")]),
        *([] if same else [connection(app, order.name)]),
        *_work(order, is_new=False),
    ]


def _published(order: Ordered, entry: Entry, key: str) -> list[Shown]:
    layout, name = order.app.layout, order.name
    block = order.boxes.block(entry, order.workspace, order.workspace.inode)
    return [
        Shown(f"$ write in {layout.known_hosts} (mode 600)", hosts.with_host_key("", name, key)),
        Shown(f"$ write {layout.ssh_block(name)} (mode 600)", session.without_variables(block)),
    ]


def _work(order: Ordered, *, is_new: bool) -> list[Shown]:
    if not is_new and away_work.is_sent(order.app, order.name):
        return []
    return [Shown(f"send the work of {order.workspace.path} into the box, over ssh")]


def _brought(order: Ordered) -> list[Shown]:
    """Return what is said of the user's own settings: nothing goes there unasked."""
    from containai.flows import bringing

    if order.app.settings.import_auto == "never":
        return []
    there = bringing.found(order.app)
    what = (
        f"ask, at a terminal, whether to bring your logins and settings to {order.boxes.place.name}"
    )
    return [Shown(what, bringing.summary(there))] if there.items else []
