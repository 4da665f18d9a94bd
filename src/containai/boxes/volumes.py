"""Data volumes: what is to outlive a box. A workspace has one; others can be chosen by name.

That of a spare box was made before there was a workspace, and no label of a volume can be changed:
whose it became is in a file of the user's.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from containai.boxes import design
from containai.boxes.box import Box
from containai.boxes.design import Order
from containai.boxes.spec import data_labels
from containai.boxes.workspace import box_name
from containai.engine import attached
from containai.engine.client import Engine
from containai.errors import ContainAIError, NameTakenError, UsageError
from containai.host import files
from containai.layout import (
    DATA_IN_BOX,
    KIND_DATA,
    LABEL_KIND,
    LABEL_MANAGED,
    LABEL_OWNER,
    LABEL_SPARE,
    LABEL_WORKSPACE,
    Layout,
)

#: How long a box may have a volume before it has a container, in seconds.
_NEW = 60.0


class Volume(NamedTuple):
    """A data volume of ours. `workspace` is the one that it was made for."""

    name: str
    workspace: str
    owner: int
    created: str = ""


def parsed(inspected: Mapping[str, Any]) -> Volume | None:
    """Read a volume from what the engine says of it; None for one that is no data volume of ours.

    One with options may be a directory of the host's.
    """
    given = inspected.get("Labels") or {}
    owner = str(given.get(LABEL_OWNER, ""))
    is_ours = (given.get(LABEL_MANAGED), given.get(LABEL_KIND)) == ("true", KIND_DATA)
    if not is_ours or not re.fullmatch("[0-9]{1,10}", owner) or inspected.get("Options"):
        return None
    created = str(inspected.get("CreatedAt") or "")
    return Volume(str(inspected["Name"]), str(given.get(LABEL_WORKSPACE, "")), int(owner), created)


def get(engine: Engine, name: str) -> Volume | None:
    """Return this user's data volume of that name, or None.

    Raises NameTakenError where the name is of somebody else's volume, or of one for other data.
    """
    inspected = engine.inspect("volume", name)
    if inspected is None:
        return None
    volume = parsed(inspected)
    if volume is None:
        raise NameTakenError(
            f"the volume {name!r} is no data volume of ContainAI's",
            hint="choose another: --data-volume NAME",
        )
    if volume.owner != engine.layout.uid:
        who = engine.host.user_name(volume.owner)
        raise NameTakenError(
            f"the data volume {name!r} belongs to {who}", hint="choose another: --data-volume NAME"
        )
    return volume


def every(engine: Engine) -> list[Volume]:
    """Return this user's data volumes, by name."""
    whole = _of_user(engine)
    hidden = _of_spares(engine) if any(not each.workspace for each in whole) else ()
    return sorted(
        each
        for each in whole
        if each.workspace or not (each.name in hidden or _is_new(each.created))
    )


def _of_user(engine: Engine, *more: str) -> list[Volume]:
    """Return this user's data volumes that pass more filters, each with whose it became."""
    filters = (f"label={LABEL_KIND}={KIND_DATA}", f"label={LABEL_OWNER}={engine.layout.uid}", *more)
    # One may go between the two questions.
    inspected = (engine.inspect("volume", name) for name in engine.volumes(*filters))
    found = [volume for each in inspected if each and (volume := parsed(each))]
    whose = adopted(engine.layout)
    return [each._replace(workspace=each.workspace or whose.get(each.name, "")) for each in found]


def _of_spares(engine: Engine) -> set[str]:
    """Return the volumes that this user's spare boxes were made with, for whoever gets them.

    Those of spares that another was claimed for are nobody's, too.
    """
    spares = engine.containers(f"label={LABEL_SPARE}", f"label={LABEL_OWNER}={engine.layout.uid}")
    data = ((attached.replaced(each), each.mount(DATA_IN_BOX)) for each in spares)
    return {replaced or (mount.source if mount else "") for replaced, mount in data}


def empty(engine: Engine) -> list[str]:
    """Return this user's volumes that are no workspace's, that nobody has, and with nothing in."""
    found = _of_user(engine, "dangling=true")
    lost = [each.name for each in found if not (each.workspace or _is_new(each.created))]
    # It is counted what is in all of them.
    sizes = engine.volume_sizes() if lost else {}
    return [name for name in lost if sizes.get(name) == 0]


