"""The ids of boxes: the record of each one's range, and whether this machine has given any away."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from containai.engine import daemon
from containai.engine.client import Engine
from containai.engine.container import State
from containai.host import files
from containai.host.machine import Machine
from containai.machine_layout import BOX_IDS
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Finding, Run, WriteFile

#: Prints the name and the first line of each record; no record has another.
_READ = """cd "$1/ranges" 2>/dev/null || exit 0
for name in *.json; do
    [ -f "$name" ] && [ ! -L "$name" ] || continue
    IFS= read -r line <"$name" || :
    printf '%s %s\\n' "${name%.json}" "$line"
    line=
done"""
_CONTAINER = re.compile("[0-9a-f]{64}")


class Damaged(NamedTuple):
    """The containers whose records cannot be read, with what each has to say where that is known.

    None is for what does not run: that is given a range when it starts.
    """

    records: dict[str, str | None]


class Taken(NamedTuple):
    """An id of this machine's that is a box's, too: the line of the file, and what gives it up."""

    said: str
    command: str


class Ranges(Described):
    """A range of ids of its own for each box, that nobody else on this machine has."""

    area = Area.RUNTIME
    title = "id ranges"
    holds = (
        "the record of each box's range can be read, and no user or group of this machine has an "
        "id of one"
    )
    otherwise = (
        "a record is written anew from what the kernel knows of a running box, and removed for "
        "one that does not run; an id is given up by the command that is shown"
    )

    looks = "the records of the runtime, as root, and `/etc/passwd`, `group`, `subuid` and `subgid`"
    means = (
        "without its record a box is given other ids when it starts; whoever has an id of a box "
        "owns its processes, or files of it in workspaces"
    )

    def check(self, host: Machine) -> Finding[Damaged]:
        """Read the records as root, and who has which ids."""
        layout = host.layout
        found, damaged = records(host)
        if damaged:
            known = {name: _anew(host, name) for name in damaged}
            names = ", ".join(name[:12] for name in damaged)
            seen = f"the record of what ids these containers have is damaged: {names}"
            return Finding(False, seen, data=Damaged(known))
        used = [*found.values(), layout.stored_ids[0]]
        for taken in _taken(used):
            return Finding(False, taken.said, hint=f"run: {taken.command}")
        return Finding(True, f"{len(found)} in use")

    def plan(self, host: Machine, finding: Finding[Damaged]) -> list[Action]:
        """Write each record that is known, remove the rest."""
        if finding.data is None:
            return []
        directory = os.path.join(host.layout.runtime_state, "ranges")
        actions: list[Action] = []
        for name, text in finding.data.records.items():
            path = os.path.join(directory, f"{name}.json")
            actions.append(WriteFile(path, text) if text else Run(["rm", "-f", path]))
        return actions

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """They are the runtime's, and go with it."""
        return []


def records(host: Machine) -> tuple[dict[str, int], list[str]]:
    """Return the first id of each container's range, and the containers whose record is damaged."""
    argv = ["sh", "-c", _READ, "sh", host.layout.runtime_state]
    found, damaged = {}, []
    for line in host.run(argv, root=True, ok=None).out.splitlines():
        name, _, text = line.partition(" ")
        base = _base(text)
        if base is not None:
            found[name] = base
        elif _CONTAINER.fullmatch(name):
            damaged.append(name)
    return found, damaged


def _base(text: str) -> int | None:
    """Return the first id that a record names, or None where the runtime cannot read it."""
    try:
        said: dict[str, Any] = json.loads(text)
        base = said["base"]
        readable = isinstance(said["witness"], str) and isinstance(said["cgroup"], str)
        return base if type(base) is int and readable else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _anew(host: Machine, name: str) -> str | None:
    """Return the record of a running container, from what the kernel and the engine know of it."""
    if not daemon.answering(host):
        return None
    inspected = Engine(host).inspect("container", name) or {}
    try:
        state = inspected["State"]
        pid, upper = int(state["Pid"]), str(inspected["GraphDriver"]["Data"]["UpperDir"])
        mapped = (files.read(f"/proc/{pid}/uid_map") or "").split()
        groups = (files.read(f"/proc/{pid}/cgroup") or "").splitlines()
        if state["Status"] not in (State.RUNNING, State.PAUSED) or mapped[0] != "0":
            return None
        group = next(line.split(":", 2)[2] for line in groups if name in line)
        own = group[: group.index(name) + len(name)]
        base, stored = int(mapped[1]), host.layout.stored_ids[0]
    except (LookupError, TypeError, ValueError, StopIteration):
        return None
    return json.dumps({"base": base, "witness": upper, "cgroup": own, "stored": stored})


def _taken(used: list[int]) -> Iterator[Taken]:
    """Return who of this machine has ids of boxes (passwd(5), group(5), subuid(5))."""
    for path, what, change in (
        ("/etc/passwd", "user", "usermod --uid"),
        ("/etc/group", "group", "groupmod --gid"),
    ):
        rows = [line.split(":") for line in (files.read(path) or "").splitlines()]
        ids = {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdigit()}
        for name, number in ids.items():
            if any(base <= number < base + BOX_IDS for base in used):
                free = max([1000, *(each for each in ids.values() if each < 60000)]) + 1
                said = f"the {what} {name} has the id {number}, which a box has"
                yield Taken(said, f"sudo {change} {free} {name}")
    for path, option in (("/etc/subuid", "--del-subuids"), ("/etc/subgid", "--del-subgids")):
        for line in (files.read(path) or "").splitlines():
            name, _, numbers = line.partition(":")
            first, _, count = numbers.partition(":")
            if not (first.isdigit() and count.isdigit()):
                continue
            start, end = int(first), int(first) + int(count)
            if any(start < base + BOX_IDS and base < end for base in used):
                said = f"{path} gives {name} the ids {start}-{end - 1}, some of which a box has"
                yield Taken(said, f"sudo usermod {option} {start}-{end - 1} {name}")
