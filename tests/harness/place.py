"""A remote place in memory: boxes as values, and what was asked of it, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

from containai.away.place import Ended, Order, Seen, Snapshot, Use
from containai.boxes.box import Status
from containai.boxes.given import Files
from containai.errors import NameTakenError
from containai.work.ui import Progress

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
        self.asked: list[tuple[Any, ...]] = []
        self.fails: dict[str, BaseException] = {}
        self.ends = Ended(0, b"", b"")
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

    def snapshots(self, instance: str) -> list[Snapshot]:
        return []

    def snapshot(self, instance: str, name: str) -> None:
        self._ask("snapshot", instance, name)

    def restore(self, instance: str, name: str) -> None:
        self._ask("restore", instance, name)

    def drop(self, instance: str, name: str) -> None:
        self._ask("drop", instance, name)

    def copy(self, source: str, order: Order, progress: Progress) -> None:
        self._ask("copy", source, order)

    def move(self, instance: str, node: str, progress: Progress) -> None:
        self._ask("move", instance, node)

    def has_image(self, fingerprint: str) -> bool:
        self._ask("has_image", fingerprint)
        return fingerprint in self.images

    def named_image(self, name: str) -> str:
        return self.named.get(name, "")

    def add_image(self, metadata: str, rootfs: str, fingerprint: str, progress: Progress) -> None:
        self._ask("add_image", fingerprint)
        self.images[fingerprint] = rootfs

    def name_image(self, fingerprint: str, name: str) -> None:
        self.named[name] = fingerprint
