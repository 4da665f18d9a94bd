"""What can be seen of a server by its API alone, with the certificate of one user: nothing changes.

What may not be seen, or is not answered, is said so in its place. incus/judge.py says what of it is
right.
"""

import email.utils
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from containai.host import files
from containai.incus import exec as execution
from containai.incus import instances, server, validity
from containai.incus.client import Incus
from containai.incus.errors import IncusError, NotFoundError
from containai.incus.instances import Instance
from containai.incus.message import Answer, quoted
from containai.incus.server import About, Member, Project
from containai.incus.validity import Validity
from containai.incus.wire import value
from containai.layout import REMOTE_OWNER

Value = TypeVar("Value")

#: What is read in a box that runs: the kernel's limit, its ids and those that its users may have,
#: how its root is mounted.
INSTANCES_FILE = "/proc/sys/fs/inotify/max_user_instances"
ID_FILES = ("/proc/self/uid_map", "/etc/subuid", "/etc/subgid")
MOUNTS_FILE = "/proc/self/mountinfo"
FILES = (INSTANCES_FILE, *ID_FILES, MOUNTS_FILE)
#: How much of it: lines of each, and bytes. The root is among the first that are mounted.
_LINES, _LIMIT = 16, 1 << 16
_TIMEOUT = 20.0


class Unseen(NamedTuple):
    """What could not be seen, and why."""

    why: str


class Certificate(NamedTuple):
    """How the server has our certificate in its list."""

    is_restricted: bool
    projects: tuple[str, ...]


class Inside(NamedTuple):
    """What a box says, whose name is `box`: lines by the file that they are in."""

    box: str
    lines: dict[str, tuple[str, ...]]


class Sight(NamedTuple):
    """All that was seen, at a time `at` of this machine's.

    `ahead` is by how many seconds the server's clock is, at least. `own_valid` is of the user's
    certificate, `server_valid` of the one that the server shows.
    `features` are the kernel's, as Incus found them: "true" by name. `usage` is (limit, used) by
    what it is of. `space` is (used, all) in bytes by member, "" where there is one server.
    `profile`, `pool`, `network` are as the API has them, None where there is none; `pool` and
    `network` are those of the profile.
    """

    about: About
    at: float
    ahead: float | Unseen
    own_valid: Validity | Unseen
    server_valid: Validity | Unseen
    features: dict[str, str]
    certificate: Certificate | Unseen
    project: Project | Unseen | None
    usage: dict[str, tuple[int, int]] | Unseen
    profile: dict[str, Any] | Unseen | None
    pool: dict[str, Any] | Unseen | None
    space: dict[str, tuple[int, int] | Unseen]
    network: dict[str, Any] | Unseen | None
    members: list[Member] | Unseen
    boxes: list[Instance] | Unseen
    inside: Inside | Unseen


def look(incus: Incus) -> Sight:
    """Return what can be seen of a server. Raises an IncusError where it does not answer at all."""
    begun = time.time()
    answer = incus.raw("GET", incus.target(""))
    said = value(answer).get("metadata")
    about, features = server.parsed(said), _features(said)
    first = (about, begun, _ahead(answer, begun, time.time()), *_times(incus))
    if not about.is_trusted:
        no = Unseen("the server does not know your certificate")
        return Sight(*first, {}, no, no, no, no, no, {}, no, no, no, no)
    profile = _seen(lambda: server.profile(incus))
    pool, network = pool_of(profile), network_of(profile)
    members: list[Member] | Unseen = []
    if about.is_clustered:
        members = _seen(lambda: server.members(incus))
    boxes = _seen(lambda: instances.listed(incus))
    return Sight(
        *first,
        features,
        _seen(lambda: _certificate(incus, about.own)),
        _seen(lambda: server.project(incus, incus.project)),
        _seen(lambda: server.usage(incus, incus.project)),
        profile,
        _there(incus, "storage-pools", pool),
        _space(incus, pool, members),
        _there(incus, "networks", network),
        members,
        boxes,
        _inside(incus, boxes, about.own),
    )


def _times(incus: Incus) -> tuple[Validity | Unseen, Validity | Unseen]:
    """Return when our own certificate is good, and when that of the server is."""
    own = incus.server.identity
    text = files.read(own.certificate) if own else ""
    return (
        _valid(lambda: ssl.PEM_cert_to_DER_cert((text or "").strip())),
        _valid(lambda: incus.dialler.certificate),
    )


