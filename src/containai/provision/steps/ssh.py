"""What ssh has of each box: its host block, its pinned key, its connection, its port."""

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from containai.boxes import entries, pinned, ports
from containai.boxes.box import Box, Status
from containai.engine.client import Engine
from containai.host import files
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision.step import Area, Described, Fact, Scope
from containai.provision.steps.own import Mending, Only, settings
from containai.ssh import connect, hosts, session
from containai.work.actions import Action, Do, Finding


class Wrong(NamedTuple):
    """A box, and what is wrong with what ssh has of it."""

    box: Box
    why: str


class _OfBoxes(Only, Mending, Described):
    """A check of what ssh has of each box of the user's, by what the engine says of that."""

    area = Area.SSH
    title = ""

    def wrong(self, host: Machine, box: Box) -> str:
        """Return what is wrong of a box, or nothing."""
        raise NotImplementedError

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[list[Box]]:
        """Compare with each box. One that never ran has nothing of ssh yet."""
        known = [box for box in own if box.status is not Status.UNFINISHED and box.ssh_port]
        found = [Wrong(box, why) for box in known if (why := self.wrong(host, box))]
        if not found:
            return Finding(True, f"of {len(known)} boxes" if known else "no box")
        seen = "; ".join(f"{each.box.name} {each.why}" for each in found)
        return Finding(False, seen, data=[each.box for each in found])

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """It goes with the rest of ssh."""
        return []


class Blocks(_OfBoxes):
    """The host block of each box, as this version writes it."""

    title = "host blocks"
    holds = "each of your boxes has a host block, which is as this version writes it"
    otherwise = "it is written; what you added to it goes, as it would when you enter the box"
    looks = "the files in `~/.ssh/containai.d`, compared with what they have to say"
    means = "`ssh NAME` leads nowhere, to another box, or behaves in another way"
    doing = "write the host block of BOX"
    details = ("what ssh heeds of it; what cai has noted about the box in it stays",)

    def wrong(self, host: Machine, box: Box) -> str:
        """Compare from the first line on that ssh heeds."""
        text = files.read(host.layout.ssh_block(box.name))
        if text is None:
            return "has none"
        if _open(host.layout.ssh_block(box.name)):
            return "has one that others can write: ssh refuses it, and all else with it"
        if hosts.port_of(text) != box.ssh_port:
            return f"has port {box.ssh_port}, and its block says {hosts.port_of(text) or 'none'}"
        return "" if _heeded(text) in _written(host, box) else "has one that was changed"

    def mend(self, engine: Engine, box: Box) -> None:
        """Write what ssh heeds; what cai has noted about the box stays, where it is of it."""
        host, layout = engine.host, engine.layout
        old = files.read(layout.ssh_block(box.name)) or ""
        kinds = dict(zip(_written(host, box), _AGENTS, strict=True))
        said = [kind for block, kind in kinds.items() if _agent(block) == _agent(old)]
        agent = said[0] if said else settings(host, box.workspace).ssh_forward_agent
        new = _block(host, box, agent=agent)
        mark = session.identity(box.workspace, "").rstrip("\n")
        if old.startswith(new.partition("\n")[0]) and f"\n{mark}" in old:
            new = old[: len(old) - len(_heeded(old))] + _heeded(new)
        files.remove(layout.ssh_block(box.name))
        files.write(layout.ssh_block(box.name), new, 0o600)
        if hosts.port_of(old) != box.ssh_port:
            # It is pinned for its address, too.
            known = hosts.pinned_key(files.read(layout.known_hosts) or "", box.name)
            hosts.pin(layout, box.name, known, new)


#: How a block can say that a box reaches an ssh agent: not, all of it, for some hosts.
_AGENTS: tuple[bool | tuple[str, ...], ...] = (False, True, ("",))


def _block(host: Machine, box: Box, *, agent: bool | tuple[str, ...]) -> str:
    """Return a block that says nothing of what the box was told: entering it does."""
    try:
        seen = os.stat(box.workspace)
        inode = f"{seen.st_dev}:{seen.st_ino}"
    except OSError:
        inode = ""
    return session.without_variables(
        hosts.host_block(
            host.layout,
            box.name,
            port=box.ssh_port,
            workspace=box.workspace,
            inode=inode,
            forward_agent=agent,
            start=box.start,
            version=host.ssh_version(),
        )
    )


def _written(host: Machine, box: Box) -> list[str]:
    """Return what ssh is to heed of a box, for each way to have an agent."""
    return [_heeded(_block(host, box, agent=agent)) for agent in _AGENTS]


def _heeded(text: str) -> str:
    """Return a block without the comments that it begins with."""
    lines = text.splitlines(keepends=True)
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[count:])


