"""Which boxes there are: the engine is asked."""

from containai.boxes import design
from containai.boxes.box import Box, is_box, refuse_others, refuse_workspace
from containai.boxes.spec import part_of
from containai.engine import attached
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, NameTakenError
from containai.layout import LABEL_MANAGED, LABEL_OWNER, LABEL_SPARE, LABEL_WORKSPACE, SPARE


def forgotten_volumes(engine: Engine, name: str) -> list[str]:
    """Return what is left of a box of ours of that name whose container somebody removed alone.

    The engine refuses to remove what any container has.
    """
    return engine.volumes(f"label={part_of(engine.layout.uid, name)}", "dangling=true")


def every(engine: Engine) -> list[Box]:
    """Return all boxes, of all users, by name."""
    containers = engine.containers(f"label={LABEL_MANAGED}=true")
    return sorted(map(Box.from_container, filter(is_box, containers)))


def own(engine: Engine) -> list[Box]:
    """Return this user's boxes, by name."""
    return [box for box in every(engine) if box.belongs_to(engine.layout.uid)]


def spares(engine: Engine) -> list[str]:
    """Return the ids of this user's containers that have a spare box's name."""
    own = engine.names(f"label={LABEL_SPARE}", f"label={LABEL_OWNER}={engine.layout.uid}")
    return [container for container, name in own.items() if name.startswith(SPARE)]


def get(engine: Engine, name: str) -> Box | None:
    """Return the box of that name or id, whoever owns it, or None."""
    container = engine.container(name)
    return Box.from_container(container) if container is not None and is_box(container) else None


def _has_successor(box: Box, boxes: list[Box]) -> bool:
    return any(box.name == design.kept(other.name) for other in boxes)


def _shows(engine: Engine, container: str, workspace: str) -> bool:
    return any(each.source == workspace for each in attached.got(engine.layout, container).claimed)


def find(engine: Engine, workspace: str, name: str, *, named: bool = False) -> Box | None:
    """Return a workspace's box: the one of that name, else the user's one that has it mounted.

    `named` says that the user chose the name: then only that one counts.
    Raises NameTakenError where the name is of a container that is not this user's box of this
    workspace.
    """
    uid = engine.layout.uid
    container = engine.container(name)
    if container is not None:
        if not is_box(container):
            raise NameTakenError(
                f"the name {name!r} belongs to a container that is not ContainAI's",
                hint="choose another: --name NAME",
            )
        box = Box.from_container(container)
        refuse_others(engine.host, box, uid, to_root=True)
        refuse_workspace(box, workspace)
        return box
    if named:
        return None
    managed = f"label={LABEL_MANAGED}=true"
    same = engine.containers(managed, f"label={LABEL_WORKSPACE}={workspace}")
    were_spares = engine.names(managed, f"label={LABEL_SPARE}")
    same += engine.each(each for each in were_spares if _shows(engine, each, workspace))
    boxes = [box for box in map(Box.from_container, filter(is_box, same)) if box.belongs_to(uid)]
    boxes = [box for box in boxes if box.workspace == workspace]
    # One that another is made in the place of is that box.
    boxes = [box for box in boxes if not _has_successor(box, boxes)]
    if len(boxes) > 1:
        names = ", ".join(box.name for box in boxes)
        raise BoxNotFoundError(
            f"{workspace!r} has several boxes: {names}", hint="say which: --name NAME"
        )
    return boxes[0] if boxes else None
