"""An engine in memory: containers are values, every request is recorded and can be made to fail.

For tests; on a FakeMachine nothing of it is real.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from itertools import pairwise
from typing import Any

from containai.engine import attached
from containai.engine.client import Engine
from containai.engine.container import Container, Image, Mount, Port, State
from containai.errors import EngineError
from containai.host.machine import Machine
from containai.host.proc import Done


class FakeEngine(Engine):
    """`requests` are the words of docker's client, in order.

    `before` does something when one is made, `fail` makes one raise. An update changes limits, and
    one that is told to say something by `outputs`, by its first word, does.
    """

    def __init__(self, host: Machine) -> None:
        super().__init__(host)
        self.requests: list[tuple[str, ...]] = []
        self.by_id: dict[str, Container] = {}
        self.by_reference: dict[str, Image] = {}
        self.by_filters: dict[tuple[str, ...], list[str]] = {}
        self.outputs: dict[str, str] = {}
        self.named_volumes: set[str] = set()
        self.volume_labels: dict[str, dict[str, str]] = {}
        self._failures: dict[str, list[Exception]] = {}
        self._befores: dict[str, Callable[[], object]] = {}

    @property
    def needs_root(self) -> bool:
        """Whether sudo is needed: never."""
        return False

    def fail(self, request: str, *errors: Exception) -> None:
        """Make the next requests of that word raise, one each."""
        self._failures.setdefault(request, []).extend(errors)

    def before(self, request: str, act: Callable[[], object]) -> None:
        """Do something whenever a request of that word is made, before it is done or fails."""
        self._befores[request] = act

    def add(self, container: Container) -> Container:
        """Have a container."""
        self.by_id[container.id] = container
        return container

    def container(self, reference: str) -> Container | None:
        """Return the container of a name or an id, or None."""
        for container in self.by_id.values():
            if reference in (container.id, container.name):
                return attached.whole(self.layout, container)
        return None

    def names(self, *filters: str) -> dict[str, str]:
        """Return the containers that have all labels of the filters: id → name."""
        wanted = {condition.removeprefix("label=") for condition in filters}
        return {
            container.id: container.name
            for container in self.by_id.values()
            if wanted <= {word for pair in container.labels for word in (pair[0], "=".join(pair))}
        }

    def image(self, reference: str) -> Image | None:
        """Return an image, or None."""
        return self.by_reference.get(reference)

    def images(self, *filters: str) -> list[Image]:
        """Return the images that have a tag of, or the labels of, the filters."""
        return [
            image for image in dict.fromkeys(self.by_reference.values()) if _passes(image, filters)
        ]

    def volumes(self, *filters: str) -> list[str]:
        """Return the volumes that were said to pass these filters; those of boxes are nameless."""
        wanted = {condition.removeprefix("label=") for condition in filters}
        named = self.volume_labels.items()
        own = [name for name, labels in named if wanted <= set(map("=".join, labels.items()))]
        return self.by_filters.get(filters, own)

    def inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what tells a volume that has a name, or the volumes of a container."""
        if kind == "volume":
            labels = self.volume_labels.get(name)
            at = f"{self.layout.engine_data}/volumes/{name}/_data"
            known = {"Name": name, "Labels": labels, "Mountpoint": at}
            return known if name in self.named_volumes else None
        container = self.container(name) if kind == "container" else None
        if container is None:
            return None
        volumes = [mount.target for mount in container.mounts if mount.kind == "volume"]
        return {"Mounts": [{"Name": f"{container.id}{at}", "Destination": at} for at in volumes]}

    def rename(self, container: str, name: str) -> None:
        """Give a container a name."""
        self.docker("rename", container, name)

    def start(self, name: str) -> None:
        """Start a container."""
        self.docker("start", name)

    def copy_in(self, name: str, archive: bytes) -> None:
        """Unpack an archive in a container."""
        self.docker("cp", "-", f"{name}:/", stdin=archive)

    def volume_sizes(self) -> dict[str, int]:
        """Return what is in each volume: nothing."""
        return dict.fromkeys(self.volume_labels, 0)

    def hold_volume(self, name: str, volume: str, image: str, labels: Mapping[str, str]) -> None:
        """Make a container that has a volume. It is no request of docker's client."""
        if self.container(name) is not None:
            raise EngineError(f"the name {name} is already in use by container")
        mounts = (Mount("volume", volume, "/held"),)
        self.add(Container(f"id-{name}", name, image, labels=(*labels.items(),), mounts=mounts))

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume. It is no request of docker's client."""
        self.named_volumes.add(name)
        self.volume_labels.setdefault(name, dict(labels))

    def remove_volume(self, name: str) -> None:
        """Remove a volume. It is no request of docker's client."""
        self.named_volumes.discard(name)
        self.volume_labels.pop(name, None)

    def docker(
        self,
        *arguments: str,
        ok: Sequence[int] | None = (0,),
        stdin: bytes | None = None,
        timeout: float | None = 300,
    ) -> Done:
        """Record a request, and do it."""
        self.requests.append(arguments)
        request = arguments[0]
        self._befores.get(request, lambda: None)()
        if self._failures.get(request):
            raise self._failures[request].pop(0)
        match request:
            case "create" if "--name" not in arguments:
                # One that nothing is run in: an image is looked into through it.
                return Done(0, f"{len(self.requests):064x}\n", "")
            case "create":
                return Done(0, self._created(arguments) + "\n", "")
            case "build":
                labels = tuple(map(_pair, _given(arguments, "--label")))
                tags = tuple(_given(arguments, "--tag"))
                made = Image(f"sha256:{len(self.requests):064x}", labels, tags)
                self.by_reference |= dict.fromkeys(tags, made)
            case "rmi":
                self.by_reference.pop(arguments[-1], None)
            case "start" | "unpause":
                self._become(arguments[-1], state=State.RUNNING, running=True)
            case "rename":
                renamed = self.container(arguments[1])
                if renamed is not None:
                    raw = self.by_id[renamed.id]
                    self.by_id[renamed.id] = raw._replace(name=arguments[2])
            case "stop":
                self._become(arguments[-1], state=State.EXITED, running=False)
            case "update":
                self._update(arguments)
            case "volume" if arguments[1] == "create":
                self.named_volumes.add(arguments[-1])
            case "volume" if arguments[1] == "rm":
                self.named_volumes -= set(arguments[2:])
            case "rm":
                gone = self.container(arguments[-1])
                if gone is not None:
                    del self.by_id[gone.id]
        return Done(0, self.outputs.get(request, ""), "")

    def stream(
        self,
        *arguments: str,
        on_line: Callable[[str], None],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        longest: int = -1,
        holds: bool = False,
    ) -> None:
        """Record a request that prints what `outputs` has, by its first word."""
        for line in self.docker(*arguments).out.splitlines():
            on_line(line)

    def _become(self, reference: str, *, state: State, running: bool) -> None:
        container = self.container(reference)
        if container is None:
            raise EngineError(f"No such container: {reference}")
        self.by_id[container.id] = container._replace(state=state, running=running)

    def _update(self, arguments: Sequence[str]) -> None:
        """Give a container other limits, as boxes/limits.py writes them."""
        container = self.container(arguments[-1])
        if container is None:
            raise EngineError(f"No such container: {arguments[-1]}")
        memory, swap, cpus, cpuset, processes = (
            next(iter(_given(arguments, option)), None)
            for option in ("--memory", "--memory-swap", "--cpus", "--cpuset-cpus", "--pids-limit")
        )
        self.by_id[container.id] = container._replace(
            memory=container.memory if memory is None else int(memory),
            memory_and_swap=container.memory_and_swap if swap is None else int(swap),
            cpus=container.cpus if cpus is None else float(cpus),
            cpuset=container.cpuset if cpuset is None else cpuset,
            processes=container.processes if processes is None else int(processes),
        )

    def _created(self, arguments: Sequence[str]) -> str:
        """Make a container of the arguments of `docker create`, as boxes/spec.py writes them."""

        def given(option: str) -> list[str]:
            return _given(arguments, option)

        name = given("--name")[0]
        if self.container(name) is not None:
            raise EngineError(f'The container name "/{name}" is already in use by container')
        mounts = [dict(map(_pair, next(csv.reader([text])))) for text in given("--mount")]
        ports = [text.split(":") for text in given("--publish")]
        identity = f"{len(self.requests):064x}"
        self.add(
            Container(
                id=identity,
                name=name,
                # What stands before the program.
                image=arguments[-arguments[::-1].index("/sbin/init") - 2],
                runtime=given("--runtime")[0],
                state=State.CREATED,
                labels=tuple(map(_pair, given("--label"))),
                mounts=tuple(
                    Mount(
                        mount["type"], mount.get("source", ""), mount["target"], "readonly" in mount
                    )
                    for mount in mounts
                ),
                ports=tuple(Port(f"{inside}/tcp", at, int(number)) for at, number, inside in ports),
                memory=int((given("--memory") or ["0"])[0]),
                memory_and_swap=int((given("--memory-swap") or ["0"])[0]),
                cpus=float((given("--cpus") or ["0"])[0]),
                cpuset=(given("--cpuset-cpus") or [""])[0],
                processes=int((given("--pids-limit") or ["0"])[0]),
            )
        )
        return identity


def _passes(image: Image, filters: Sequence[str]) -> bool:
    for word in filters:
        kind, _, wanted = word.partition("=")
        known = [*map("=".join, image.labels), *dict(image.labels)]
        if kind == "label" and wanted not in known:
            return False
        names = [tag.rpartition(":")[0] for tag in image.tags]
        if kind == "reference" and not any(fnmatch(name, wanted) for name in names):
            return False
    return True


def _given(arguments: Sequence[str], option: str) -> list[str]:
    """Return the values of an option."""
    return [value for word, value in pairwise(arguments) if word == option]


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