def _valid(read: Callable[[], bytes]) -> Validity | Unseen:
    try:
        return validity.of(read())
    except ValueError:
        return Unseen("it is in no form that can be read here")


def _seen(read: Callable[[], Value]) -> Value | Unseen:
    """Return what is read, or why it cannot be."""
    try:
        return read()
    except IncusError as wrong:
        return Unseen(str(wrong))


def _ahead(answer: Answer, begun: float, ended: float) -> float | Unseen:
    """Return by how much the server's clock is ahead of ours: 0 where it may be right.

    Its header has whole seconds (RFC 9110, 5.6.7).
    """
    try:
        there = email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return Unseen("its answer has no date")
    if there + 1 < begun:
        return there + 1 - begun
    return max(0.0, there - ended)


def _features(said: Any) -> dict[str, str]:
    here = said.get("environment") if isinstance(said, dict) else None
    found = here.get("kernel_features") if isinstance(here, dict) else None
    return {str(key): str(each) for key, each in found.items()} if isinstance(found, dict) else {}


def _certificate(incus: Incus, own: str) -> Certificate:
    said = incus.get(f"/certificates/{quoted(own)}")
    said = said if isinstance(said, dict) else {}
    # What it does not say is not taken for harmless.
    return Certificate(said.get("restricted") is True, tuple(map(str, said.get("projects") or ())))


def pool_of(profile: dict[str, Any] | Unseen | None) -> str:
    """Return the pool of a profile's root disk, or ""."""
    return _of_device(profile, "disk", "pool", {"path": "/"})


def network_of(profile: dict[str, Any] | Unseen | None) -> str:
    """Return the network of a profile's first interface, or ""."""
    return _of_device(profile, "nic", "network", {})


def _of_device(
    profile: dict[str, Any] | Unseen | None, kind: str, key: str, also: dict[str, str]
) -> str:
    devices = profile.get("devices") if isinstance(profile, dict) else None
    for _, each in sorted((devices or {}).items()):
        if also.items() | {("type", kind)} <= each.items() and each.get(key):
            return str(each[key])
    return ""


def _there(incus: Incus, kind: str, name: str) -> dict[str, Any] | Unseen | None:
    if not name:
        return None
    try:
        said = incus.get(f"/{kind}/{quoted(name)}")
    except NotFoundError:
        return None
    except IncusError as wrong:
        return Unseen(str(wrong))
    return said if isinstance(said, dict) else Unseen("the answer is not as Incus has it")


def _space(
    incus: Incus, pool: str, members: list[Member] | Unseen
) -> dict[str, tuple[int, int] | Unseen]:
    if not pool:
        return {}
    names = [""]
    if members and not isinstance(members, Unseen):
        names = [each.name for each in members if each.status != "Offline"]
    found = {name: server.space(incus, pool, name) for name in names}
    why = Unseen("the server does not say")
    # A pool without any bytes is one whose driver does not tell.
    return {name: why if each is None or not each[1] else each for name, each in found.items()}


def _inside(incus: Incus, boxes: list[Instance] | Unseen, own: str) -> Inside | Unseen:
    """Return what one box of ours says: into others' nobody looks."""
    if isinstance(boxes, Unseen):
        return boxes
    ours = [each for each in boxes if each.is_running and each.config.get(REMOTE_OWNER) == own]
    if not ours:
        return Unseen("it is seen only in a box, and none of yours runs there")
    name = ours[0].name
    argv = ["/bin/grep", "-H", "-m", str(_LINES), "", *FILES]
    try:
        done = execution.run(incus, name, execution.Command(argv), timeout=_TIMEOUT, limit=_LIMIT)
    except IncusError as wrong:
        return Unseen(f"the box {name} does not say: {wrong}")
    return Inside(name, told(done.out))


def told(said: bytes) -> dict[str, tuple[str, ...]]:
    """Return lines by the file that grep found them in: what a box says, none other than FILES."""
    lines: dict[str, tuple[str, ...]] = {}
    for line in said.decode("utf-8", "replace").splitlines():
        path, _, text = line.partition(":")
        if path in FILES:
            lines[path] = (*lines.get(path, ()), text)
    return lines
