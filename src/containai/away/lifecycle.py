"""What happens to a box on a remote place. Each step is found done, or done again, by looking.

What was killed in the middle leaves a box that is not whole, which the next try removes.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from containai.away import design, record
from containai.away.place import Order, Place, Seen
from containai.away.record import Entry
from containai.boxes import connecting, identity, region, variables
from containai.boxes.box import Status
from containai.boxes.given import Files
from containai.boxes.variables import Variables
from containai.boxes.workspace import Workspace
from containai.errors import BoxNotFoundError, BoxStartError, ContainAIError, NameTakenError
from containai.host import files, proc
from containai.host.machine import Machine
from containai.ssh import client, connect, hosts, keys, session
from containai.ssh.connect import KeyRefusedError
from containai.work.ui import Progress

#: How long another cai may be busy with a box, in seconds.
_WAIT = 600.0
#: How long a box may take to let somebody in, in seconds, where no setting says more.
_BOOT = 90.0
#: How often a box that boots is looked at, in seconds.
_LOOK = 5.0
#: How many lines of its console are shown of one that died.
_LINES = 12


class Making(NamedTuple):
    """What a new box is made of: the image's fingerprint and name, limits, bytes of disk."""

    image: str
    image_name: str
    limits: Mapping[str, str] = {}
    disk: int = 0


