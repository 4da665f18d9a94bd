"""What a server answers that is as boxes need it, for tests that spoil a part of it."""

import json
from typing import Any

from containai.incus import hardening, sight
from containai.incus.instances import Instance
from containai.incus.judge_version import NEEDED
from containai.incus.server import About, Member, Project
from containai.incus.sight import Certificate, Inside, Sight
from containai.incus.validity import Validity
from containai.layout import REMOTE_OWNER, REMOTE_PACKAGE

OWN = "ab" * 32
#: A moment of all that is right, and how long a day is, in seconds.
NOW, DAY = 1_800_000_000.0, 86_400
CONFIG = {
    "features.images": "true",
    "features.profiles": "true",
    "restricted": "true",
    "restricted.containers.nesting": "allow",
    "restricted.containers.privilege": "isolated",
    "restricted.networks.access": "br0",
    "restricted.snapshots": "allow",
    "restricted.cluster.target": "allow",
    REMOTE_PACKAGE: "6.0.4-2+deb13u12",
}
PROFILE: dict[str, Any] = {
    "name": "default",
    "config": {"limits.memory": "8GiB", "limits.cpu": "4"} | hardening.settings(),
    "devices": {
        "eth0": {"type": "nic", "name": "eth0", "network": "br0"} | hardening.INTERFACE,
        "root": {"type": "disk", "path": "/", "pool": "fast"},
    },
}
POOL = {"name": "fast", "driver": "btrfs", "status": "Created", "config": None}
NETWORK = {"name": "br0", "type": "bridge", "managed": True, "status": "Created", "config": {}}
ABOUT = About(
    True, ("tls",), frozenset((*NEEDED, "instance_port_forward")), "incus", "6.0.4", "node1", False,
    "cd" * 32, OWN, ("x86_64",), "btrfs", "6.12.0", ("10.0.0.1:8443",),
)  # fmt: skip
INSIDE: dict[str, tuple[str, ...]] = {
    sight.INSTANCES_FILE: ("1048576",),
    "/proc/self/uid_map": ("         0    1065536      65536",),
    "/etc/subuid": ("agent:1001:64535",),
    "/etc/subgid": ("agent:1001:64535",),
    sight.MOUNTS_FILE: (
        "614 551 0:44 / / rw,relatime,idmapped shared:1 - btrfs /dev/loop0 rw",
        "615 614 0:63 / /dev rw,relatime - tmpfs none rw",
    ),
}


def box(name, base="1065536", **config):
    """Return an instance that runs and is ours, with the first of its ids."""
    own = {"volatile.idmap.base": base, REMOTE_OWNER: OWN} | config
    return Instance(name, "Running", "none", "x86_64", "", "", ("default",), own, {}, own, {})


RIGHT = Sight(
    about=ABOUT,
    at=NOW,
    ahead=0.0,
    own_valid=Validity(NOW - DAY, NOW + 3650 * DAY),
    server_valid=Validity(NOW - DAY, NOW + 3650 * DAY),
    features={"idmapped_mounts": "true"},
    certificate=Certificate(True, ("boxes",)),
    project=Project("boxes", "", CONFIG),
    usage={"instances": (20, 3), "memory": (-1, 0)},
    profile=PROFILE,
    pool=POOL,
    space={"": (1 << 30, 30 << 30)},
    network=NETWORK,
    members=[],
    boxes=[box("api"), box("web", "1131072")],
    inside=Inside("api", INSIDE),
)


def member(name, status="Online", message="Fully operational"):
    """Return a member of a cluster."""
    return Member(name, f"https://{name}:8443", status, message, "x86_64")


def serve(server):
    """Have a fake server answer as one that is right."""
    server.extensions = [*NEEDED]
    server.about |= {"server_version": "6.0.4", "kernel_features": {"idmapped_mounts": "true"}}
    server.projects = {"boxes": dict(CONFIG)}
    own = next(iter(server.trusted))
    answers = {
        f"certificates/{own}": {"restricted": True, "projects": ["boxes"]},
        "projects/boxes/state": {"resources": {"instances": {"Limit": 20, "Usage": 3}}},
        "projects/boxes": {"name": "boxes", "config": server.projects["boxes"]},
        "profiles/default": PROFILE,
        "storage-pools/fast": POOL,
        "storage-pools/fast/resources": {"space": {"used": 1 << 30, "total": 30 << 30}},
        "networks/br0": NETWORK,
        "instances": [instance("api", own)],
    }
    for path, said in answers.items():
        # As JSON has it: what a test changes in one answer is in no other.
        text = json.dumps(said)
        server.handlers[f"GET /1.0/{path}"] = lambda asked, text=text: json.loads(text)


def instance(name, owner, status="Running"):
    """Return an instance, as the API has it."""
    config = {REMOTE_OWNER: owner, "volatile.idmap.base": "1065536"}
    return {"name": name, "status": status, "config": config, "location": "none"}