def _agent(text: str) -> str:
    return next((line for line in text.splitlines() if line.split()[:1] == ["ForwardAgent"]), "")


def _open(path: str) -> bool:
    """Whether others can write a file, which ssh then refuses (readconf.c, SSHCONF_CHECKPERM)."""
    return bool(os.stat(path).st_mode & 0o022)


class Pins(_OfBoxes):
    """The pinned host key of each box."""

    title = "pinned keys"
    holds = "each of your boxes has a pinned host key"
    otherwise = "the box's own is pinned, as the engine says it"
    looks = "our `known_hosts`"
    means = "`ssh` and `cai` connect to no box of which no key is known"
    doing = "pin the host key of BOX, which the engine is asked for"
    details = ("its line in known_hosts; a box that has no key gets one",)

    def wrong(self, host: Machine, box: Box) -> str:
        """Look for one that can be one."""
        key = hosts.pinned_key(files.read(host.layout.known_hosts) or "", box.name)
        if key is None:
            return "has none"
        return "" if pinned.is_key(key) else "has one that is no key"

    def mend(self, engine: Engine, box: Box) -> None:
        """Pin its own. One that has none gets one once it is entered."""
        own = pinned.own_key(engine, box.container)
        if own or engine.container(box.container) is None:
            hosts.pin(engine.layout, box.name, own or None)
        else:
            pinned.given_anew(engine, box.name, box.container)


class Sockets(Described):
    """The control sockets, each with somebody behind it."""

    area = Area.SSH
    title = "control sockets"
    holds = "each socket of a connection to a box has somebody behind it, and is one"
    otherwise = "it is removed: the next `cai run` connects anew"
    looks = "each is connected to, in the directory that only you can open"
    means = "the next `cai run` takes longer; a name that something else has is in its way"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Look for those that nobody listens on, and for what is no socket."""
        layout = host.layout
        dead = entries.forsaken(layout)
        odd = [path for path in _paths(layout) if _is_odd(path)]
        if not dead and not odd:
            return Finding(True, layout.control_dir)
        said = [f"nobody listens on {path}" for path in dead]
        said += [f"{path} is no socket" for path in odd]
        return Finding(False, "; ".join(said), data=[*dead, *odd])

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Have nothing there."""
        return [
            Do(
                f"take {path} away",
                lambda _, path=path: connect.clear(path),  # type: ignore[misc]
                ("a directory gets another name",),
            )
            for path in finding.data or ()
        ]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """They go with the rest of ssh."""
        return []


def _paths(layout: Layout) -> list[str]:
    """Return the sockets of the boxes that ssh knows."""
    if not session.has_own_directory(layout):
        return []
    return [layout.control_socket(name) for name in sorted(hosts.published(layout))]


def _is_odd(path: str) -> bool:
    try:
        return not stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


class Connections(_OfBoxes):
    """Connections that stand, to boxes that answer over them."""

    title = "connections"
    slow = True
    holds = "each connection that stands leads to a running box, which answers over it"
    otherwise = "it is ended, with the sessions in it"
    looks = "a command that does nothing is run over each"
    means = "the next `cai run` waits for it, or ends"
    interrupts = "ends connections that do not answer, with the sessions in them"
    doing = "end the connection to BOX"
    details = ("$ ssh -O exit, and take its socket away",)

    def wrong(self, host: Machine, box: Box) -> str:
        """Run a command over it."""
        if not session.is_live(host.layout, box.name):
            return ""
        if box.status.is_off:
            return "is not running, and its connection stands"
        is_up = box.status is not Status.RUNNING or connect.stands(host.layout, box.name)
        return "" if is_up else "does not answer over its connection"

    def mend(self, engine: Engine, box: Box) -> None:
        """End it; one that does not heed that, too."""
        hosts.close(engine.host, box.name)
        connect.clear(engine.layout.control_socket(box.name))


class BoxPorts(Only, Fact):
    """The ports of boxes that do not run, for them when they do."""

    area = Area.SSH
    title = "ports of boxes"
    holds = "nobody else has the port of a box that does not run"
    otherwise = "`cai start` gives the box another"
    looks = "each is bound for a moment"
    means = "the box gets another port when it starts, for which the engine is exchanged"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Try each. Raises UnsupportedError for a machine without 127.0.0.1."""
        off = [box for box in own if box.status.is_off and box.ssh_port]
        taken = [box for box in off if not ports.is_free(box.ssh_port)]
        if not taken:
            return Finding(True, f"of {len(off)} boxes that do not run" if off else "all run")
        seen = "; ".join(f"somebody has port {box.ssh_port} of {box.name}" for box in taken)
        hint = f"see who: ss -tlnp sport = :{taken[0].ssh_port}; "
        hint += f"another port for the box: cai start --name {taken[0].name}"
        return Finding(False, seen, optional=True, hint=hint)
