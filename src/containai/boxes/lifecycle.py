"""What happens to a box: made, started, stopped, removed. Every step undoes itself on failure."""

import contextlib
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import cache

from containai.boxes import (
    around,
    claiming,
    connecting,
    design,
    given,
    halt,
    keeping,
    limiting,
    limits,
    lookup,
    maker,
    mounting,
    pinned,
    places,
    ports,
    preloaded,
    renaming,
    spares,
    starting,
    telling,
    volumes,
)
from containai.boxes.box import Box, Status
from containai.boxes.design import Order, Scene
from containai.boxes.limits import Limits
from containai.boxes.spec import BoxSpec, create_arguments
from containai.boxes.variables import Variables
from containai.boxes.wishes import Wishes
from containai.boxes.workspace import Workspace, box_name
from containai.config.values import PortRange
from containai.engine import runtimes, shims
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, BoxStartError, ContainAIError, EngineError
from containai.host import files, locks
from containai.host.background import Background
from containai.layout import SPARE
from containai.ssh import client, connect, hosts, session


class Boxes:
    """The life of boxes on one engine, for one user."""

    def __init__(
        self,
        engine: Engine,
        *,
        port_range: PortRange,
        forward_agent: bool | tuple[str, ...] = False,
        limits: Callable[[], Limits] = Limits,
        data_volume: str = "",
        wishes: Wishes = Wishes(),  # noqa: B008 - a tuple
        variables: Callable[[], Variables] = Variables,
        ssh_timeout: float = connect.TIMEOUT,
        only_spares: bool = False,
    ) -> None:
        """`limits` says those of the settings, once a box is made, `variables` what it is given.

        With `only_spares`, no box is brought up but one that was a spare.
        """
        self.engine = engine
        self.host = engine.host
        self.layout = engine.layout
        self.port_range = port_range
        self.forward_agent = forward_agent
        self.limits = limits
        self.data_volume = data_volume
        self.wishes = wishes
        self.variables = cache(variables)
        self.ssh_timeout = ssh_timeout
        self.only_spares = only_spares

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
        reset: bool = False,
    ) -> str:
        """Return the name of the workspace's box, running and reachable; make or start it first.

        A box that is there gets the limits that were `asked` for; a new one the settings' too.
        `fresh` makes one that is there anew, with its limits; `reset` its data volume, too.
        `admit` is called before one is made, and raises for a workspace that must not have any.
        Raises a ContainAIError; a box that was made for this is then gone again.
        """
        first = own = name or box_name(workspace.path, self.layout.uid)
        looking = Background(lambda: client.check(self.host))
        renaming.mend(self.engine)
        while True:
            with self._lock(own):
                box = lookup.find(self.engine, workspace.path, first, named=name is not None)
                looking.result()
                if (box is None or box.name.startswith(SPARE)) and spares.mend(self.engine, own):
                    continue
                whole = design.original(box.name) if box else first
                is_whole = box and box.name == whole and not design.is_left_over(box)
                if own == whole and not is_whole:
                    box = self._recovered(own, box)
                if own == (box.name if box else first):
                    anew = box if fresh and box and not design.is_left_over(box) else None
                    order = Order(own, workspace, image, asked)
                    order, gone = self.renewed(order, anew, reset=reset)
                    if gone:  # of an interrupted one
                        spares.remove_volume(self.engine, order.data)
                    if anew is not None:
                        admit()
                        self._replace(anew, order, say)
                    else:
                        self._bring_up(box, order, say, admit)
                    if gone:
                        spares.remove_volume(self.engine, gone)
                    return own
            # The workspace's box has another name, and that name's lock.
            own = design.original(box.name) if box else first

    def _bring_up(
        self, box: Box | None, order: Order, say: Callable[[str], None], admit: Callable[[], None]
    ) -> None:
        tried: set[int] = set()
        for attempt in range(1, starting.ATTEMPTS + 1):
            if box is not None:
                claiming.refuse_others(self)
            if box is not None and design.is_left_over(box):
                say(f"removing what an interrupted start left of {box.name}")
                self.discard(box.container)
                box = None
            if box is not None:
                limiting.limit(self.engine, box, order.limits, say)
                self._start(box, order.workspace, say)
                return
            admit()
            whole = self.completed(order)
            if claiming.claimed(self, whole, say):
                return
            claiming.refuse_others(self)
            say(f"making the box {order.name}: {whole.limits.described()}")
            try:
                self.make(whole, tried, say)
            except EngineError as failed:
                # Somebody else may have taken the name, without our lock. The engine gives a name
                # away before it shows the container.
                starting.wait_out(failed, attempt)
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
            self.discard(box.container)
            volumes.forget_renewed(self.engine, old, box)
        self.engine.docker("rename", old.container, name)
        return old._replace(name=name)

    def _replace(self, box: Box, order: Order, say: Callable[[str], None]) -> None:
        """Make a box anew. The one that is there goes once the new one can be entered.

        Until then it runs on under another name, and has its own again where that fails.
        """
        order, key = self.completed(order), pinned.host_key(self.engine, box.name, box.container)
        earlier = self.engine.container(design.kept(box.name))
        if earlier is not None:
            self.discard(earlier.id)
        say(f"making the box {box.name} anew: {order.limits.described()}")
        self.engine.docker("rename", box.container, design.kept(box.name))
        with ExitStack() as undo:
            undo.callback(self._give_back, box, order.workspace, key)
            # The connection that sessions share leads to the old one.
            hosts.close(self.host, box.name)
            tried: set[int] = set()
            for attempt in range(1, starting.ATTEMPTS + 1):
                try:
                    self.make(order, tried, say)
                    break
                except EngineError as failed:
                    starting.wait_out(failed, attempt)
            for problem in mounting.carry(self.engine, box.container, box.name):
                say(problem)
            undo.pop_all()
        halt.stop(self.engine, box.container, ok=None)
        self.discard(box.container)

    def _give_back(self, box: Box, workspace: Workspace, key: str | None) -> None:
        """Have a box as it was, whose successor could not be made."""
        self.engine.docker("rename", box.container, box.name)
        # What it was told, and its variables, it knows: that is said again when it is entered.
        block = self.block(box.name, box.ssh_port, workspace, "", box.start)
        hosts.publish(self.layout, box.name, session.without_variables(block), key)

    def renewed(self, order: Order, box: Box | None, *, reset: bool) -> tuple[Order, str]:
        """Return the order for a box, or for one that takes a box's place, and what volume goes.

        Raises as `volumes.renewed` does.
        """
        order = order._replace(data=order.data or self.data_volume)
        order = design.succeeding(order, box) if box is not None else order
        if not reset:
            return order, ""
        return volumes.renewed(self.engine, order, lookup.every(self.engine))

    def completed(self, order: Order) -> Order:
        """Return an order for a new box: with what it has of the host, limits, data volume.

        Where it says none. Raises UsageError for limits that this machine cannot give.
        """
        wanted = order.limits.over(self.limits())
        limits.check(wanted, self.host.capacity())
        data = order.data or self.data_volume or volumes.own(self.engine, order.workspace.path)
        return self.wishes.heeded(self.host, order)._replace(limits=wanted, data=data)

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

    def _another_port(self, tried: Collection[int]) -> int:
        boxes = lookup.every(self.engine)
        promised = dict.fromkeys(tried, "") | ports.owners(boxes, self.layout.uid)
        return ports.choose(self.port_range, promised, ports.is_free)

    def limit(self, box: Box, asked: Limits) -> Box:
        """Give a box that is there the limits that were asked for; return it as it is then.

        Raises UsageError for limits that it cannot have, BoxNotFoundError where it is gone by now.
        """
        with self._lock(box.name):
            now = lookup.get(self.engine, box.container)
            if now is None:
                raise BoxNotFoundError(f"the box {box.name!r} is gone", hint="see: cai ls")
            limiting.limit(self.engine, now, asked)
            return lookup.get(self.engine, box.container) or now

    def block(self, name: str, port: int, workspace: Workspace, told: str, start: str) -> str:
        """Return the host block of a box."""
        return hosts.host_block(
            self.layout,
            name,
            port=port,
            workspace=workspace.path,
            inode=workspace.inode if workspace.path else "",
            forward_agent=self.forward_agent,
            told=around.mark(told),
            start=start,
            variables=self.variables().line,
            version=self.host.ssh_version(),
        )

    def stop(self, box: Box) -> None:
        """Shut a box down through its systemd. Raises BoxNotFoundError where it is gone by now."""
        with self._lock(box.name):
            if self.engine.container(box.container) is None:
                raise BoxNotFoundError(f"the box {box.name!r} is gone", hint="see: cai ls")
            self._shut_down(box)

    def remove(self, box: Box, still: Callable[[Box], bool] | None = None) -> bool:
        """Remove a box and all its own if it is `still` to go. Returns whether it is gone."""
        with self._lock(box.name):
            container = self.engine.container(box.container)
            if container is not None:
                if still is not None and not still(Box.from_container(container)):
                    return False
                if container.running:
                    self._shut_down(box)
                self.discard(box.container)
                keeping.forget(self.layout, box.name)
                # What a replacement that was killed at its very end left.
                earlier = lookup.get(self.engine, design.kept(box.name))
                if earlier is not None and earlier.owner == box.owner:
                    self.discard(earlier.container)
            elif box.belongs_to(self.layout.uid) and not self.engine.container(box.name):
                hosts.forget(self.host, box.name)
        return True

    def _lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        return locks.hold_box(self.host, name)

    def _shut_down(self, box: Box) -> None:
        if box.belongs_to(self.layout.uid):
            hosts.close(self.host, box.name)
        halt.stop(self.engine, box.container)

    def discard(self, container: str) -> None:
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

    def make(self, order: Order, tried: set[int], say: Callable[[str], None]) -> None:
        """Make and start a box. `tried` are ports that proved to be taken; gets the one used."""
        name, workspace = order.name, order.workspace
        told, variables = telling.told(self.host, order.hostname), self.variables().files
        public = hosts.ensure_user(self.host, say)
        # It is not needed before there is a container, which takes longer to make.
        making = Background(lambda: hosts.new_key(self.host))
        finding = Background(lambda: maker.given(self.host, order, told, public))
        for request in design.tidying(lookup.forgotten_volumes(self.engine, name)):
            self.engine.docker(*request, ok=(0, 1))
        places.prepare(order.places)
        with ExitStack() as undo:
            if volumes.have(self.engine, order.data, workspace.path):
                undo.callback(self.engine.remove_volume, order.data)
            with self._choosing("a port"):
                made = self.designed(order, tried)
                container = self.engine.docker(*create_arguments(made)).out.strip()
            undo.callback(self.discard, container)
            if made.sharing:
                say(design.said_of_sharing(made.data, made.sharing))
            tried.add(made.ssh_port)
            key = making.result()
            own = finding.result() | design.host_key(*key) | variables
            given.give(self.engine, container, own)
            preloaded.fill(self.engine, container, made.image, say)
            block = self.block(name, made.ssh_port, workspace, told, made.start)
            hosts.publish(self.layout, name, block, key.public)
            starting.start(self.engine, container)
            self.connect(name, container)
            undo.pop_all()

    def _choosing(self, what: str) -> contextlib.AbstractContextManager[None]:
        return locks.hold(self.host, locks.CHOICE, wait=60, what=f"choosing {what}")

    def connect(self, name: str, container: str) -> None:
        """Open a box's control connection. Raises as `connecting.connect_to` does."""
        connecting.connect_to(self.engine, name, container, self.ssh_timeout)

    def _start(self, box: Box, workspace: Workspace, say: Callable[[str], None]) -> None:
        name, container = box.name, box.container
        same = session.block_matches(self.layout, name, workspace.path, workspace.inode)
        steps = design.waking(box, same=same)
        if "start" in steps:
            ports.look()
        if "unpause" in steps:
            self.engine.docker("unpause", container)
        if "stop" in steps:
            if box.status is not Status.RESTARTING:
                say(f"{workspace.path} is another directory than it was: restarting {name}")
            halt.stop(self.engine, container)
        hosts.ensure_user(self.host)
        told = telling.told(self.host, name)
        telling.tell(self.engine, box, told, say, runs="start" not in steps)
        telling.give(self.engine, box, self.variables(), say, runs="start" not in steps)
        block = self.block(name, box.ssh_port, workspace, told, box.start)
        before = files.read(self.layout.ssh_block(name))
        hosts.publish(self.layout, name, block, pinned.host_key(self.engine, name, container))
        if "start" not in steps:
            # Others may be about to use a connection that stands: who waited for the lock, too.
            if block != before or not connect.stands(self.layout, name):
                self.connect(name, container)
            return
        say(f"starting the box {name}")
        port = starting.with_a_port(self.engine, box, self._another_port, say)
        if port != box.ssh_port:
            block = self.block(name, port, workspace, told, box.start)
            files.write(self.layout.ssh_block(name), block, 0o600)
        try:
            self.connect(name, container)
        except BoxStartError:
            # Else the engine would start it again and again.
            halt.stop(self.engine, container, ok=None)
            raise
