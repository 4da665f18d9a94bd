"""Ports of this machine's loopback that lead into a box for as long as somebody waits here.

One connection of ssh has them all. It is a child of this process and ends with it, however that
ends; the control connection, which outlives us, has no part in it.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from containai.app import App
from containai.boxes.box import Box, Status
from containai.boxes.spec import SSH_PORT_IN_BOX
from containai.config.forwards import Forward
from containai.errors import ForwardError
from containai.flows import enter, listening
from containai.host import files
from containai.ssh import connect, forwarding, session

#: How long the connection may take to stand, in seconds.
PATIENCE = 60.0
#: How many ports are forwarded at once by themselves, and how much the box may say of one look.
MOST, LIMIT = 64, 1 << 20
#: Said between two looks, which no line of ss(8) is.
_END = b"."
#: Looks once a second for as long as somebody holds its stdin, and says what is another.
_WATCH = (
    "exec bash -c '"
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin; before=; "
    "while now=$(ss -Hltn) || :; "
    'if [ "$now." != "$before" ]; then printf "%s\\n.\\n" "$now" || exit; before=$now.; fi; '
    "read -r -t 1; [ $? -gt 128 ]; do :; done'"
)


class Change(NamedTuple):
    """What has happened to a port: `forwarded`, `ended`, or `left out`, and then why."""

    what: str
    box: str
    port: int
    host_port: int = 0
    why: str = ""

    def described(self) -> str:
        """The line that people get."""
        if self.what == "forwarded":
            return f"localhost:{self.host_port} leads to port {self.port} of {self.box}"
        if self.what == "ended":
            return f"localhost:{self.host_port} leads to {self.box} no more: nothing listens there"
        return f"port {self.port} of {self.box} is left out: {self.why}"


class Wanted(NamedTuple):
    """What is to be forwarded: ports, always or only `on_demand`; or `auto`, whatever listens.

    On demand is while something in the box listens on it.
    """

    ports: Sequence[Forward] = ()
    auto: bool = False
    on_demand: bool = False

    @property
    def always(self) -> Sequence[Forward]:
        """The ports that are forwarded from the beginning to the end."""
        return () if self.on_demand else self.ports

    def host_port(self, port: int) -> int | None:
        """Return which port of this machine leads to one that is listened on: 0 is for any."""
        said = next((each.listen for each in self.ports if each.port == port), None)
        if said is not None:
            return said if self.on_demand else None
        return 0 if self.auto and port != SSH_PORT_IN_BOX else None


def ready(app: App, box: Box, wanted: Wanted) -> None:
    """Have a box be running. Raises ForwardError where a port of this machine cannot be had."""
    for each in wanted.always:
        why = forwarding.why_not(each.listen)
        if why:
            raise ForwardError(
                f"port {each.listen} of this machine cannot lead to {box.name}: {why}",
                hint=f"another one: cai forward {box.name} {each.listen % 50000 + 10000}:…",
            )
    if box.status is not Status.RUNNING or not session.is_live(app.layout, box.name):
        enter.started(app, box)


def changes(app: App, box: Box, wanted: Wanted) -> Iterator[Change]:
    """Forward ports until the iterator is closed; give what happens to each.

    Raises ForwardError once the connection has ended.
    """
    with _connection(app, box) as socket:
        for each in wanted.always:
            why = forwarding.ask(app.host, socket, "forward", forwarding.local(each))
            if why:
                raise ForwardError(f"port {each.listen} of this machine is not forwarded: {why}")
            yield Change("forwarded", box.name, each.port, each.listen)
        if wanted.auto or wanted.on_demand:
            yield from _following(app, box, socket, wanted)
        else:
            _held(app, box.name, socket)
    raise ForwardError(
        f"the connection to the box {box.name!r} has ended: nothing is forwarded any more",
        hint=f"is it there: cai ls; then again: cai forward {box.name}",
    )


def _back(app: App, box: Box) -> list[Forward]:
    """Return the ports of boxes that lead to this machine: leading them back would go round."""
    settings = app.at(box.workspace).settings
    return [Forward(each.listen, each.listen) for each in settings.ssh_remote_forward]


@contextlib.contextmanager
def _connection(app: App, box: Box) -> Iterator[str]:
    """Have a connection of our own to a box; give its control socket."""
    layout = app.layout
    files.private_directory(layout.control_dir)
    socket = layout.forward_socket(os.getpid())
    files.remove(socket)
    away = session.place_of(layout, box.name)
    container = None if away else app.engine.container(box.name)
    address = container.address if container else ""
    with _child(app, connect.forwarding_argv(layout, box.name, socket, address)) as child:
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(socket):
            if child.poll() is not None or time.monotonic() > deadline:
                child.kill()
                said = child.stderr.read().decode(errors="replace").strip() or "it said nothing"
                raise ForwardError(f"ssh to the box {box.name!r} failed: {said}")
            time.sleep(0.01)
        yield socket


@contextlib.contextmanager
def _child(app: App, argv: Sequence[str], stdin: int = -1, stdout: int = -1) -> Iterator[Any]:
    """Start a program, and end it."""
    with open(os.devnull, "r+b") as null:
        child = app.host.begin(
            argv,
            stdin=null.fileno() if stdin < 0 else stdin,
            stdout=null.fileno() if stdout < 0 else stdout,
        )
    try:
        with child:
            try:
                yield child
            finally:
                child.terminate()
    except KeyboardInterrupt:
        child.kill()
        raise


def _held(app: App, box: str, socket: str) -> None:
    """Wait until the connection has ended: a session over it that only waits does, too."""
    for _ in _said(app, box, socket, "exec cat >/dev/null"):
        pass


def _said(app: App, box: str, socket: str, command: str) -> Iterator[bytes]:
    """Run a command in a box over a connection; give what it says, until it ends.

    It ends with us: its stdin does.
    """
    block = app.layout.ssh_block(box)
    argv = ["setpriv", "--pdeathsig", "TERM", "--", "ssh", "-F", block, "-S", socket, "-T"]
    (given, ours), (ear, mouth) = os.pipe(), os.pipe()
    ends = [given, ours, ear, mouth]
    try:
        with _child(app, [*argv, "--", box, command], given, mouth):
            for end in (given, mouth):
                os.close(end)
                ends.remove(end)
            while part := os.read(ear, 1 << 16):
                yield part
    finally:
        for end in ends:
            os.close(end)


def _following(app: App, box: Box, socket: str, wanted: Wanted) -> Iterator[Change]:
    """Forward what something listens on in a box, while it does."""
    now: dict[int, Forward] = {}
    refused = back = {each.listen for each in _back(app, box)}
    name, said = box.name, b""
    for part in _said(app, name, socket, _WATCH):
        said += part
        *looks, said = said.split(b"\n" + _END + b"\n")
        if len(said) > LIMIT:
            raise ForwardError(f"the box {name!r} says more of its ports than can be")
        if not looks:
            continue
        lines = looks[-1].decode(errors="replace").splitlines()
        seen = {each.port: each for each in listening.parsed(lines)}
        for port in [port for port in now if port not in seen]:
            each = now.pop(port)
            forwarding.ask(app.host, socket, "cancel", forwarding.local(each))
            yield Change("ended", name, port, each.listen)
        refused = back | (refused & seen.keys())
        for port in sorted(seen.keys() - now.keys() - refused):
            host_port = wanted.host_port(port)
            if host_port is None:
                continue
            each = Forward(host_port or free_port(port), port, seen[port].host)
            why = _opened(app, socket, each) if len(now) < MOST else f"{MOST} are forwarded"
            if why:
                refused.add(port)
                yield Change("left out", name, port, why=why)
            else:
                now[port] = each
                yield Change("forwarded", name, port, each.listen)


def _opened(app: App, socket: str, each: Forward) -> str:
    """Forward a port; return why not, or ""."""
    why = forwarding.why_not(each.listen) if each.listen else "no port like it is free here"
    return why or forwarding.ask(app.host, socket, "forward", forwarding.local(each))


def free_port(port: int) -> int:
    """Return a port of this machine for one of a box: the same, one that looks like it, or 0."""
    for more in range(0, 60000, 1000):
        other = (port + (more + 7000 if more else 0)) % 65536
        if other > 1023 and not forwarding.why_not(other):
            return other
    return 0
