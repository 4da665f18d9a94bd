"""What belongs to a user: the Docker context, and what ssh has of boxes."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator

from containai.boxes import box
from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import files, locks, machine, proc
from containai.layout import DOCKER_CONTEXT, Layout
from containai.provision.step import Action, Do, Finding, Progress, Run, Scope
from containai.ssh import setup as ssh

#: How long somebody may be busy with a box of a stale entry's name, in seconds.
LOCK_TIMEOUT = 600.0


class Context:
    """The Docker context, for whoever runs this, also through sudo."""

    title = "Docker context"

    def check(self, layout: Layout) -> Finding:
        """Read it where Docker's client keeps it."""
        seen = context_host(self._home(layout))
        if seen == f"unix://{layout.engine_socket}":
            return Finding(True, DOCKER_CONTEXT)
        return Finding(False, f"{DOCKER_CONTEXT} leads to {seen}" if seen else "not there")

    @staticmethod
    def _home(layout: Layout) -> str:
        user = machine.invoker()
        return user.home if user is not None else layout.home

    def plan(self, layout: Layout) -> list[Action]:
        """Make it, or lead it to the engine."""
        found = self.check(layout)
        if found.ok:
            return []
        verb = "create" if found.seen == "not there" else "update"
        words = ["--description", "ContainAI's own engine", "--docker"]
        host = f"host=unix://{layout.engine_socket}"
        argv = ["docker", "context", verb, DOCKER_CONTEXT, *words, host]
        return [Run(argv, root=False, user=machine.invoker())]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove it, and Docker's directories where nothing else is in them."""
        home, user = self._home(layout), machine.invoker()
        if context_host(home) is None:
            return []
        empty = [os.path.join(home, ".docker", each) for each in ("contexts/meta", "contexts", "")]
        tidy = ["rmdir", "--ignore-fail-on-non-empty", *empty]
        remove = ["rm", "-r", os.path.dirname(_context_file(home))]
        # Without Docker's client, which may be gone by now. One that is in use falls back to
        # `default` with a warning.
        return [Run(argv, root=False, user=user) for argv in (remove, tidy)]


def context_host(home: str) -> str | None:
    """Return the socket that a user's context leads to, or None where there is no such context."""
    try:
        found = json.loads(files.read(_context_file(home)) or "null")
        return str(found["Endpoints"]["docker"]["Host"])
    except (ValueError, TypeError, KeyError):
        return None


def _context_file(home: str) -> str:
    # docker/cli, cli/context/store: a context's directory is the digest of its name.
    name = hashlib.sha256(DOCKER_CONTEXT.encode()).hexdigest()
    return os.path.join(home, ".docker/contexts/meta", name, "meta.json")


class Keys:
    """The user's key, its Include and directories, private to the user."""

    title = "ssh"

    def check(self, layout: Layout) -> Finding:
        """Look at each of them."""
        wrong = [*_missing(layout), *_open_to_others(layout)]
        return Finding(not wrong, "; ".join(wrong) if wrong else layout.ssh_key)

    def plan(self, layout: Layout) -> list[Action]:
        """Put in place what is missing; close what is open to others."""
        if self.check(layout).ok:
            return []
        closed = [Run(["chmod", "go-rwx", path], root=False) for path in _open_paths(layout)]
        make = Do(
            f"make {layout.ssh_key}, {layout.ssh_blocks} and the Include in {layout.ssh_config}",
            lambda _: ssh.ensure_user(layout),
        )
        return [*closed, make]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove the Include and the host blocks; key and settings go with a purge."""

        def withdraw(progress: Progress) -> None:
            ssh.withdraw(layout)

        found: list[Action] = []
        if os.path.exists(layout.ssh_blocks) or ssh.has_include(layout):
            found.append(Do(f"take the Include out of {layout.ssh_config}", withdraw))
        ours = [layout.ssh_blocks, layout.control_dir]
        if scope.purge:
            ours += [layout.config_dir, layout.state_dir]
        # What somebody else has made in /tmp stays.
        there = [path for path in ours if os.path.exists(path) and _is_own(path, layout.uid)]
        if there:
            found.append(Run(["rm", "-rf", *there], root=False))
        if scope.purge:
            parents = [layout.config_dir, layout.state_dir, layout.ssh_blocks]
            empty = sorted({os.path.dirname(path) for path in parents})
            empty = [path for path in [*empty, f"{layout.home}/.local"] if os.path.isdir(path)]
            tidy = ["rmdir", "--ignore-fail-on-non-empty", *empty]
            found += [Run(tidy, root=False)] if there and empty else []
        return found


def _is_own(path: str, uid: int) -> bool:
    return os.lstat(path).st_uid == uid


def _missing(layout: Layout) -> Iterator[str]:
    for path in (layout.ssh_key, layout.ssh_key + ".pub", layout.ssh_blocks):
        if not os.path.exists(path):
            yield f"{path} is missing"
    if not ssh.has_include(layout):
        yield f"{layout.ssh_config} does not begin with our Include"


def _open_paths(layout: Layout) -> list[str]:
    found = []
    for path in (layout.config_dir, layout.ssh_key, layout.ssh_blocks, layout.control_dir):
        try:
            seen = os.lstat(path)
        except FileNotFoundError:
            continue
        if seen.st_uid != layout.uid or stat.S_ISLNK(seen.st_mode):
            raise files.not_yours(path)
        if seen.st_mode & 0o077:
            found.append(path)
    return found


def _open_to_others(layout: Layout) -> list[str]:
    return [f"{path} is open to others" for path in _open_paths(layout)]


class Entries:
    """Host blocks and pinned keys, each of a box of this user's that is there."""

    title = "ssh entries"

    def check(self, layout: Layout) -> Finding:
        """Compare with the engine; one that does not answer proves nothing."""
        names = ssh.published(layout)
        if not names:
            return Finding(True, "none")
        if proc.which("docker") is None or not daemon.answering(layout):
            return Finding(False, "not checked: the engine does not answer")
        stale = names - self._boxes(layout)
        if stale:
            return Finding(False, "of boxes that are gone: " + ", ".join(sorted(stale)))
        return Finding(True, f"{len(names)}, each of a box")

    @staticmethod
    def _boxes(layout: Layout) -> set[str]:
        return {each.name for each in box.own(Engine(layout))}

    def plan(self, layout: Layout) -> list[Action]:
        """Forget them. Nothing where the engine does not answer."""
        if self.check(layout).ok or not daemon.answering(layout):
            return []
        stale = sorted(ssh.published(layout) - self._boxes(layout))

        def forget(progress: Progress) -> None:
            for name in stale:
                # Somebody may be making a box of that name by now.
                what = f"the box {name}"
                with locks.hold(layout.lock_dir, locks.of_box(name), wait=LOCK_TIMEOUT, what=what):
                    if name not in self._boxes(layout):
                        ssh.forget(layout, name)

        return [Do(f"forget host block and pinned key of {', '.join(stale)}", forget)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """They go with the rest of ssh."""
        return []
