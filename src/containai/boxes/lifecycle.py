"""What happens to a box: made, started, stopped, removed. Every step undoes itself on failure."""

import contextlib
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack

from containai.boxes import (
    around,
    design,
    given,
    halt,
    ids,
    limits,
    lookup,
    ports,
    preloaded,
    region,
    starting,
)
from containai.boxes.box import Box, Status
from containai.boxes.design import Order, Request, Scene
from containai.boxes.limits import Limits
from containai.boxes.spec import BoxSpec, create_arguments
from containai.boxes.workspace import Workspace, box_name
from containai.config.values import PortRange
from containai.engine import configuration, forward, nested, runtimes, shims
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, BoxStartError, ContainAIError, EngineError
from containai.host import files, locks, proc
from containai.host.background import Background
from containai.ssh import connect, hosts, session

#: How long another cai may be busy making or starting the same box, in seconds.
BOX_LOCK_TIMEOUT = 600.0
#: How often a box is tried to be made, where somebody takes its port first or a cai that was killed
#: left a request to the engine that is done only now.
ATTEMPTS = 5
#: How long to wait after the first of them, in seconds.
PAUSE = 0.1
#: What an archive with a key in it may have, in bytes; a box could make its key endless.
_KEY_LIMIT = 1 << 16


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
        *,
        fresh: bool = False,
    ) -> str:
        """Return the name of the workspace's box, running and reachable; make or start it first.

        A box that is there gets the limits that were `asked` for; a new one the settings' too.
        `fresh` makes one that is there anew, with its limits.
        `admit` is called before one is made, and raises for a workspace that must not have any.
        Raises a ContainAIError; a box that was made for this is then gone again.
        """
        first = own = name or box_name(workspace.path, self.layout.uid)
        while True:
            with self._lock(own):
                box = lookup.find(self.engine, workspace.path, first, named=name is not None)
                if box is None or design.is_left_over(box) or box.name == design.kept(first):
                    box = self._recovered(first, box)
                if own == (box.name if box else first):
                    order = Order(own, workspace, image, asked)
                    if fresh and box is not None and not design.is_left_over(box):
                        admit()
                        self._replace(box, design.succeeding(order, box), say)
                    else:
                        self._bring_up(box, order, say, admit)
                    return own
            # The workspace's box has another name, and that name's lock.
            own = box.name if box else first

    def _bring_up(
        self, box: Box | None, order: Order, say: Callable[[str], None], admit: Callable[[], None]
    ) -> None:
        tried: set[int] = set()
        for attempt in range(1, ATTEMPTS + 1):
            if box is not None and design.is_left_over(box):
                say(f"removing what an interrupted start left of {box.name}")
                self._discard(box.container)
                box = None
            if box is not None:
                self._limit(box, order.limits)
                self._start(box, order.workspace, say)
                return
            admit()
            say(f"making the box {order.name}")
            try:
                self._make(self.completed(order), tried, say)
            except EngineError as failed:
                # Somebody else may have taken the name, without our lock. The engine gives a name
                # away before it shows the container.
                _wait_out(failed, attempt)
            else:
                return
            box = lookup.find(self.engine, order.workspace.path, order.name, named=True)
        raise AssertionError("unreachable")

    def _recovered(self, name: str, box: Box | None) -> Box | None:
        """Return the box of a name; one whose replacement was interrupted gets its name again."""
        old = lookup.get(self.engine, design.kept(name))
        if old is None or not old.belongs_to(self.layout.uid):
            return box
        if box is not None and box.container != old.container:
            self._discard(box.container)
        self.engine.docker("rename", old.container, name)
        return old._replace(name=name)

    def _replace(self, box: Box, order: Order, say: Callable[[str], None]) -> None:
        """Make a box anew. The one that is there goes once the new one can be entered.

        Until then it runs on under another name, and has its own again where that fails.
        """
        order, key = self.completed(order), self._host_key(box.name, box.container)
        earlier = self.engine.container(design.kept(box.name))
        if earlier is not None:
            self._discard(earlier.id)
        say(f"making the box {box.name} anew")
        self.engine.docker("rename", box.container, design.kept(box.name))
        with ExitStack() as undo:
            undo.callback(self._give_back, box, order.workspace, key)
            # The connection that sessions share leads to the old one.
            hosts.close(self.host, box.name)
            tried: set[int] = set()
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._make(order, tried, say)
                    break
                except EngineError as failed:
                    _wait_out(failed, attempt)
            undo.pop_all()
        halt.stop(self.engine, box.container, ok=None)
        self._discard(box.container)

    def _give_back(self, box: Box, workspace: Workspace, key: str) -> None:
        """Have a box as it was, whose successor could not be made."""
        self.engine.docker("rename", box.container, box.name)
        # What it was told it knows: that is said again when it is entered.
        block = self.block(box.name, box.ssh_port, workspace, told="")
        hosts.publish(self.layout, box.name, block, key)

    def completed(self, order: Order) -> Order:
        """Return an order for a new box: with the settings' limits where it says none.

        Raises UsageError for limits that this machine cannot give.
        """
        wanted = order.limits.over(self.limits)
        limits.check(wanted, self.host.processors())
        return order._replace(limits=wanted)

    def designed(
        self, order: Order, tried: Collection[int] = (), left: Box | None = None
    ) -> BoxSpec:
        """Return what a new box is made of.

        `tried` are ports that proved to be taken; `left` is a box that would be removed before.
        """
        scene = Scene(
            processors=self.host.processors(),
            boxes=[box for box in lookup.every(self.engine) if box != left],
            owner=self.layout.uid,
            runtime=runtimes.chosen(self.layout),
            ipv6=self.host.has_ipv6(),
        )
        return design.new(order, scene, self.port_range, taken=tried, is_free=ports.is_free)

    def limiting(self, box: Box, asked: Limits) -> list[Request]:
        """Return the requests that give a box the limits that were asked for, where it has others.

        Raises UsageError for limits that it cannot have.
        """
        new, online = limits.changes(box.limits, asked), self.host.processors()
        limits.check(new, online)
        others = lookup.every(self.engine) if new.cpus else []
        return design.limiting(box, new, online, others)

    def block(self, name: str, port: int, workspace: Workspace, told: str) -> str:
        """Return the host block of a box."""
        return hosts.host_block(
            self.layout,
            name,
            port=port,
            workspace=workspace.path,
            inode=workspace.inode,
            forward_agent=self.forward_agent,
            told=around.mark(told),
        )

    def told(self, name: str) -> str:
        """Return what a box of that name is to be told of the network.

        Raises ContainAIError for a certificate or a proxy of this machine that is none.
        """
        addresses = configuration.network(self.layout)
        if addresses is None:
            return ""
        forwarded = forward.forwarded(self.layout)
        return around.text(self.host.surroundings, addresses, name, forwarded)

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
                # What a replacement that was killed at its very end left.
                earlier = lookup.get(self.engine, design.kept(box.name))
                if earlier is not None and earlier.owner == box.owner:
                    self._discard(earlier.container)
            elif box.belongs_to(self.layout.uid) and not self.engine.container(box.name):
                hosts.forget(self.host, box.name)

    def _lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        lock = locks.of_box(name)
        return locks.hold(self.host, lock, wait=BOX_LOCK_TIMEOUT, what=f"the box {name}")

    def _shut_down(self, box: Box) -> None:
        if box.belongs_to(self.layout.uid):
            hosts.close(self.host, box.name)
        halt.stop(self.engine, box.container)

    def _discard(self, container: str) -> None:
        """Remove a box by its container's id, as its name may be another's by now."""
        given.forget(self.layout, container)
        left = self.engine.container(container)
        if left is not None:
            box = Box.from_container(left)
            if box.belongs_to(self.layout.uid):
                hosts.forget(self.host, box.name)
            for request in design.removing(left):
                self.engine.docker(*request, ok=(0, 1))
        # A shim that is left, and the id range, are root's to end: whoever may not leaves it to
        # the next start of the engine, or of any box.
        with contextlib.suppress(ContainAIError):
            shims.end_forgotten(self.engine)
            argv = [self.layout.runtime_program, "ranges", "--prune"]
            self.host.run(argv, root=True, ok=None)

    def _make(self, order: Order, tried: set[int], say: Callable[[str], None]) -> None:
        """Make and start a box. `tried` are ports that proved to be taken; gets the one used."""
        name, workspace = order.name, order.workspace
        told = self.told(name)
        agent = ids.agent_files(runtimes.chosen(self.layout), workspace.path)
        agent |= region.seen(self.host)
        public = hosts.ensure_user(self.host)
        # It is not needed before there is a container, which takes longer to make.
        making = Background(lambda: hosts.new_key(self.host))
        choosing = Background(lambda: nested.settings(self.host))
        for request in design.tidying(lookup.forgotten_volumes(self.engine, name)):
            self.engine.docker(*request, ok=(0, 1))
        with ExitStack() as undo:
            with self._choosing("a port"):
                made = self.designed(order, tried)
                container = self.engine.docker(*create_arguments(made)).out.strip()
            undo.callback(self._discard, container)
            tried.add(made.ssh_port)
            key = making.result()
            pools = choosing.result()
            files = design.files(agent, key=key, authorized=public, pools=pools, told=told)
            given.give(self.engine, container, made.runtime, files)
            preloaded.fill(self.engine, container, made.image, made.runtime, say)
            block = self.block(name, made.ssh_port, workspace, told)
            hosts.publish(self.layout, name, block, key.public)
            starting.start(self.engine, container)
            self._connect(name, container)
            undo.pop_all()

    def _choosing(self, what: str) -> contextlib.AbstractContextManager[None]:
        return locks.hold(self.host, locks.CHOICE, wait=60, what=f"choosing {what}")

    def _limit(self, box: Box, asked: Limits) -> None:
        """Give a box that is there, running or not, the limits that were asked for."""
        # Two that are limited at once are not to get the same processors.
        with self._choosing("processors") if asked.cpus else contextlib.nullcontext():
            for request in self.limiting(box, asked):
                self.engine.docker(*request)
        memory = limits.changes(box.limits, asked).memory
        if memory and box.status is Status.RUNNING:
            # Refused where more is in it, and a box may have no mount(8): its next start does it.
            with contextlib.suppress(EngineError):
                self.engine.docker("exec", box.container, *limits.shared_memory(memory), timeout=20)

    def _connect(self, name: str, container: str) -> None:
        watch = starting.watch(self.engine, name, container)
        connect.open_master(self.host, name, watch)

    def _start(self, box: Box, workspace: Workspace, say: Callable[[str], None]) -> None:
        name, container = box.name, box.container
        same = session.block_matches(self.layout, name, workspace.path, workspace.inode)
        steps = design.waking(box, same=same)
        if "unpause" in steps:
            self.engine.docker("unpause", container)
        if "stop" in steps:
            if box.status is not Status.RESTARTING:
                say(f"{workspace.path} is another directory than it was: restarting {name}")
            halt.stop(self.engine, container)
        hosts.ensure_user(self.host)
        told = self.told(name)
        if around.mark(told) != session.last_told(self.layout, name):
            self._tell(box, told, say, runs="start" not in steps)
        block = self.block(name, box.ssh_port, workspace, told)
        hosts.publish(self.layout, name, block, self._host_key(name, container))
        if "start" not in steps:
            self._connect(name, container)
            return
        say(f"starting the box {name}")
        starting.with_its_port(self.engine, name, container, box.ssh_port, say)
        try:
            self._connect(name, container)
        except BoxStartError:
            # Else the engine would start it again and again.
            halt.stop(self.engine, container, ok=None)
            raise

    def _tell(self, box: Box, told: str, say: Callable[[str], None], *, runs: bool) -> None:
        """Have a box know what it is told of the network, at once or when it boots.

        What it says is nobody's business: it may be anything.
        """
        if not runs:
            files_ = {around.FILE_IN_BOX: (told, 0o600)}
            given.forget(self.layout, box.container)
            given.give(self.engine, box.container, runtimes.chosen(self.layout), files_)
            return
        words = ("exec", "--interactive", box.container, *around.PLACE)
        code = 1
        with contextlib.suppress(proc.ProcessError):
            code = self.host.run_limited(
                self.engine.argv(*words),
                stdin=told.encode(),
                limit=around.SAID_LIMIT,
                timeout=around.TIMEOUT,
                root=self.engine.needs_root,
            ).code
        if code:
            say(f"{box.name} did not take this machine's certificates and proxies")
        hosts.retire(self.host, box.name)

    def _host_key(self, name: str, container: str) -> str:
        """Return the box's pinned host key; where it is lost, the box's own, through the engine."""
        pinned = hosts.pinned_key(files.read(self.layout.known_hosts) or "", name)
        if pinned is not None:
            return pinned
        argv = self.engine.argv("cp", f"{container}:/{design.HOST_KEY_IN_BOX}.pub", "-")
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


def _wait_out(failed: EngineError, attempt: int) -> None:
    """Wait after an attempt that failed; raise what does not pass, or has not by the last."""
    if not starting.may_pass(failed) or attempt == ATTEMPTS:
        raise failed
    time.sleep(PAUSE * attempt)
