"""A remote place in memory: boxes as values, and what was asked of it, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

from containai.away import record
from containai.away.place import Ended, Node, Order, Seen, Snapshot, Stored, Twin, Use
from containai.boxes.box import Status
from containai.boxes.given import Files
from containai.errors import NameTakenError
from containai.ssh import hosts
from containai.work.ui import Progress

from .app import FakeApp

#: Who we are there, and somebody else.
OWN, OTHER = "a" * 64, "b" * 64


class FakePlace:
    """A place. `fails` has what is raised when it is asked for something, by that name."""

    def __init__(self, name: str = "work") -> None:
        self.name = name
        self.owner = OWN
        self.boxes: dict[str, Seen] = {}
        self.files: dict[str, Files] = {}
        self.images: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.stored: list[Stored] = []
        self.asked: list[tuple[Any, ...]] = []
        self.fails: dict[str, BaseException] = {}
        self.ends = Ended(0, b"", b"")
        #: Snapshots by instance and name, each what the box was then; and the nodes of a cluster.
        self.taken: dict[tuple[str, str], Seen] = {}
        self.cluster: list[Node] = []
        self.console = "first\nsomething is wrong\n"

    def _ask(self, *words: Any) -> None:
        self.asked.append(words)
        if words[0] in self.fails:
            raise self.fails[words[0]]

    def _set(self, instance: str, **changes: Any) -> None:
        self.boxes[instance] = self.boxes[instance]._replace(**changes)

    def create_as(self, name: str, owner: str, text: str) -> None:
        """Have a box that runs, of which all that is said is a text."""
        self.boxes[name] = Seen(
            name, Status.RUNNING, name, owner, f"/srv/{text}", text, text, text, text, text,
            is_whole=True, limits=(("limits.memory", text), ("limits.cpu", text)),
        )  # fmt: skip

    def find(self, instance: str) -> Seen | None:
        self._ask("find", instance)
        return self.boxes.get(instance)

    def every(self, *, timeout: float) -> list[Seen]:
        self._ask("every")
        return [*self.boxes.values()]

    def create(self, order: Order, progress: Progress) -> None:
        if order.instance in self.boxes:
            raise NameTakenError(f"there is {order.instance!r}", hint="again")
        self.boxes[order.instance] = Seen(
            order.instance, Status.UNFINISHED, order.name, OWN, order.workspace, "here",
            order.image_name, order.host_key, limits=tuple(order.limits.items()),
        )  # fmt: skip
        self._ask("create", order)

    def put(self, instance: str, given: Files) -> None:
        self._ask("put", instance, sorted(given))
        self.files.setdefault(instance, {}).update(given)

    def finish(self, instance: str) -> None:
        self._ask("finish", instance)
        self._set(instance, is_whole=True, status=Status.STOPPED)

    def rename(self, instance: str, name: str) -> None:
        self._ask("rename", instance, name)
        self._set(instance, name=name)

    def start(self, instance: str) -> None:
        self._ask("start", instance)
        self._set(instance, status=Status.RUNNING)

    def stop(self, instance: str) -> None:
        self._ask("stop", instance)
        self._set(instance, status=Status.STOPPED)

    def remove(self, instance: str) -> None:
        self._ask("remove", instance)
        self.boxes.pop(instance, None)

    def snapshots(self, instance: str) -> list[Snapshot]:
        self._ask("snapshots", instance)
        own = (name for box, name in self.taken if box == instance)
        return [Snapshot(name, "2026-11-29T00:00:00Z", -1) for name in own]

    def take(self, instance: str, snapshot: str, progress: Progress) -> None:
        self._ask("take", instance, snapshot)
        self.taken[instance, snapshot] = self.boxes[instance]

    def restore(self, instance: str, snapshot: str, progress: Progress) -> None:
        self._ask("restore", instance, snapshot)
        self.boxes[instance] = self.taken[instance, snapshot]._replace(
            status=self.boxes[instance].status, restoring=""
        )

    def drop(self, instance: str, snapshot: str) -> bool:
        self._ask("drop", instance, snapshot)
        return self.taken.pop((instance, snapshot), None) is not None

    def copy(self, twin: Twin, progress: Progress) -> None:
        if twin.instance in self.boxes:
            raise NameTakenError(f"there is {twin.instance!r}", hint="again")
        self.boxes[twin.instance] = self.taken[twin.origin, twin.snapshot]._replace(
            instance=twin.instance, name=twin.name, host_key=twin.host_key, origin=twin.origin,
            status=Status.UNFINISHED, is_whole=False,
        )  # fmt: skip
        self._ask("copy", twin)

    def nodes(self) -> list[Node]:
        self._ask("nodes")
        return self.cluster

    def move(self, instance: str, node: str, progress: Progress) -> None:
        self._ask("move", instance, node)
        self._set(instance, node=node)

    def limit(self, instance: str, limits: Mapping[str, str]) -> None:
        self._ask("limit", instance, dict(limits))

    def use(self, instance: str) -> Use:
        self._ask("use", instance)
        return Use(1 << 30, 4 << 30, 7, 12, 5 << 30, 0, "10.1.2.3", "2026-11-29T00:00:00Z")

    def log(self, instance: str) -> str:
        self._ask("log", instance)
        return self.console

    def run(self, instance: str, words: Sequence[str], stdin: bytes = b"") -> Ended:
        self._ask("run", instance, tuple(words), stdin)
        return self.ends

    def stream(self, instance: str) -> list[str]:
        return ["/py", "/stream.py", self.name, instance]

    def has_image(self, fingerprint: str) -> bool:
        self._ask("has_image", fingerprint)
        return fingerprint in self.images

    def named_image(self, name: str) -> str:
        return self.named.get(name, "")

    def add_image(self, metadata: str, rootfs: str, fingerprint: str, progress: Progress) -> None:
        self._ask("add_image", fingerprint)
        self.images[fingerprint] = rootfs

    def stored_images(self, *, timeout: float) -> list[Stored]:
        self._ask("stored_images")
        return self.stored

    def remove_image(self, fingerprint: str) -> None:
        self._ask("remove_image", fingerprint)
        self.stored = [each for each in self.stored if each.fingerprint != fingerprint]

    def name_image(self, fingerprint: str, name: str) -> None:
        self.named[name] = fingerprint


def far_box(app: FakeApp, workspace: Any, key: str) -> FakePlace:
    """Have a box "far" on a place "work", of which the App and ssh know; return the place."""
    place = FakePlace()
    place.create_as("far", OWN, "mine")
    place._set("far", workspace=str(workspace))
    vars(app)["place"] = lambda name: place
    hosts.ensure_user(app.host)
    block = hosts.host_block(
        app.layout, "far", proxy="/bin/false", place="work", workspace=str(workspace),
        inode="1:2", forward_agent=False,
    )  # fmt: skip
    hosts.publish(app.layout, "far", block, key)
    record.put(app.layout, record.Entry("far", "work", "far", str(workspace)))
    return place
