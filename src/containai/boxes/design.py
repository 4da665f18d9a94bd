"""What a box is to be, and what is done for one: decided here from values, done in lifecycle.py.

Pure: a dry run asks the same.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from containai import kept as kepts
from containai.boxes import around, limits, ports
from containai.boxes import spec as specs
from containai.boxes.box import Box, Status, named_volumes
from containai.boxes.given import Files
from containai.boxes.limits import Limits
from containai.boxes.places import Places
from containai.boxes.spec import BoxSpec
from containai.boxes.workspace import Workspace
from containai.config.values import PortRange
from containai.engine import attached
from containai.engine.container import Container
from containai.layout import AGENT_USER

#: Arguments of docker's client.
Request = tuple[str, ...]

HOST_KEY_IN_BOX = "etc/ssh/ssh_host_ed25519_key"
#: Merged into the daemon.json of the image by its containai-init.service, at first boot.
DOCKER_POOLS_IN_BOX = "etc/containai/docker-pools.json"
#: Read by the image's program `data`, at every boot.
KEPT_IN_BOX = "etc/containai/kept"
AUTHORIZED_KEYS_IN_BOX = f"etc/containai/authorized_keys/{AGENT_USER}"


class Order(NamedTuple):
    """Which box is wanted: name, workspace, image, limits, data volume, what of the host."""

    name: str
    workspace: Workspace
    image: str
    limits: Limits = Limits()
    data: str = ""
    places: Places = Places()
    #: Of a box for no workspace yet: which ones it is as good as.
    spare: str = ""

    @property
    def hostname(self) -> str:
        """What the box's host name is to be."""
        return specs.hostname(self.name, self.spare)


class Scene(NamedTuple):
    """What a decision looks at: what the machine has, and the boxes of all users that are there."""

    processors: Sequence[int]
    boxes: Sequence[Box]
    owner: int
    runtime: str
    ipv6: bool = False


def new(
    order: Order,
    scene: Scene,
    port_range: PortRange,
    *,
    taken: Collection[int] = (),
    is_free: Callable[[int], bool],
) -> BoxSpec:
    """Return what a new box is made of. `taken` are ports that it is not to have.

    Raises PortsExhaustedError where there is no port.
    """
    promised = dict.fromkeys(taken, "") | ports.owners(scene.boxes, scene.owner)
    return BoxSpec(
        name=order.name,
        workspace=order.workspace.path,
        image=order.image,
        ssh_port=ports.choose(port_range, promised, is_free),
        owner=scene.owner,
        runtime=scene.runtime,
        limits=order.limits,
        cpuset=_cpuset(order.limits, scene.processors, scene.boxes),
        skip_mounts=order.workspace.skip_mounts,
        read_only=order.workspace.read_only,
        mounts=order.places.mounts,
        start=order.places.start,
        ipv6=scene.ipv6,
        data=order.data,
        sharing=sharing(scene.boxes, order.data, order.name),
        spare=order.spare,
    )


def files(agent: Files, *, authorized: str, pools: str, told: str = "") -> Files:
    """Return what a new box is given before it boots, beside what its runtime asks of its agent.

    `authorized` is the key that its user has; `told` what it is told of the network. Its host key
    is not among it.
    """
    network: Files = {around.FILE_IN_BOX: (told, 0o600)} if told else {}
    return (
        agent
        | network
        | {
            AUTHORIZED_KEYS_IN_BOX: (authorized + "\n", 0o644),
            DOCKER_POOLS_IN_BOX: (pools, 0o644),
            KEPT_IN_BOX: (kepts.table(), 0o644),
        }
    )


def host_key(private: str, public: str) -> Files:
    """Return the files of a box's host key."""
    return {
        HOST_KEY_IN_BOX: (private, 0o600),
        HOST_KEY_IN_BOX + ".pub": (public + "\n", 0o644),
    }


def sharing(boxes: Sequence[Box], volume: str, name: str) -> tuple[str, ...]:
    """Return which boxes have a data volume, beside that of a name and the one before it."""
    others = (box.name for box in boxes if volume and box.data == volume)
    return tuple(sorted({*others} - {name, kept(name)}))


def said_of_sharing(volume: str, others: Sequence[str]) -> str:
    """Return what is said where a box gets a data volume that others have."""
    names = ", ".join(others)
    return f"the data volume {volume} is also that of {names}: each can run code in the others"


def holder(container: str) -> str:
    """Return what a container is called that holds a box's data volume. No user can choose it."""
    return f"data.{container}"


def kept(name: str) -> str:
    """Return what a box is called while another is made in its place. No user can choose it."""
    return f"{name}.before"


def original(name: str) -> str:
    """Return the name that a box has again once nothing is made in its place: its own, else."""
    return name.removesuffix(".before")


def succeeding(order: Order, box: Box) -> Order:
    """Return the order for a box that takes the place of one.

    With its limits and its data volume, if no others are said.
    """
    data = order.data or box.data
    return order._replace(name=box.name, limits=order.limits.over(box.limits), data=data)


def is_left_over(box: Box) -> bool:
    """Whether a box is what an interrupted start left: it is removed, and made anew."""
    return box.status in (Status.UNFINISHED, Status.BROKEN)


def waking(box: Box, *, same: bool | None) -> tuple[str, ...]:
    """Return what has a box run: of "unpause", "stop" and "start", in this order.

    `same` is whether it shows the directory that its workspace is now; None where nobody knows.
    """
    awake = box.status in (Status.RUNNING, Status.PAUSED)
    is_old = awake and same is False
    steps = {
        "unpause": box.status is Status.PAUSED,
        "stop": is_old or box.status is Status.RESTARTING,
        "start": is_old or not awake,
    }
    return tuple(step for step, wanted in steps.items() if wanted)


def limiting(box: Box, new: Limits, online: Sequence[int], boxes: Sequence[Box]) -> list[Request]:
    """Return the requests that give a box limits which it does not have.

    One of an early version had no limit on processes.
    """
    others = [other for other in boxes if other.container != box.container]
    if new.pids is None and not box.is_bounded:
        new = new._replace(pids=limits.MANY)
    words = limits.updating(box.limits, new, _cpuset(new, online, others))
    return [("update", *words, box.container)] if words else []


def removing(container: Container) -> list[Request]:
    """Return the requests that remove a box, and the volumes that do not go with its container.

    And what held its data volume, where that came later.
    """
    remove = ("rm", "--force", "--volumes", container.id)
    held = [("rm", holder(container.id))] if attached.replaced(container) else []
    return [remove, *held, *tidying(named_volumes(container))]


def tidying(volumes: Sequence[str]) -> list[Request]:
    """Return the requests that remove volumes."""
    return [("volume", "rm", volume) for volume in volumes]


def _cpuset(wanted: Limits, online: Sequence[int], others: Sequence[Box]) -> str:
    if not wanted.cpus:
        return ""
    return limits.spread(wanted.cpus, online, [box.cpuset for box in others])
