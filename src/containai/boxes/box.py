"""Boxes as the engine has them. What is broken is shown with its problems, not hidden."""

import os
import re
from enum import StrEnum
from typing import NamedTuple

from containai.boxes.limits import ALL, UNBOUNDED, Limits
from containai.boxes.spec import DOCKER_IN_BOX, SSH_PORT_IN_BOX
from containai.config.amounts import MOST_PROCESSES
from containai.engine import attached
from containai.engine.container import Container, State
from containai.errors import NameTakenError
from containai.host.machine import Machine
from containai.layout import (
    DATA_IN_BOX,
    LABEL_MANAGED,
    LABEL_OWNER,
    LABEL_START,
    WORKSPACE_IN_BOX,
)

#: The owner of a box whose label names none.
NOBODY = -1


class Status(StrEnum):
    """What a box is doing."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    #: It ended by itself, and the engine is about to start it again: once more, or over and over.
    RESTARTING = "restarting"
    #: Made, but never started: what an interrupted start leaves behind.
    UNFINISHED = "unfinished"
    BROKEN = "broken"

    @property
    def is_off(self) -> bool:
        """Whether nothing runs in it, and nothing is about to."""
        return self in (Status.STOPPED, Status.UNFINISHED, Status.BROKEN)


_STATUS = {
    State.CREATED: Status.UNFINISHED,
    State.RUNNING: Status.RUNNING,
    State.PAUSED: Status.PAUSED,
    State.RESTARTING: Status.RESTARTING,
    State.EXITED: Status.STOPPED,
}


class Box(NamedTuple):
    """A box: its container, and what is wrong with it, if anything."""

    name: str
    container: str
    workspace: str
    ssh_port: int
    owner: int
    status: Status
    image: str
    created: str
    problems: tuple[str, ...] = ()
    limits: Limits = Limits()
    cpuset: str = ""
    #: Whether its processes have a limit.
    is_bounded: bool = True
    image_id: str = ""
    #: Its data volume; boxes of earlier versions have none.
    data: str = ""
    #: Where sessions start in it.
    start: str = WORKSPACE_IN_BOX
    #: Whether it can only read its workspace.
    read_only: bool = False

    @classmethod
    def from_container(cls, container: Container) -> "Box":
        """Read a box from its container, which is one by `is_box`.

        What its creator gave it counts, and no image can give itself; only whose it is, is a label.
        """
        mount = container.mount(WORKSPACE_IN_BOX)
        workspace = mount.source if mount is not None else ""
        port, owner = _port(container), _owner(container)
        data = container.mount(DATA_IN_BOX)
        seen = [
            wrong_with(workspace),
            "" if port else "it has no ssh port on 127.0.0.1",
            "" if owner is not None else "its label does not say whose it is",
        ]
        return cls(
            name=container.name,
            container=container.id,
            workspace=workspace,
            ssh_port=port,
            owner=NOBODY if owner is None else owner,
            status=_STATUS.get(container.state, Status.BROKEN),
            image=container.image,
            created=container.created,
            problems=tuple(filter(None, seen)),
            limits=_limits(container),
            cpuset=container.cpuset,
            is_bounded=container.processes > 0,
            image_id=container.image_id,
            data=data.source if data is not None and data.kind == "volume" else "",
            start=_start(container, workspace),
            read_only=mount is not None and mount.read_only,
        )

    def belongs_to(self, uid: int) -> bool:
        """Whether it is this user's own."""
        return self.owner == uid


def wrong_with(workspace: str) -> str:
    """Return what is wrong with a workspace. One that this user may not look at is no less fine."""
    try:
        os.stat(os.path.join(workspace, ""))
    except PermissionError:
        return ""
    except (FileNotFoundError, NotADirectoryError):
        return f"its workspace {workspace!r} is gone"
    except OSError as wrong:
        return f"its workspace {workspace!r} cannot be read: {wrong.strerror}"
    except ValueError:
        # A NUL, or what is no UTF-8 in the engine's answer.
        return f"its workspace {workspace!r} is no path"
    return ""


def _limits(container: Container) -> Limits:
    """Return what limits a box has: what is no limit is said as a large number."""
    memory = container.memory if container.memory < UNBOUNDED else 0
    both, pids = container.memory_and_swap, container.processes
    swap = ALL if both == 0 or both >= UNBOUNDED else max(both - memory, 0)
    return Limits(
        memory,
        container.cpus,
        swap if memory else 0,
        pids if 0 < pids < MOST_PROCESSES else 0,
        container.disk,
    )


def _port(container: Container) -> int:
    """Return the port of this machine that leads to a box's sshd, or 0."""
    for port in container.ports:
        if (port.inside, port.address) == (f"{SSH_PORT_IN_BOX}/tcp", "127.0.0.1"):
            return port.number
    return 0


def _start(container: Container, workspace: str) -> str:
    """Return where sessions start: an image can have the label, too, but no such mount."""
    said = container.label(LABEL_START)
    mount = container.mount(workspace) if said and said == workspace else None
    return workspace if mount is not None else WORKSPACE_IN_BOX


def _owner(container: Container) -> int | None:
    text = container.label(LABEL_OWNER) or ""
    # uid_t is 32 bits wide, and its last value means no user.
    is_one = re.fullmatch("[0-9]{1,10}", text) and int(text) < 2**32 - 1
    return int(text) if is_one else None


def is_box(container: Container) -> bool:
    """Whether a container is a box.

    Labels alone prove nothing, as Docker adds those of the image to those of the container: it was
    made with a box's two mounts, and no image can ask for one (what it declares is a volume).
    """
    mounts = (container.mount(WORKSPACE_IN_BOX), container.mount(DOCKER_IN_BOX))
    kinds = [mount.kind if mount is not None else "" for mount in mounts]
    return container.label(LABEL_MANAGED) == "true" and kinds == ["bind", "volume"]


def named_volumes(container: Container) -> list[str]:
    """Return the volumes that are parts of a box and do not go with its container by themselves.

    Boxes of earlier versions have one with a name; those of today's are nameless. One that was a
    spare may have another data volume by now than it was made with, which is nobody's.
    """
    mount = container.mount(DOCKER_IN_BOX)
    named = mount.source if mount is not None else ""
    return [volume for volume in (named, attached.replaced(container)) if volume]


def refuse_others(host: Machine, box: Box, uid: int, *, to_root: bool) -> None:
    """Raise NameTakenError for a box of another user; `to_root` says that root is refused too."""
    if not box.belongs_to(uid) and (to_root or uid != 0):
        who = host.user_name(box.owner)
        hint = f"it is {who}'s to use" if uid == 0 else "choose another: --name NAME"
        raise NameTakenError(f"the box {box.name!r} belongs to {who}", hint=hint)


def refuse_workspace(box: Box, workspace: str) -> None:
    """Raise NameTakenError for a box of another workspace."""
    if box.workspace != workspace:
        raise NameTakenError(
            f"the box {box.name!r} is of another workspace: {box.workspace!r}",
            hint="choose another: --name NAME",
        )
