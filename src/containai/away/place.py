"""What a remote place can do: one driver a kind of server, and its answers as values."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, Protocol

from containai.boxes.box import Status
from containai.boxes.given import Files
from containai.errors import NotThereError
from containai.work.ui import Progress


class Seen(NamedTuple):
    """A box as its place has it. What of it is not known is "".

    `owner` is the fingerprint of its user's certificate, `host` the machine of that user; `node` is
    the member of a cluster that it is on. `is_whole` is whether it got all that a new box gets,
    `origin` what the box is called there that it was forked from, `restoring` the snapshot that
    it was being put back to when that was cut off.
    """

    instance: str
    status: Status
    name: str = ""
    owner: str = ""
    workspace: str = ""
    host: str = ""
    image: str = ""
    host_key: str = ""
    created: str = ""
    node: str = ""
    is_whole: bool = False
    limits: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    origin: str = ""
    restoring: str = ""


class Order(NamedTuple):
    """A box that is to be made: of an image's fingerprint, for a workspace of this machine."""

    instance: str
    name: str
    workspace: str
    image: str
    image_name: str
    host_key: str
    limits: Mapping[str, str]
    disk: int = 0


class Twin(NamedTuple):
    """A box that is to be made as another one was at a snapshot, all but its name and host key."""

    instance: str
    name: str
    host_key: str
    origin: str
    snapshot: str


class Snapshot(NamedTuple):
    """A box as it was; `size` is in bytes, -1 where that is not known."""

    name: str
    created: str
    size: int


class Node(NamedTuple):
    """A machine of a place; `problem` is why no box can come to it, "" where one can."""

    name: str
    problem: str = ""


class Use(NamedTuple):
    """What a box uses: bytes, nanoseconds of processor, processes; 0 where that is not known."""

    memory: int
    memory_total: int
    cpu: int
    processes: int
    disk: int
    disk_total: int
    address: str
    since: str


class Ended(NamedTuple):
    """A command that has ended in a box: its code, and what it said."""

    code: int
    out: bytes
    err: bytes


class Stored(NamedTuple):
    """An image of boxes that a place has. `key` is by what it is known, as images/incus.py says.

    `users` are the instances that were made from it, as far as we see any; `is_everyones` is
    whether others have it, too, whose instances we do not see: only the place's administrator
    removes it, by `removal`. `size` is in bytes.
    """

    fingerprint: str
    key: str
    name: str
    recipe: str
    aliases: tuple[str, ...]
    size: int
    created: str
    users: tuple[str, ...]
    is_everyones: bool
    removal: str


class Place(Protocol):
    """A remote place. All of it raises a RemoteError, and NotThereError for what it cannot do."""

    #: What the user calls it.
    name: str

    @property
    def owner(self) -> str:
        """Who we are there."""
        ...

    def find(self, instance: str) -> Seen | None:
        """Return a box, whoever's it is, or None."""
        ...

    def every(self, *, timeout: float) -> list[Seen]:
        """Return all boxes there."""
        ...

    def create(self, order: Order, progress: Progress) -> None:
        """Make a box, which is neither whole nor started. Raises NameTakenError."""
        ...

    def put(self, instance: str, given: Files) -> None:
        """Have files of root's in a box that has not run yet."""
        ...

    def finish(self, instance: str) -> None:
        """Say that a box has got all: it is whole from now on."""
        ...

    def rename(self, instance: str, name: str) -> None:
        """Note what its user calls a box now; what it is called there stays."""
        ...

    def start(self, instance: str) -> None:
        """Start a box; one that runs already does."""
        ...

    def stop(self, instance: str) -> None:
        """Shut a box down, and end it where it does not; one that is off stays so."""
        ...

    def remove(self, instance: str) -> None:
        """Remove a box, running or not; one that is gone is."""
        ...

    def limit(self, instance: str, limits: Mapping[str, str]) -> None:
        """Change limits of a box, as `away.limits` says them; "" is the place's own."""
        ...

    def snapshots(self, instance: str) -> list[Snapshot]:
        """Return the snapshots of a box, oldest first."""
        ...

    def take(self, instance: str, snapshot: str, progress: Progress) -> None:
        """Take a snapshot, of one that runs, too. Raises NameTakenError."""
        ...

    def restore(self, instance: str, snapshot: str, progress: Progress) -> None:
        """Have the disk of a box as it was; one that runs is ended at once, and started again."""
        ...

    def drop(self, instance: str, snapshot: str) -> bool:
        """Remove a snapshot; return whether there was one."""
        ...

    def copy(self, twin: Twin, progress: Progress) -> None:
        """Make a box of a snapshot, which is neither whole nor started. Raises NameTakenError."""
        ...

    def nodes(self) -> list[Node]:
        """Return the machines that a box can be moved to and from; none where it is but one."""
        ...

    def move(self, instance: str, node: str, progress: Progress) -> None:
        """Move a box that is off to another node, with all that it has."""
        ...

    def use(self, instance: str) -> Use:
        """Return what a box uses now."""
        ...

    def log(self, instance: str) -> str:
        """Return what a box wrote to its console."""
        ...

    def run(self, instance: str, words: Sequence[str], stdin: bytes = b"") -> Ended:
        """Run a short command as the root of a box that runs."""
        ...

    def stream(self, instance: str) -> list[str]:
        """Return the command whose stdin and stdout are a connection to a box's sshd."""
        ...

    def has_image(self, fingerprint: str) -> bool:
        """Whether the place has an image."""
        ...

    def named_image(self, name: str) -> str:
        """Return the fingerprint of what somebody there calls so, or ""."""
        ...

    def add_image(self, metadata: str, rootfs: str, fingerprint: str, progress: Progress) -> None:
        """Bring an image there, of two files."""
        ...

    def stored_images(self, *, timeout: float) -> list[Stored]:
        """Return the images of boxes there.

        Raises RemoteError where it cannot be told who uses them.
        """
        ...

    def remove_image(self, fingerprint: str) -> None:
        """Remove an image; one that is gone is. Raises NotThereError where we may not."""
        ...

    def name_image(self, fingerprint: str, name: str) -> None:
        """Call an image so for others, if that may be."""
        ...


def cannot(what: str, place: str, hint: str = "") -> NoReturn:
    """Raise the one error for what cannot be done with boxes on a place: `what` names it."""
    raise NotThereError(
        f"{what} is not to be had on {place}, which is not this machine",
        hint=hint or "boxes of this machine have it: cai run --on local",
    )
