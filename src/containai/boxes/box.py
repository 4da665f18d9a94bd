"""Boxes as the engine has them. What is broken is shown with its problems, not hidden."""

import os
from enum import StrEnum
from typing import Any, NamedTuple

from containai import layout as fixed
from containai.boxes.limits import Limits
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, NameTakenError


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

    @classmethod
    def from_inspect(cls, found: dict[str, Any]) -> "Box":
        """Read a container that has our labels from what `docker inspect` says."""
        labels = found["Config"]["Labels"] or {}
        workspace = labels.get(fixed.LABEL_WORKSPACE, "")
        port = labels.get(fixed.LABEL_SSH_PORT, "")
        problems = []
        if not os.path.isdir(workspace):
            problems.append(f"its workspace {workspace!r} is gone")
        if not port.isdigit():
            problems.append("its label has no ssh port")
        return cls(
            name=found["Name"].lstrip("/"),
            container=found["Id"],
            workspace=workspace,
            ssh_port=int(port) if port.isdigit() else 0,
            owner=int(labels.get(fixed.LABEL_OWNER, "0") or 0),
            status=_status(found["State"]),
            image=found["Config"]["Image"],
            created=found["Created"],
            problems=tuple(problems),
            limits=Limits.from_inspect(found),
            cpuset=found["HostConfig"]["CpusetCpus"],
        )


def _status(state: dict[str, Any]) -> Status:
    match state["Status"]:
        case "running":
            return Status.RUNNING
        case "paused":
            return Status.PAUSED
        case "restarting":
            return Status.RESTARTING
        case "created":
            return Status.UNFINISHED
        case "exited":
            return Status.STOPPED
    return Status.BROKEN


def is_managed(found: dict[str, Any]) -> bool:
    """Whether a container, inspected, is a box: ContainAI's own."""
    return (found["Config"]["Labels"] or {}).get(fixed.LABEL_MANAGED) == "true"


def every(engine: Engine) -> list[Box]:
    """Return all boxes, of all users, by name."""
    found = engine.containers(f"label={fixed.LABEL_MANAGED}=true")
    return sorted(Box.from_inspect(each) for each in found)


def find(engine: Engine, workspace: str, name: str, *, named: bool = False) -> Box | None:
    """Return a workspace's box: the one of that name, else the one whose label names it.

    `named` says that the user chose the name: then only that one counts.
    Raises NameTakenError where the name is of a container that is not this workspace's box.
    """
    found = engine.inspect("container", name)
    if found is not None:
        labels = found["Config"]["Labels"] or {}
        if not is_managed(found):
            raise NameTakenError(
                f"the name {name!r} belongs to a container that is not ContainAI's",
                hint="choose another: --name NAME",
            )
        if labels.get(fixed.LABEL_WORKSPACE) != workspace:
            raise NameTakenError(
                f"the box {name!r} is of another workspace: {labels.get(fixed.LABEL_WORKSPACE)!r}",
                hint="choose another: --name NAME",
            )
        return Box.from_inspect(found)
    if named:
        return None
    same = engine.containers(
        f"label={fixed.LABEL_MANAGED}=true", f"label={fixed.LABEL_WORKSPACE}={workspace}"
    )
    boxes = [box for box in map(Box.from_inspect, same) if box.owner == engine.layout.uid]
    if len(boxes) > 1:
        names = ", ".join(box.name for box in boxes)
        raise BoxNotFoundError(
            f"{workspace!r} has several boxes: {names}", hint="say which: --name NAME"
        )
    return boxes[0] if boxes else None
