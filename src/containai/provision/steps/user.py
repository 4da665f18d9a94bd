"""What belongs to a user: the Docker context, and what ssh has of boxes."""

import hashlib
import json
import os
import shlex
import stat
from collections.abc import Iterator
from typing import NamedTuple

from containai.boxes import lookup
from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import files, locks
from containai.host.machine import Machine
from containai.layout import DOCKER_CONTEXT, Layout
from containai.provision.step import Scope
from containai.ssh import hosts
from containai.work.actions import Action, Do, Finding, Run
from containai.work.ui import Progress
from containai.work.user import User

#: How long somebody may be busy with a box of a stale entry's name, in seconds.
LOCK_TIMEOUT = 600.0


class Other(NamedTuple):
    """Who is to have the context, through sudo, and whether there is one that leads elsewhere."""

    user: User | None
    is_there: bool


class Context:
    """The Docker context, for whoever runs this, also through sudo."""

    title = "Docker context"
    holds = "`docker-containai` leads to the engine; through sudo, that of who called it"
    otherwise = "it is made"

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
        remove = ["rm", "-r", os.path.dirname(_context_file(home))]
        # Without Docker's client, which may be gone by now. One that is in use falls back to
        # `default` with a warning.
        return [Run(argv, root=False, user=user) for argv in (remove, tidy)]


def context_host(home: str) -> str | None:
    """Return the socket that a user's context leads to, or None where there is no such context."""
    try:
        context = json.loads(files.read(_context_file(home)) or "null")
        return str(context["Endpoints"]["docker"]["Host"])
    except (ValueError, TypeError, KeyError):
        return None


def _context_file(home: str) -> str:
    # docker/cli, cli/context/store: a context's directory is the digest of its name.
    name = hashlib.sha256(DOCKER_CONTEXT.encode()).hexdigest()
    return os.path.join(home, ".docker/contexts/meta", name, "meta.json")


class Keys:
    """The user's key, its Include and directories, private to the user."""

    title = "ssh"
    holds = "key, `Include` and directories are there, and closed to others"
    otherwise = "they are made and closed"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Look at each of them."""
        layout = host.layout
        open_paths = _open_paths(layout)
        wrong = [*_missing(layout), *(f"{path} is open to others" for path in open_paths)]
        if not wrong:
            return Finding(True, layout.ssh_key)
        return Finding(False, "; ".join(wrong), data=open_paths)

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Put in place what is missing; close what is open to others."""
        layout = host.layout
        if finding.data is None:
            return []
        closed = [Run(["chmod", "go-rwx", path], root=False) for path in finding.data]
        directories = [layout.config_dir, os.path.dirname(layout.ssh_config), layout.ssh_blocks]
        details = (
            f"$ mkdir -m 0700 what is missing of {shlex.join(directories)}",
            f"$ ssh-keygen -q -t ed25519 -N '' -C containai, for {layout.ssh_key} and its .pub "
            "where they are missing",
            f'the first line of {layout.ssh_config}: Include "{layout.ssh_blocks}/*.conf"',
        )
        make = Do(
            f"make {layout.ssh_key}, {layout.ssh_blocks} and the Include in {layout.ssh_config}",
            lambda _: hosts.ensure_user(host),
            details,
        )
        return [*closed, make]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove the Include and the host blocks; key and settings go with a purge."""
        layout = host.layout
        actions: list[Action] = []
        if os.path.exists(layout.ssh_blocks) or hosts.has_include(layout):
            details = (
                "end the control connections of boxes",
                f'remove the line: Include "{layout.ssh_blocks}/*.conf"',
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


def _is_own(path: str, uid: int) -> bool:
    return os.lstat(path).st_uid == uid


def _missing(layout: Layout) -> Iterator[str]:
    for path in (layout.ssh_key, layout.ssh_key + ".pub", layout.ssh_blocks):
        if not os.path.exists(path):
            yield f"{path} is missing"
    if not hosts.has_include(layout):
        yield f"{layout.ssh_config} does not begin with our Include"


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
    return open_paths


class Entries:
    """Host blocks and pinned keys, each of a box of this user's that is there."""

    title = "ssh entries"
    holds = (
        "every host block and pinned key is of a box of yours; not told while the engine is silent"
    )
    otherwise = "`--fix` removes them"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Compare with the engine; one that does not answer proves nothing."""
        names = hosts.published(host.layout)
        if not names:
            return Finding(True, "none")
        if host.which("docker") is None or not daemon.answering(host):
            return Finding(False, "not checked: the engine does not answer")
        stale = sorted(names - self._boxes(host))
        if stale:
            return Finding(False, "of boxes that are gone: " + ", ".join(stale), data=stale)
        return Finding(True, f"{len(names)}, each of a box")

    @staticmethod
    def _boxes(host: Machine) -> set[str]:
        return {own.name for own in lookup.own(Engine(host))}

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Forget them. Nothing where the engine does not answer."""
        layout = host.layout
        if finding.data is None:
            return []
        stale = finding.data

        def forget(progress: Progress) -> None:
            for name in stale:
                # Somebody may be making a box of that name by now.
                what = f"the box {name}"
                with locks.hold(host, locks.of_box(name), wait=LOCK_TIMEOUT, what=what):
                    if name not in self._boxes(host):
                        hosts.forget(host, name)

        title = f"forget host block and pinned key of {', '.join(stale)}"
        blocks = tuple(f"$ rm {layout.ssh_block(name)}" for name in stale)
        lines = f"remove the lines of {', '.join(map(hosts.host_alias, stale))} in "
        return [Do(title, forget, (*blocks, lines + layout.known_hosts))]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """They go with the rest of ssh."""
        return []
