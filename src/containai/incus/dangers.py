"""What a project of an Incus server must not allow, and what each of it gives away. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from containai.incus.server import Project
from containai.incus.sight import Unseen
from containai.incus.verdicts import AGAIN, Check
from containai.work.actions import Finding, unknown


class Danger(NamedTuple):
    """A setting of a project: the values that are harmless, and what any other gives away."""

    key: str
    harmless: tuple[str, ...]
    gives: str


_BLOCKED = ("", "block")
#: https://linuxcontainers.org/incus/docs/main/reference/projects/#project-restrictions
DANGERS = (
    Danger(
        "restricted.containers.privilege",
        ("", "unprivileged", "isolated"),
        "root of a box can be root of the server",
    ),
    Danger(
        "restricted.containers.lowlevel",
        _BLOCKED,
        "raw.lxc mounts what is the server's, and runs programs there as its root",
    ),
    Danger(
        "restricted.containers.interception",
        _BLOCKED,
        "the server carries out system calls of boxes as its root",
    ),
    Danger(
        "restricted.virtual-machines.lowlevel",
        _BLOCKED,
        "raw.qemu opens what is the server's, as its root",
    ),
    Danger(
        "restricted.devices.proxy",
        _BLOCKED,
        "a box reaches what listens on the server's own loopback",
    ),
    Danger(
        "restricted.devices.disk",
        ("", "block", "managed"),
        "directories of the server can be mounted in boxes",
    ),
    Danger(
        "restricted.devices.nic",
        ("", "block", "managed"),
        "a box is put on any interface of the server, past its firewall",
    ),
    Danger("restricted.devices.unix-char", _BLOCKED, "devices of the server are opened in boxes"),
    Danger("restricted.devices.unix-block", _BLOCKED, "disks of the server are opened in boxes"),
    Danger("restricted.devices.unix-hotplug", _BLOCKED, "devices of the server come into boxes"),
    Danger("restricted.devices.usb", _BLOCKED, "USB devices of the server come into boxes"),
    Danger("restricted.devices.pci", _BLOCKED, "hardware of the server is handed to instances"),
    Danger("restricted.devices.gpu", _BLOCKED, "a driver of the server's kernel is in reach"),
    Danger("restricted.devices.infiniband", _BLOCKED, "a driver of the kernel is in reach"),
    Danger("restricted.idmap.uid", ("",), "files of these users of the server are a box's"),
    Danger("restricted.idmap.gid", ("",), "files of these groups of the server are a box's"),
)


def given_away(project: Project | Unseen | None, name: str) -> Iterator[Check]:
    """Give what a project allows and must not, a row each; one row where there is nothing."""
    means = "Who has a box in the project, or a user's certificate, has more than boxes."
    title = "what boxes must not"
    if not isinstance(project, Project):
        why = project.why if project else f"there is no project {name}"
        yield Check(title, unknown(f"not seen: {why}"), means)
        return
    if project.config.get("restricted") != "true":
        nothing = Finding(
            False, f"{name} is not restricted: whoever has boxes there is root of the server",
            hint=AGAIN,
        )  # fmt: skip
        yield Check(title, nothing, means)
        return
    found = [each for each in DANGERS if project.config.get(each.key, "") not in each.harmless]
    for each in found:
        hint = f"on the server: incus project unset {name} {each.key}"
        text = f"{project.config[each.key]}: {each.gives}"
        yield Check(each.key, Finding(False, text, hint=hint), means)
    if not found:
        yield Check(title, Finding(True, f"{len(DANGERS)} settings of {name} are closed"), means)
