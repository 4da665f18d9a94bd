"""The work of a workspace, in a box that has no mount of it: out and back."""

import shlex

from containai.app import App
from containai.away.record import Entry
from containai.boxes.workspace import Workspace
from containai.flows.told import Told
from containai.ssh import session
from containai.transfer import exchange, state
from containai.transfer.reach import Reach


def reach(app: App, name: str) -> Reach:
    """Return how a box is reached: over its control connection where that stands."""
    layout = app.layout
    words = ("ssh", "-F", layout.ssh_block(name), *session.control_path(layout, name), "-T")
    return Reach(name, (*words, "--", name), shlex.join(words), name)


def send_first(app: App, name: str, workspace: Workspace) -> None:
    """Bring the work into a box that has none of it yet; what was cut off before is done again."""
    way = reach(app, name)
    with state.held(app.layout, name):
        if is_sent(app, name):
            return
    told = Told(app.ui, f"the work of {workspace.path}")
    done = exchange.push(app.host, app.layout, way, workspace.path, tell=told)
    for each in done.left_out:
        app.ui.tell(f"cai: {each.name} stayed here: {each.why}\n")


def is_sent(app: App, name: str) -> bool:
    """Whether a box has had its workspace's work. Nothing is written for that."""
    return state.seen(app.layout, name).workspace != ""


def unfetched(app: App, entry: Entry) -> str:
    """Return what of a box's work only the box has, in a few words; "" for nothing."""
    seen = exchange.unfetched(app.host, app.layout, reach(app, entry.name))
    if not seen.is_any:
        return ""
    if seen.unknown:
        return f"what of its work was not fetched is not known: {seen.unknown}"
    parts = {"commits": seen.commits, "changed files": seen.changed, "stashes": seen.stashes}
    some = ", ".join(f"{what}: {number}" for what, number in parts.items() if number)
    return f"not fetched of its work are {some}"


def rename(app: App, name: str, new: str) -> None:
    """Know the exchange with a box by another name of it."""
    exchange.rename(app.host, app.layout, reach(app, name), reach(app, new))


def forget(app: App, name: str) -> None:
    """Know nothing of the exchange with a box any more."""
    exchange.forget(app.host, app.layout, reach(app, name))