def _is_new(created: str) -> bool:
    """Whether a volume, by when it was made, may be that of a spare box which is being made now."""
    import datetime

    try:
        then = datetime.datetime.fromisoformat(created)
        return (datetime.datetime.now(datetime.UTC) - then).total_seconds() < _NEW
    except (ValueError, TypeError):
        return False


def adopt(layout: Layout, name: str, workspace: str) -> None:
    """Note that a volume which was made for no workspace is that one's."""
    files.private_directory(layout.spares)
    files.write(os.path.join(layout.spares, name), workspace, 0o600)


def adopted(layout: Layout) -> dict[str, str]:
    """Return the volumes that were made for no workspace and became one's: name → workspace."""
    try:
        found = sorted(os.listdir(layout.spares))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    said = ((name, files.read_if_whole(os.path.join(layout.spares, name))) for name in found)
    return {name: workspace for name, workspace in said if workspace}


def names(workspace: str, owner: int) -> tuple[str, str]:
    """Return what a workspace's own data volume can be called: by turns, where it is made anew."""
    first = box_name(workspace, owner)
    return first, f"{first}.2"


def own(engine: Engine, workspace: str) -> str:
    """Return the name of a workspace's own data volume, which may not be there yet."""
    for name, of_workspace in adopted(engine.layout).items():
        if of_workspace == workspace and engine.inspect("volume", name) is not None:
            return name
    first, second = names(workspace, engine.layout.uid)
    if engine.inspect("volume", first) is None and engine.inspect("volume", second) is not None:
        return second
    return first


def refuse_other(box: Box, name: str | None) -> None:
    """Raise UsageError where a box that is there was to have another data volume."""
    if name and name != box.data:
        raise UsageError(
            f"the box {box.name!r} has data volume {box.data!r}: only a new one can have another",
            hint=f"make it anew: cai run --fresh --data-volume {name}",
        )


def renewed(engine: Engine, order: Order, boxes: Sequence[Box]) -> tuple[Order, str]:
    """Return the order for a box with a data volume that is new, and the volume that goes then.

    "" where there is none. Only a workspace's own is made anew: NameTakenError for one that
    another box has, UsageError for one that was chosen.
    """
    pair = names(order.workspace.path, engine.layout.uid)
    old = order.data or own(engine, order.workspace.path)
    if old not in (*pair, *_adopted_by(engine.layout, order.workspace.path)):
        raise UsageError(
            f"the data volume {old!r} was chosen by its name: --reset makes a workspace's own anew",
            hint=f"remove it once no box has it: cai volume rm {old}",
        )
    others = design.sharing(boxes, old, order.name)
    if others:
        raise NameTakenError(
            f"the data volume {old!r} is also that of {', '.join(others)}",
            hint="remove those boxes first: cai rm --name NAME",
        )
    if get(engine, old) is None:
        return order._replace(data=old), ""
    return order._replace(data=pair[old == pair[0]]), old


def _adopted_by(layout: Layout, workspace: str) -> list[str]:
    return [name for name, path in adopted(layout).items() if path == workspace]


def forget_renewed(engine: Engine, old: Box, new: Box) -> None:
    """Remove the volume of a box that was to take another's place, where it was made for that."""
    ours = {*names(old.workspace, engine.layout.uid), *_adopted_by(engine.layout, old.workspace)}
    if old.data != new.data and {old.data, new.data} <= ours:
        with contextlib.suppress(ContainAIError):
            remove(engine, new.data)


def remove(engine: Engine, name: str) -> None:
    """Remove a data volume that is there. The engine refuses while a box has it."""
    if get(engine, name) is not None:
        engine.remove_volume(name)


def forget_gone(engine: Engine) -> None:
    """Forget whose volumes became that are gone."""
    for name in adopted(engine.layout):
        if engine.inspect("volume", name) is None:
            files.remove(os.path.join(engine.layout.spares, name))


def have(engine: Engine, name: str, workspace: str) -> bool:
    """Have a data volume; return whether it was made. Raises as `get` does."""
    if get(engine, name) is not None:
        return False
    engine.make_volume(name, data_labels(engine.layout.uid, workspace))
    return True
