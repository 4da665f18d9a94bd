"""`cai push` and `cai pull`: work of a workspace that its box has no mount of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from containai.boxes.target import Target
from containai.flows.told import Told
from containai.transfer import exchange
from containai.transfer.reach import Reach

if TYPE_CHECKING:
    from containai.app import App
    from containai.transfer.plain import Exchanged
    from containai.transfer.pull import Pulled
    from containai.transfer.push import Pushed


def push(app: "App", target: Target, ignored: Sequence[str]) -> "Pushed | Exchanged":
    """Bring what is new of a workspace into its box."""
    reach, workspace = reached(app, target)
    told = Told(app.ui, f"pushing to {reach.box}")
    return exchange.push(app.host, app.layout, reach, workspace, ignored=ignored, tell=told)


def pull(app: "App", target: Target, *, merge: bool) -> "Pulled | Exchanged":
    """Fetch what is new in a box, and merge it where that is asked for."""
    reach, workspace = reached(app, target)
    told = Told(app.ui, f"pulling from {reach.box}")
    return exchange.pull(app.host, app.layout, reach, workspace, merge=merge, tell=told)


def reached(app: "App", target: Target) -> tuple[Reach, str]:
    """Return how the box of a target is reached, and the workspace whose work it has.

    One that is off is started. Raises CopyError for a box that has the workspace itself, as all
    boxes of this machine do.
    """
    from containai.flows import whereabouts

    return whereabouts.box(app, target, to_enter=True).carry()
