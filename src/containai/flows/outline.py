"""What a box is, in a few lines, and what becomes of it and of its data: the head of a dry run."""

import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from containai.boxes.box import Box
from containai.boxes.limits import Limits
from containai.boxes.places import Mount
from containai.boxes.spec import BoxSpec
from containai.engine.container import Container
from containai.layout import WORKSPACE_IN_BOX


class Fate(StrEnum):
    """What becomes of a box, or of its data volume."""

    CREATED = "created"
    ANEW = "made anew"
    STARTED = "started"
    KEPT = "kept"


class Outline(NamedTuple):
    """A box as it is to be. `mounts` is what it has of the host beside its workspace."""

    box: str
    fate: Fate
    image: str
    workspace: str
    ssh_port: int
    limits: Limits
    data_volume: str
    data: Fate
    mounts: tuple[Mount, ...] = ()

    def describe(self, command: Sequence[str]) -> str:
        """Return it as people read it, with the command that runs in there; "" is a shell."""
        rows = [
            ("box", f"{self.box} ({self.fate})"),
            ("image", self.image),
            ("workspace", self.workspace),
            *(("mount", _described(mount)) for mount in self.mounts),
            ("data volume", f"{self.data_volume} ({self.data})" if self.data_volume else "none"),
            ("limits", self.limits.described()),
            ("ssh", f"127.0.0.1:{self.ssh_port}"),
            ("command", shlex.join(command) or "a shell"),
        ]
        return "".join(f"{name:11}  {text}\n" for name, text in rows)


class Elsewhere(NamedTuple):
    """A box on a remote place as it is to be. `on` is the place, and its node if that is known."""

    box: str
    fate: Fate
    image: str
    workspace: str
    on: str
    limits: str

    def describe(self, command: Sequence[str]) -> str:
        """See `Outline`."""
        rows = [
            ("box", f"{self.box} ({self.fate})"),
            ("image", self.image),
            ("workspace", self.workspace),
            ("on", self.on),
            ("limits", self.limits),
            ("command", shlex.join(command) or "a shell"),
        ]
        return "".join(f"{name:11}  {text}\n" for name, text in rows)


def of_new(made: BoxSpec, fate: Fate, data: Fate) -> Outline:
    """Return the outline of a box that is to be made."""
    return Outline(
        made.name,
        fate,
        made.image,
        made.workspace,
        made.ssh_port,
        made.limits,
        made.data,
        data,
        made.mounts,
    )


def of_there(box: Box, container: Container, fate: Fate, asked: Limits) -> Outline:
    """Return the outline of a box that is there, with the limits that are asked for it."""
    mounts = tuple(
        Mount(mount.source, mount.target, not mount.read_only)
        for mount in container.mounts
        if mount.kind == "bind" and mount.target != WORKSPACE_IN_BOX
    )
    return Outline(
        box.name,
        fate,
        box.image,
        box.workspace,
        box.ssh_port,
        asked.over(box.limits),
        box.data,
        Fate.KEPT,
        mounts,
    )


def _described(mount: Mount) -> str:
    where = "" if mount.source == mount.target else f" at {mount.target}"
    return f"{mount.source}{where}{'' if mount.writable else ', read-only'}"
