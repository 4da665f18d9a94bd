"""What a box is to be, and what is done for one: decided here from values, done in lifecycle.py.

Pure: a dry run asks the same.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from containai.boxes import around, limits, ports
from containai.boxes.box import Box, Status, named_volumes
from containai.boxes.given import Files
from containai.boxes.limits import Limits
from containai.boxes.spec import BoxSpec
from containai.boxes.workspace import Workspace
from containai.config.values import PortRange
from containai.engine.container import Container
from containai.layout import AGENT_USER

#: Arguments of docker's client.
Request = tuple[str, ...]

HOST_KEY_IN_BOX = "etc/ssh/ssh_host_ed25519_key"
#: Merged into the daemon.json of the image by its containai-init.service, at first boot.
DOCKER_POOLS_IN_BOX = "etc/containai/docker-pools.json"
AUTHORIZED_KEYS_IN_BOX = f"etc/containai/authorized_keys/{AGENT_USER}"


class Order(NamedTuple):
    """Which box is wanted: its name, its workspace, its image, what it may use."""

    name: str
    workspace: Workspace
    image: str
    limits: Limits = Limits()


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
    promised = {box.ssh_port for box in scene.boxes}
    return BoxSpec(
        name=order.name,
        workspace=order.workspace.path,
        image=order.image,
        ssh_port=ports.choose(port_range, promised.union(taken), is_free),
        owner=scene.owner,
        runtime=scene.runtime,
        limits=order.limits,
        cpuset=_cpuset(order.limits, scene.processors, scene.boxes),
        skip_mounts=order.workspace.skip_mounts,
        ipv6=scene.ipv6,
    )


def files(
    agent: Files, *, key: tuple[str, str], authorized: str, pools: str, told: str = ""
) -> Files:
    """Return what a new box is given before it boots, beside what its runtime asks of its agent.

    `key` is its host key, private and public; `authorized` the key that its user has; `told` what
    it is told of the network.
    """
    private, public = key
    network: Files = {around.FILE_IN_BOX: (told, 0o600)} if told else {}
    return (
        agent
        | network
        | {
            HOST_KEY_IN_BOX: (private, 0o600),
            HOST_KEY_IN_BOX + ".pub": (public + "\n", 0o644),
            AUTHORIZED_KEYS_IN_BOX: (authorized + "\n", 0o644),
            DOCKER_POOLS_IN_BOX: (pools, 0o644),
        }
    )


def kept(name: str) -> str:
    """Return what a box is called while another is made in its place. No user can choose it."""
    return f"{name}.before"


def succeeding(order: Order, box: Box) -> Order:
    """Return the order for a box that takes the place of one: with its limits, if none are said."""
    limits = Limits(box.limits.memory or None, box.limits.cpus or None)
    return order._replace(name=box.name, limits=order.limits.over(limits))


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
    options = [
        [] if box.is_bounded else [*limits.PROCESSES],
        limits.arguments(new, _cpuset(new, online, others)),
    ]
    return [("update", *words, box.container) for words in options if words]


def removing(container: Container) -> list[Request]:
    """Return the requests that remove a box, and the volumes that do not go with its container."""
    remove = ("rm", "--force", "--volumes", container.id)
    return [remove, *tidying(named_volumes(container))]


def tidying(volumes: Sequence[str]) -> list[Request]:
    """Return the requests that remove volumes."""
    return [("volume", "rm", volume) for volume in volumes]


def _cpuset(wanted: Limits, online: Sequence[int], others: Sequence[Box]) -> str:
    if not wanted.cpus:
        return ""
    return limits.spread(wanted.cpus, online, [box.cpuset for box in others])
