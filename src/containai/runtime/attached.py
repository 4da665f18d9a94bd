"""What containers got that ran already: a record a container, which only root writes.

`create` gives it to them again, so that a stop, a start and a power cut change nothing. Pure but
for the files of one directory.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

#: A directory of the runtime's state.
NAME = "attached"
#: The first word of an `exec` that is none, but adds a mount or takes one away (main.py), or has
#: somebody wait for what makes a spare box a workspace's (claim.py).
ATTACH, DETACH, AWAIT = ":attach", ":detach", ":await"
#: How many mounts a container is given that way: each is one that its start has to make.
LIMIT = 64
#: Where a claim may have a volume take the place of the one that a container was made with.
REPLACED = "/mnt/agent-data"
_LOCK = ".lock"


class Attached(NamedTuple):
    """Something of the host's, by its real path, and where a container has it."""

    source: str
    destination: str
    readonly: bool

    @property
    def mount(self) -> dict[str, Any]:
        """As config.json has it. Docker says nothing of how a volume propagates."""
        alone = [] if self.destination == REPLACED else ["rprivate"]
        options = ["rbind", *alone, *(["ro"] if self.readonly else [])]
        return {
            "destination": self.destination,
            "type": "bind",
            "source": self.source,
            "options": options,
        }


class Record(NamedTuple):
    """What a container got: mounts of `cai mount add`, and what made a spare box a workspace's.

    Those are the mounts that one made for it would have been made with, its host name, and where
    sessions start in it, if that is not where they do in most.
    """

    added: tuple[Attached, ...] = ()
    claimed: tuple[Attached, ...] = ()
    hostname: str = ""
    start: str = ""

    @property
    def mounts(self) -> tuple[Attached, ...]:
        """All of them; what lies in another comes after it."""
        whole = (*self.claimed, *self.added)
        return tuple(sorted(whole, key=lambda each: each.destination.count("/")))

    @property
    def replaced(self) -> list[str]:
        """Where something takes the place of what the container was made with."""
        return [each.destination for each in self.claimed if each.destination == REPLACED]


def parse(text: str | bytes) -> Record:
    """Return what a record says. Raises ValueError where it says none.

    The first ones were a list, of what was added.
    """
    try:
        said = json.loads(text)
        fields: dict[str, Any] = {"added": said} if isinstance(said, list) else dict(said)
        added, claimed = (_mounts(fields.get(name, [])) for name in ("added", "claimed"))
        hostname, start = (fields.get(name, "") for name in ("hostname", "start"))
        found = Record(added, claimed, hostname, start)
    except (TypeError, LookupError, RecursionError):
        raise ValueError("no list of mounts") from None
    if found.hostname != "" and not is_name(found.hostname):
        raise ValueError(f"{found.hostname!r} is no name of a box")
    if found.start not in ("", *(each.destination for each in claimed)):
        raise ValueError(f"{found.start!r} is no mount that was claimed")
    return found


def _mounts(said: Any) -> tuple[Attached, ...]:
    found = tuple(Attached(*each) for each in said)
    for each in found:
        if not isinstance(each.source, str) or not isinstance(each.destination, str):
            raise ValueError("a path that is none")
        if type(each.readonly) is not bool or not is_plain(each.destination):
            raise ValueError(f"{each.destination!r} is no place in a container")
    return found


def is_name(text: object) -> bool:
    """Whether something is a box's name, which is its host name, too (hostname(7))."""
    return isinstance(text, str) and re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9-]{0,62}", text) is not None


def is_plain(path: str) -> bool:
    """Whether a path leads from the root directory down, to anything but that."""
    parts = path.split("/")
    return parts[0] == "" and len(parts) > 1 and not {"", ".", ".."}.intersection(parts[1:])


def read(directory: str, container: str) -> Record:
    """Return what a container got; nothing where there is no record, or a damaged one."""
    try:
        with open(os.path.join(directory, container), encoding="utf-8") as file:
            return parse(file.read())
    except (OSError, ValueError):
        return Record()


def write(directory: str, container: str, record: Record) -> None:
    """Have a container's record say that; where there is nothing to say, there is none."""
    path = os.path.join(directory, container)
    if record == Record():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    new = path + ".new"
    with open(new, "w", encoding="utf-8") as file:
        # For users of the engine, who know the container's id: the directory cannot be listed.
        os.fchmod(file.fileno(), 0o644)
        json.dump(record._asdict(), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def prune(directory: str, containers: Collection[str]) -> None:
    """Remove the records of all containers but these."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.partition(".")[0] not in containers:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(directory, name))


@contextlib.contextmanager
def locked(directory: str, container: str) -> Iterator[int]:
    """Be the only one who changes what a container has; yield the descriptor that says so.

    A child that may outlive this closes it: the lock is held as long as anybody has it.
    """
    os.makedirs(directory, mode=0o711, exist_ok=True)
    path = os.path.join(directory, container + _LOCK)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)
