"""What happens to a box: made, started, stopped, removed. Every step undoes itself on failure."""

import contextlib
import time
from collections.abc import Callable
from contextlib import ExitStack

from containai.boxes import box as boxes
from containai.boxes import console, given, halt, ids, limits, ports, spec, starting
from containai.boxes.box import Box, Status
from containai.boxes.limits import Limits
from containai.boxes.workspace import Workspace, box_name
from containai.config.values import PortRange
from containai.engine import network, runtimes, shims
from containai.engine.client import Engine
from containai.engine.container import Container
from containai.errors import BoxNotFoundError, BoxStartError, ContainAIError, EngineError
from containai.host import files, locks
from containai.host.background import Background
from containai.host.machine import Machine
from containai.layout import AGENT_USER
from containai.ssh import connect, session
from containai.ssh import setup as ssh

#: How long another cai may be busy making or starting the same box, in seconds.
BOX_LOCK_TIMEOUT = 600.0
#: How often a box is tried to be made, where somebody takes its port first or a cai that was killed
#: left a request to the engine that is done only now.
ATTEMPTS = 5
#: How long to wait after the first of them, in seconds.
PAUSE = 0.1
HOST_KEY_IN_BOX = "etc/ssh/ssh_host_ed25519_key"
#: What an archive with a key in it may have, in bytes; a box could make its key endless.
_KEY_LIMIT = 1 << 16
#: Merged into the daemon.json of the image by its containai-init.service, at first boot.
DOCKER_POOLS_IN_BOX = "etc/containai/docker-pools.json"
AUTHORIZED_KEYS_IN_BOX = f"etc/containai/authorized_keys/{AGENT_USER}"


