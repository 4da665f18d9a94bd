"""What belongs to a user: the Docker context, and what ssh has of boxes."""

import hashlib
import os
import shlex
import stat
from collections.abc import Iterator
from typing import NamedTuple

from containai.boxes import connecting, entries
from containai.boxes.box import Status
from containai.engine.client import Engine
from containai.host import files
from containai.host.machine import Machine
from containai.layout import DOCKER_CONTEXT, Layout
from containai.provision.step import Area, Described, Scope
from containai.ssh import client, hosts, include, keys
from containai.work.actions import Action, Do, Finding, Run, unknown
from containai.work.user import User


class Other(NamedTuple):
    """Who is to have the context, through sudo, and whether there is one that leads elsewhere."""

    user: User | None
    is_there: bool


class Context(Described):
    """The Docker context, for whoever runs this, also through sudo."""

    area = Area.ENGINE
    title = "Docker context"
    holds = "`docker-containai` leads to the engine; through sudo, that of who called it"
    otherwise = "it is made"
    looks = "the file in which Docker's client keeps it"
    means = (
        "`docker --context docker-containai` and editors that use it reach nothing, or another "
        "engine"
    )

    def check(self, host: Machine) -> Finding[Other]:
        """Read it where Docker's client keeps it."""
        seen = context_host(self._home(host))
        if seen == f"unix://{host.layout.engine_socket}":
            return Finding(True, DOCKER_CONTEXT)
        other = Other(host.invoker(), is_there=seen is not None)
        said = f"{DOCKER_CONTEXT} leads to {seen}" if seen else "not there"
        return Finding(False, said, data=other)

    @staticmethod
    def _home(host: Machine) -> str:
        user = host.invoker()
        return user.home if user is not None else host.layout.home

    def plan(self, host: Machine, finding: Finding[Other]) -> list[Action]:
        """Make it, or lead it to the engine."""
        if finding.data is None:
            return []
        verb = "update" if finding.data.is_there else "create"
        words = ["--description", "ContainAI's own engine", "--docker"]
        socket = f"host=unix://{host.layout.engine_socket}"
        argv = ["docker", "context", verb, DOCKER_CONTEXT, *words, socket]
        return [Run(argv, root=False, user=finding.data.user)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove it, and Docker's directories where nothing else is in them."""
        home, user = self._home(host), host.invoker()
        if context_host(home) is None:
            return []
        empty = [os.path.join(home, ".docker", part) for part in ("contexts/meta", "contexts", "")]
        tidy = ["rmdir", "--ignore-fail-on-non-empty", *empty]
        remove = ["rm", "-r", os.path.dirname(context_file(home))]
        # Without Docker's client, which may be gone by now. One that is in use falls back to
        # `default` with a warning.
        return [Run(argv, root=False, user=user) for argv in (remove, tidy)]


def context_host(home: str) -> str | None:
    """Return the socket that a user's context leads to, or None where there is no such context."""
    try:
        context = files.from_json(files.read_if_whole(context_file(home)) or "null")
        return str(context["Endpoints"]["docker"]["Host"])
    except (ValueError, TypeError, LookupError):
        return None


def context_file(home: str) -> str:
    """Return the file in which Docker's client has a user's context."""
    # docker/cli, cli/context/store: a context's directory is the digest of its name.
    name = hashlib.sha256(DOCKER_CONTEXT.encode()).hexdigest()
    return os.path.join(home, ".docker/contexts/meta", name, "meta.json")


class Keys(Described):
    """The user's key, its Include and directories, private to the user."""

    area = Area.SSH
    title = "ssh"
    holds = (
        "key, `Include` and directories are there, and closed to others; ssh is OpenSSH 8 or newer"
    )
    otherwise = "they are made and closed; code 12 for an older ssh"
    looks = "each file and directory, its owner and its mode"
    means = "`ssh` and editors do not find boxes, or are refused by them"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Look at each of them. Raises SshSetupError for an ssh that is too old."""
        if host.which("ssh") is not None:
            client.check_version(host)
        layout = host.layout
        open_paths = _open_paths(layout)
        wrong = [*_missing(layout), *(f"{path} is open to others" for path in open_paths)]
        if os.path.exists(layout.ssh_key):
            wrong += _wrong_key(host)
        lacking = ""
        if not include.is_put(layout):
            if why := include.why_not(layout):
                lacking = include.lacking(layout, why)
            else:
                wrong.append(
                    f"{layout.ssh_config} does not begin with our Include, or has it twice"
                )
        if not wrong:
            # There is no plan for it, and boxes are as good without.
            return Finding(not lacking, lacking or layout.ssh_key, optional=True)
        return Finding(False, "; ".join(wrong), data=open_paths)

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Put in place what is missing; close what is open to others."""
        layout = host.layout
        if finding.data is None:
            return []
        closed = [
            Run(["chmod", "go-w" if path == layout.ssh_config else "go-rwx", path], root=False)
            for path in finding.data
        ]
        directories = [layout.config_dir, os.path.dirname(layout.ssh_config), layout.ssh_blocks]
        details = (
            f"$ mkdir -m 0700 what is missing of {shlex.join(directories)}",
            f"$ ssh-keygen -q -t ed25519 -N '' -C containai, for {layout.ssh_key} and its .pub "
            "where they are missing",
            f"the first line of {layout.ssh_config}: {include.line(layout.ssh_blocks)}",
        )
        make = Do(
            f"make {layout.ssh_key}, {layout.ssh_blocks} and the Include in {layout.ssh_config}",
            lambda _: _make(host),
            details,
        )
        return [*closed, make]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove the Include and the host blocks; key and settings go with a purge."""
        layout = host.layout
        actions: list[Action] = []
        may_go = include.is_ours(layout) and not include.why_not(layout)
        if os.path.exists(layout.ssh_blocks) or may_go:
            details = (
                "end the control connections of boxes",
                f"remove the line: {include.line(layout.ssh_blocks)}",
                "remove the file if nothing else is in it",
            )
            title = f"take the Include out of {layout.ssh_config}"
            actions.append(Do(title, lambda _: hosts.withdraw(host), details))
        ours = [layout.ssh_blocks, layout.control_dir]
        if scope.purge:
            ours += [layout.config_dir, layout.state_dir]
        # What somebody else has made in /tmp stays.
        there = [path for path in ours if os.path.exists(path) and _is_own(path, layout.uid)]
        if there:
            actions.append(Run(["rm", "-rf", *there], root=False))
        if scope.purge:
            parents = [layout.config_dir, layout.state_dir, layout.ssh_blocks]
            empty = sorted({os.path.dirname(path) for path in parents})
            empty = [path for path in [*empty, f"{layout.home}/.local"] if os.path.isdir(path)]
            tidy = ["rmdir", "--ignore-fail-on-non-empty", *empty]
            actions += [Run(tidy, root=False)] if there and empty else []
        return actions


def _make(host: Machine) -> None:
    """Have all of it; where the key is another then, boxes that run are told."""
    before = files.read(host.layout.ssh_key + ".pub")
    key = keys.usable(host)
    engine = Engine(host)
    own = entries.boxes(engine) if before is None or before.strip() != key else None
    for box in own or ():
        if box.status is Status.RUNNING:
            connecting.let_in(engine, box.container)


def _wrong_key(host: Machine) -> Iterator[str]:
    """Yield what is wrong with a key that is there, as ssh would see it."""
    layout = host.layout
    done = host.run(["ssh-keygen", "-y", "-P", "", "-f", layout.ssh_key], ok=None)
    if done.code != 0:
        yield f"{layout.ssh_key} is no key that ssh can use"
    elif done.out.split()[:2] != (files.read(layout.ssh_key + ".pub") or "").split()[:2]:
        yield f"{layout.ssh_key}.pub is not its public half"


def _is_own(path: str, uid: int) -> bool:
    return os.lstat(path).st_uid == uid


def _missing(layout: Layout) -> Iterator[str]:
    for path in (layout.ssh_key, layout.ssh_key + ".pub", layout.ssh_blocks):
        if not os.path.exists(path):
            yield f"{path} is missing"


def _open_paths(layout: Layout) -> list[str]:
    open_paths = []
    for path in (layout.config_dir, layout.ssh_key, layout.ssh_blocks, layout.control_dir):
        try:
            seen = os.lstat(path)
        except FileNotFoundError:
            continue
        if seen.st_uid != layout.uid or stat.S_ISLNK(seen.st_mode):
            raise files.not_yours(path)
        if seen.st_mode & 0o077:
            open_paths.append(path)
    if _is_refused(layout):
        open_paths.append(layout.ssh_config)
    return open_paths


def _is_refused(layout: Layout) -> bool:
    """Whether ssh refuses the user's configuration, as others can write it (ssh_config(5))."""
    try:
        seen = os.stat(layout.ssh_config)
    except OSError:
        return False
    return seen.st_uid == layout.uid and stat.S_ISREG(seen.st_mode) and bool(seen.st_mode & 0o022)


class Entries(Described):
    """Host blocks and pinned keys, each of a box of this user's that is there."""

    area = Area.SSH
    title = "ssh entries"
    holds = (
        "every host block and pinned key is of a box of yours; not told while the engine is silent"
    )
    otherwise = "`--fix` removes them"
    looks = "our files below `~/.ssh`, compared with the boxes that the engine knows"
    means = "names of boxes that are gone still complete, and lead nowhere"
    interrupts = "removes host blocks and pinned keys of boxes that are gone"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Compare with the engine; one that does not answer proves nothing."""
        names = hosts.published(host.layout)
        if not names:
            return Finding(True, "none")
        own = entries.boxes(Engine(host))
        if own is None:
            return unknown("the engine does not answer")
        stale = entries.stale(host.layout, own)
        if stale:
            return Finding(False, "of boxes that are gone: " + ", ".join(stale), data=stale)
        return Finding(True, f"{len(names)}, each of a box")

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Forget them. Nothing where the engine does not answer."""
        layout = host.layout
        if finding.data is None:
            return []
        stale = finding.data

        title = f"forget host block and pinned key of {', '.join(stale)}"
        blocks = tuple(f"$ rm {layout.ssh_block(name)}" for name in stale)
        lines = f"remove the lines of {', '.join(map(hosts.host_alias, stale))} in "
        return [
            Do(
                title,
                lambda _: entries.forget(Engine(host), stale),
                (*blocks, lines + layout.known_hosts),
            )
        ]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """They go with the rest of ssh."""
        return []