class AwayBoxes:
    """The life of a user's boxes on one place."""

    def __init__(
        self,
        host: Machine,
        place: Place,
        *,
        variables: Variables = Variables(),  # noqa: B008 - a tuple
        forward_agent: bool = False,
        seconds: float = _BOOT,
    ) -> None:
        """`seconds` are for a box to let us in."""
        self.host = host
        self.layout = host.layout
        self.place = place
        self.variables = variables
        self.forward_agent = forward_agent
        self.seconds = max(seconds, _BOOT)
        #: Whether a control connection was opened: it has nothing yet but sessions.
        self.has_connected = False

    def bring_up(
        self,
        name: str,
        workspace: Workspace,
        say: Callable[[str], None],
        make: Callable[[], Making] | None,
        progress: Callable[[], Progress],
        *,
        fresh: bool = False,
        asked: Mapping[str, str] | None = None,
    ) -> bool:
        """Have a box running and reachable; return whether it was made for that.

        `make` says what a new one is made of; without, there has to be one: raises
        BoxNotFoundError. `fresh` makes it anew. `asked` are limits for one that is there.
        """
        with self.held(name):
            client.check(self.host)
            entry = Entry(name, self.place.name, "", workspace.path)
            entry, seen = self.looked(entry)
            if seen is not None and (fresh or not seen.is_whole):
                if not fresh:
                    say(f"removing what an interrupted start left of {name}")
                self._discard(name, seen.instance)
                seen = None
            if seen is None:
                if make is None:
                    raise BoxNotFoundError(
                        f"the box {name!r} is gone from {self.place.name}", hint="anew: cai run"
                    )
                self._make(entry, make(), workspace, say, progress)
                self._enter(entry, None, workspace, say)
                return True
            record.put(self.layout, entry)
            if asked and not set(asked.items()) <= {*seen.limits}:
                self.place.limit(seen.instance, asked)
            self._enter(entry, seen, workspace, say)
            return False

    def settle(self, name: str, workspace: Workspace) -> None:
        """Have the warm way lead into a box, which has all of its workspace from now on.

        Until then its host block is of no directory that there is.
        """
        if session.block_matches(self.layout, name, workspace.path, workspace.inode):
            return
        with self.held(name):
            entry = record.every(self.layout).get(name)
            if entry is not None:
                block = self.block(entry, workspace, workspace.inode)
                files.write(self.layout.ssh_block(name), block, 0o600)

    def find(self, entry: Entry) -> Seen | None:
        """Return a box as its place has it, or None where it is gone."""
        seen = self.place.find(entry.instance)
        return seen if seen is not None and (_is_away(seen) or self._owns(seen)) else None

    def _owns(self, seen: Seen) -> bool:
        return seen.owner == self.place.owner

    def existing(self, entry: Entry) -> Seen:
        """Return a box as its place has it. Raises BoxNotFoundError."""
        seen = self.find(entry)
        if seen is None:
            raise BoxNotFoundError(
                f"the box {entry.name!r} is gone from {self.place.name}",
                hint=f"forget it: cai rm --name {entry.name}; or have it anew: cai run",
            )
        return seen

    def reachable(self, entry: Entry) -> Seen:
        """Return a box as its place has it. Raises BoxNotFoundError; BoxStartError if it is away.

        What is asked of a node that is away is waited for in vain, each time.
        """
        seen = self.existing(entry)
        refuse_away(entry.name, seen)
        return seen

    def stop(self, entry: Entry) -> None:
        """Shut a box down. Raises as `reachable`."""
        with self.held(entry.name):
            self.reachable(entry)
            hosts.close(self.host, entry.name)
            self.place.stop(entry.instance)

    def remove(self, entry: Entry) -> None:
        """Remove a box, and all that is known of it here. Raises BoxStartError if it is away."""
        with self.held(entry.name):
            seen = self.find(entry)
            if seen is not None:
                refuse_away(entry.name, seen)
                self.place.remove(entry.instance)
            self.forget(entry)
            files.remove(self._lock(entry.name))

    def forget(self, entry: Entry) -> None:
        """Know nothing of a box any more, whatever becomes of it on its place."""
        hosts.forget(self.host, entry.name)
        record.forget(self.layout, entry.name)

    def rename(self, entry: Entry, new: str, move: Callable[[], None]) -> None:
        """Give a box another name; sessions in it go on. `move` has its work known by that, too.

        On its place only the note of it changes. Raises NameTakenError for a name that is taken,
        BoxNotFoundError. What was cut off is ended by the same again.
        """
        layout, renamed = self.layout, entry._replace(name=new)
        self._refuse_name(entry, new)
        with ExitStack() as stack:
            for name in sorted((entry.name, new)):
                stack.enter_context(self.held(name))
            self._refuse_name(entry, new)
            seen = self.reachable(entry)
            self.place.rename(entry.instance, new)
            key = hosts.pinned_key(files.read(layout.known_hosts) or "", entry.name)
            # What it was given is said again when it is entered.
            block = self.block(renamed, Workspace(entry.workspace), "")
            block = session.without_variables(block)
            hosts.publish(layout, new, block, key or seen.host_key or None)
            move()
            record.rename(layout, entry, new)
            # Sessions that run end with the connection that they share, and not before.
            hosts.retire(self.host, entry.name)
            hosts.forget(self.host, entry.name)
            files.remove(self._lock(entry.name))

    def _refuse_name(self, entry: Entry, new: str) -> None:
        if new == entry.name:
            raise NameTakenError(f"the box is called {new!r} already", hint="see: cai ls")
        layout = self.layout
        is_here = os.path.exists(layout.ssh_block(new)) and not session.place_of(layout, new)
        if is_here or new in record.every(layout):
            raise NameTakenError(f"the name {new!r} is taken", hint="choose another; see: cai ls")

    def held(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Have a box to ourselves, of all that this user runs."""
        return files.lock(self._lock(name), wait=_WAIT, what=f"the box {name}")

    def _lock(self, name: str) -> str:
        # One a name: a fork holds two.
        return os.path.join(self.layout.state_dir, "away", f"{name}.lock")

    def looked(self, entry: Entry) -> tuple[Entry, Seen | None]:
        """Return what a box is called on its place, and the box if it is there.

        Raises NameTakenError for a name that another box has, and BoxStartError where its node is
        away.
        """
        known = record.every(self.layout).get(entry.name)
        if known is not None and known.place != self.place.name:
            raise NameTakenError(
                f"the box {entry.name!r} is on {known.place}", hint="choose another: --name NAME"
            )
        names = design.instances(entry.name, self.place.owner)
        for instance in [known.instance] if known else names:
            seen = self.place.find(instance)
            if seen is None:
                return entry._replace(instance=instance), None
            if known:
                refuse_away(entry.name, seen)
            if self._owns(seen) and (known or seen.name == entry.name):
                self._refuse_workspace(seen, entry)
                return entry._replace(instance=instance), seen
        raise NameTakenError(
            f"{self.place.name} has another box that is called {entry.name!r}",
            hint="choose another: --name NAME",
        )

    def _refuse_workspace(self, seen: Seen, entry: Entry) -> None:
        if seen.workspace != entry.workspace:
            raise NameTakenError(
                f"the box {entry.name!r} on {self.place.name} is of another workspace: "
                f"{seen.workspace!r} of {seen.host or 'another machine'}",
                hint="choose another: --name NAME",
            )

    def _make(
        self,
        entry: Entry,
        making: Making,
        workspace: Workspace,
        say: Callable[[str], None],
        progress: Callable[[], Progress],
    ) -> None:
        say(f"making the box {entry.name} on {self.place.name}")
        hosts.ensure_user(self.host, say)
        key = hosts.new_key(self.host)
        order = Order(
            entry.instance, entry.name, entry.workspace, making.image, making.image_name,
            key.public, making.limits, making.disk,
        )  # fmt: skip
        with ExitStack() as undo:
            record.put(self.layout, entry)
            undo.callback(self.forget, entry)
            self.place.create(order, progress())
            undo.callback(self.give_up, entry.instance)
            self.place.put(entry.instance, self.given(key))
            hosts.publish(self.layout, entry.name, self.block(entry, workspace, ""), key.public)
            self.place.finish(entry.instance)
            undo.pop_all()

    def given(self, key: hosts.KeyPair) -> Files:
        """Return what a box gets before it boots. The user's own key is there."""
        own = region.seen(self.host) | identity.seen(self.host) | self.variables.files
        public = (files.read(self.layout.ssh_key + ".pub") or "").strip()
        return design.files(own, public, key)

    def give_up(self, instance: str) -> None:
        """Remove a box whose making failed, if that can be: the next try does, else."""
        with contextlib.suppress(ContainAIError):
            self.place.remove(instance)

    def _discard(self, name: str, instance: str) -> None:
        hosts.forget(self.host, name)
        self.place.remove(instance)

    def _enter(
        self, entry: Entry, seen: Seen | None, workspace: Workspace, say: Callable[[str], None]
    ) -> None:
        """Have a box running, and its control connection standing; `seen` is None for a new one."""
        name, was = entry.name, seen.status if seen is not None else Status.STOPPED
        if seen is not None:
            if was is Status.BROKEN:
                raise broken(name, seen)
            hosts.ensure_user(self.host, say)
            self._give(entry, was, say)
        same = session.block_matches(self.layout, name, workspace.path, workspace.inode)
        block = self.block(entry, workspace, workspace.inode if same else "")
        before = files.read(self.layout.ssh_block(name))
        pinned = hosts.pinned_key(files.read(self.layout.known_hosts) or "", name)
        # What was pinned as it was made counts: others of the project can write what the place has.
        hosts.publish(self.layout, name, block, pinned or (seen.host_key if seen else "") or None)
        if was is not Status.RUNNING:
            say(f"starting the box {name} on {self.place.name}")
            self.place.start(entry.instance)
        elif block == before and connect.stands(self.layout, name):
            return
        self._connect(entry)

    def _connect(self, entry: Entry) -> None:
        """Open a box's control connection; once, a key of this user's that it lacks is given."""

        def connected() -> None:
            connect.open_master(self.host, entry.name, self._watch(entry), seconds=self.seconds)

        try:
            connected()
        except KeyRefusedError:
            public = keys.usable(self.host)
            if self.place.run(entry.instance, connecting.LET_IN, f"{public}\n".encode()).code:
                raise
            connected()
        self.has_connected = True

    def _give(self, entry: Entry, was: Status, say: Callable[[str], None]) -> None:
        """Have a box know its user's variables where it knows others."""
        wanted = self.variables
        if wanted.mark == session.last_variables(self.layout, entry.name):
            return
        if was is not Status.RUNNING:
            self.place.put(entry.instance, {variables.FILE_IN_BOX: (wanted.text, 0o600)})
            return
        done = self.place.run(entry.instance, variables.PLACE, wanted.text.encode())
        if done.code:
            say(f"{entry.name} did not take the variables of [env]")

    def block(self, entry: Entry, workspace: Workspace, inode: str) -> str:
        """Return a box's host block. Without an inode, no warm way leads to it."""
        return hosts.host_block(
            self.layout,
            entry.name,
            # Percent signs start a token (ssh_config(5)).
            proxy=proc.describe(self.place.stream(entry.instance)).replace("%", "%%"),
            place=self.place.name,
            workspace=workspace.path,
            inode=inode,
            forward_agent=self.forward_agent,
            variables=self.variables.line,
            version=self.host.ssh_version(),
        )

    def _watch(self, entry: Entry) -> Callable[[], None]:
        """Return what raises BoxStartError where a box has died while it is waited for."""
        last = time.monotonic()

        def look() -> None:
            nonlocal last
            if time.monotonic() - last < _LOOK:
                return
            last = time.monotonic()
            if self.existing(entry).status is Status.RUNNING:
                return
            said = "\n  ".join(self.place.log(entry.instance).splitlines()[-_LINES:])
            raise BoxStartError(
                f"the box {entry.name!r} ended while it booted:\n  {said}", hint="cai logs"
            )

        return look


def _is_away(seen: Seen) -> bool:
    """Whether a box is on a node that is away: then its place knows nothing but its name."""
    return seen.status is Status.BROKEN and not seen.owner


def refuse_away(name: str, seen: Seen) -> None:
    """Raise BoxStartError for a box on a node that is away."""
    if _is_away(seen):
        raise broken(name, seen)


def broken(name: str, seen: Seen) -> BoxStartError:
    """Return the error for a box that is broken, as its place has it."""
    hint = "it comes back with that; see: cai ls"
    if seen.restoring:
        hint = f"end that: cai snapshot restore {name} {seen.restoring}"
    return BoxStartError(f"the box {name!r} cannot be used: {seen.problem}", hint=hint)