class Boxes:
    """The life of boxes on one engine, for one user."""

    def __init__(
        self,
        engine: Engine,
        *,
        port_range: PortRange,
        forward_agent: bool = False,
        limits: Limits = Limits(),  # noqa: B008 - a tuple
    ) -> None:
        self.engine = engine
        self.host = engine.host
        self.layout = engine.layout
        self.port_range = port_range
        self.forward_agent = forward_agent
        self.limits = limits

    def bring_up(
        self,
        workspace: Workspace,
        image: str,
        say: Callable[[str], None],
        name: str | None = None,
        asked: Limits = Limits(),  # noqa: B008 - a tuple
        admit: Callable[[], None] = lambda: None,
    ) -> str:
        """Return the name of the workspace's box, running and reachable; make or start it first.

        A box that is there gets the limits that were `asked` for; a new one the settings' too.
        `admit` is called before one is made, and raises for a workspace that must not have any.
        Raises a ContainAIError; a box that was made for this is then gone again.
        """
        first = own = name or box_name(workspace.path, self.layout.uid)
        while True:
            with self._lock(own):
                box = boxes.find(self.engine, workspace.path, first, named=name is not None)
                if own == (box.name if box else first):
                    self._bring_up(own, box, workspace, image, say, asked, admit)
                    return own
            # The workspace's box has another name, and that name's lock.
            own = box.name if box else first

    def _bring_up(
        self,
        own: str,
        box: Box | None,
        workspace: Workspace,
        image: str,
        say: Callable[[str], None],
        asked: Limits,
        admit: Callable[[], None],
    ) -> None:
        tried: set[int] = set()
        for attempt in range(1, ATTEMPTS + 1):
            if box is not None and box.status in (Status.UNFINISHED, Status.BROKEN):
                say(f"removing what an interrupted start left of {box.name}")
                self._discard(box.container)
                box = None
            if box is not None:
                self._limit(box, asked)
                self._start(box, workspace, say)
                return
            admit()
            say(f"making the box {own}")
            try:
                self._make(own, workspace, image, asked.over(self.limits), tried)
            except EngineError as failed:
                if not starting.may_pass(failed) or attempt == ATTEMPTS:
                    raise
            else:
                return
            # Somebody else may have taken the name, without our lock. The engine gives a name away
            # before it shows the container.
            time.sleep(PAUSE * attempt)
            box = boxes.find(self.engine, workspace.path, own, named=True)
        raise AssertionError("unreachable")

    def stop(self, box: Box) -> None:
        """Shut a box down through its systemd. Raises BoxNotFoundError where it is gone by now."""
        with self._lock(box.name):
            if self.engine.container(box.container) is None:
                raise BoxNotFoundError(f"the box {box.name!r} is gone", hint="see: cai ls")
            self._shut_down(box)

    def remove(self, box: Box) -> None:
        """Remove a box and all that is its own; the workspace stays."""
        with self._lock(box.name):
            container = self.engine.container(box.container)
            if container is not None:
                if container.running:
                    self._shut_down(box)
                self._discard(box.container)
            elif box.belongs_to(self.layout.uid) and not self.engine.container(box.name):
                ssh.forget(self.host, box.name)

    def _lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        lock = locks.of_box(name)
        return locks.hold(self.host, lock, wait=BOX_LOCK_TIMEOUT, what=f"the box {name}")

    def _shut_down(self, box: Box) -> None:
        if box.belongs_to(self.layout.uid):
            ssh.close(self.host, box.name)
        halt.stop(self.engine, box.container)

    def _discard(self, container: str) -> None:
        """Remove a box by its container's id, as its name may be another's by now."""
        given.forget(self.layout, container)
        left = self.engine.container(container)
        if left is not None:
            box = Box.from_container(left)
            if box.belongs_to(self.layout.uid):
                ssh.forget(self.host, box.name)
            self.engine.docker("rm", "--force", "--volumes", container, ok=(0, 1))
            for volume in boxes.named_volumes(left):
                self.engine.docker("volume", "rm", volume, ok=(0, 1))
        # A shim that is left, and the id range, are root's to end: whoever may not leaves it to
        # the next start of the engine, or of any box.
        with contextlib.suppress(ContainAIError):
            shims.end_forgotten(self.engine)
            argv = [self.layout.runtime_program, "ranges", "--prune"]
            self.host.run(argv, root=True, ok=None)

    def _discard_parts(self, name: str) -> None:
        """Remove what is left of a box of ours whose container somebody removed without it.

        The engine refuses to remove what any container has.
        """
        label = f"label={spec.part_of(self.layout.uid, name)}"
        for volume in self.engine.volumes(label, "dangling=true"):
            self.engine.docker("volume", "rm", volume, ok=(0, 1))

    def _make(
        self, name: str, workspace: Workspace, image: str, wanted: Limits, tried: set[int]
    ) -> None:
        """Make and start a box. `tried` are ports that proved to be taken; gets the one used."""
        limits.check(wanted, self.host.processors())
        runtime = runtimes.chosen(self.layout)
        agent = ids.agent_files(runtime, workspace.path)
        public = ssh.ensure_user(self.host)
        # It is not needed before there is a container, which takes longer to make.
        making = Background(lambda: ssh.new_key(self.host))
        choosing = Background(lambda: network.nested_here(self.host))
        self._discard_parts(name)
        with ExitStack() as undo:
            port, container = self._create(name, workspace, image, runtime, wanted, tried)
            undo.callback(self._discard, container)
            tried.add(port)
            key = making.result()
            files = agent | {
                HOST_KEY_IN_BOX: (key.private, 0o600),
                HOST_KEY_IN_BOX + ".pub": (key.public + "\n", 0o644),
                AUTHORIZED_KEYS_IN_BOX: (public + "\n", 0o644),
                DOCKER_POOLS_IN_BOX: (choosing.result(), 0o644),
            }
            given.give(self.engine, container, runtime, files)
            ssh.publish(self.layout, name, self._block(name, port, workspace), key.public)
            self._boot(name, container)
            undo.pop_all()

    def _create(
        self,
        name: str,
        workspace: Workspace,
        image: str,
        runtime: str,
        wanted: Limits,
        tried: set[int],
    ) -> tuple[int, str]:
        """Create a box's container; return its port and its id."""
        with self._choosing("a port"):
            others = boxes.every(self.engine)
            promised = {box.ssh_port for box in others}
            port = ports.choose(self.port_range, promised | tried)
            made = spec.BoxSpec(
                name=name,
                workspace=workspace.path,
                image=image,
                ssh_port=port,
                owner=self.layout.uid,
                runtime=runtime,
                limits=wanted,
                cpuset=_cpuset(self.host, wanted, others),
                skip_mounts=workspace.skip_mounts,
                ipv6=self.host.has_ipv6(),
            )
            container = self.engine.docker(*spec.create_arguments(made)).out.strip()
        return port, container

    def _choosing(self, what: str) -> contextlib.AbstractContextManager[None]:
        return locks.hold(self.host, locks.CHOICE, wait=60, what=f"choosing {what}")

    def _limit(self, box: Box, asked: Limits) -> None:
        """Give a box that is there, running or not, the limits that were asked for."""
        new = limits.changes(box.limits, asked)
        limits.check(new, self.host.processors())
        if not box.is_bounded:
            # Made by a version that had no limit on processes.
            self.engine.docker("update", *limits.PROCESSES, box.container)
        if any(new):
            with self._choosing("processors"):
                every = boxes.every(self.engine)
                others = [other for other in every if other.container != box.container]
                options = limits.arguments(new, _cpuset(self.host, new, others))
                self.engine.docker("update", *options, box.container)

    def _block(self, name: str, port: int, workspace: Workspace) -> str:
        return ssh.host_block(
            self.layout,
            name,
            port=port,
            workspace=workspace.path,
            inode=workspace.inode,
            forward_agent=self.forward_agent,
        )

    def _boot(self, name: str, container: str) -> None:
        starting.start(self.engine, container)
        self._connect(name, container)

    def _connect(self, name: str, container: str) -> None:
        connect.open_master(self.host, name, self._watch(name, container))

    def _watch(self, name: str, container: str) -> Callable[[], None]:
        """Return what raises BoxStartError once the box died, or is started again and again.

        One restart is forgiven: the box may have been ending when somebody wanted to enter it.
        """
        restarts: set[int] = set()

        def still_alive() -> None:
            state = self.engine.container(container)
            if state is not None:
                restarts.add(state.restart_count)
                if state.running and len(restarts) <= 2:
                    return
            raise self._death(name, container, state)

        return still_alive

    def _death(self, name: str, container: str, state: Container | None) -> BoxStartError:
        if state is None:
            why = "it is gone"
        else:
            why = ", ".join(filter(None, [f"code {state.exit_code}", state.error]))
        last = self.engine.docker("logs", "--tail", "40", container, ok=None)
        said = "\n  ".join(console.legible(last.out + last.err)[-12:]) or "nothing"
        return BoxStartError(
            f"the box {name!r} died while it booted ({why}); it said last:\n  {said}",
            hint="see: cai engine logs",
        )

    def _start(self, box: Box, workspace: Workspace, say: Callable[[str], None]) -> None:
        name, container = box.name, box.container
        same = session.block_matches(self.layout, name, workspace.path, workspace.inode)
        if box.status is Status.PAUSED:
            self.engine.docker("unpause", container)
        if box.status is Status.RESTARTING:
            halt.stop(self.engine, container)
            box = box._replace(status=Status.STOPPED)
        if box.status is not Status.STOPPED and same is False:
            say(f"{workspace.path} is another directory than it was: restarting {name}")
            halt.stop(self.engine, container)
            box = box._replace(status=Status.STOPPED)
        ssh.ensure_user(self.host)
        ssh.publish(
            self.layout,
            name,
            self._block(name, box.ssh_port, workspace),
            self._host_key(name, container),
        )
        if box.status is Status.STOPPED:
            say(f"starting the box {name}")
            starting.with_its_port(self.engine, name, container, box.ssh_port, say)
            try:
                self._connect(name, container)
            except BoxStartError:
                # Else the engine would start it again and again.
                halt.stop(self.engine, container, ok=None)
                raise
        else:
            self._connect(name, container)

    def _host_key(self, name: str, container: str) -> str:
        """Return the box's pinned host key; where it is lost, the box's own, through the engine."""
        pinned = ssh.pinned_key(files.read(self.layout.known_hosts) or "", name)
        if pinned is not None:
            return pinned
        argv = self.engine.argv("cp", f"{container}:/{HOST_KEY_IN_BOX}.pub", "-")
        archive = self.host.run_limited(
            argv, stdin=b"", limit=_KEY_LIMIT, timeout=60, root=self.engine.needs_root
        ).out
        from containai.boxes import archives

        words = archives.first_file(archive.encode()).decode(errors="replace").split()
        if len(words) < 2 or words[0] != "ssh-ed25519":
            raise BoxStartError(
                f"the box {name!r} has no host key", hint="make it anew: cai rm, then cai run"
            )
        return " ".join(words[:2])


def _cpuset(host: Machine, wanted: Limits, others: list[Box]) -> str:
    if not wanted.cpus:
        return ""
    return limits.spread(wanted.cpus, host.processors(), [box.cpuset for box in others])
