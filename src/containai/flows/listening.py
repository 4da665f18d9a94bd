"""What listens in a box. The box is the one that says so: nothing of it is believed unread."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from containai.app import App
from containai.boxes.box import Box, Status
from containai.config.forwards import NEAR
from containai.errors import SshConnectError
from containai.flows import enter
from containai.ssh import session

#: How much a box may say, in bytes, for how long, in seconds, and how many ports are heeded.
LIMIT, PATIENCE, MOST = 1 << 20, 30.0, 1000
#: ss(8) knows whose a socket is only for whoever may look.
_LOOK = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; sudo -n ss -Hltnp 2>/dev/null || exec ss -Hltn"
_LINE = re.compile(
    r"LISTEN +[0-9]+ +[0-9]+ +(?P<address>\*|[0-9.]{7,15}|\[[0-9a-fA-F:.]{2,45}\])"
    r"(?:%[\w.-]{1,16})?"
    r":(?P<port>[0-9]{1,5}) (?P<rest>.*)"
)
_PROCESS = re.compile(r'\(\("(?P<name>[^"]{1,64})",pid=(?P<pid>[0-9]{1,9}),')
#: The addresses by which whatever listens is reached as `localhost`.
_NEAR = frozenset({"*", "0.0.0.0", "[::]", "127.0.0.1", "[::1]"})  # noqa: S104 - only compared


class Listener(NamedTuple):
    """A port that something in a box listens on: at which addresses, and whose it is ("", 0)."""

    port: int
    addresses: tuple[str, ...]
    process: str = ""
    pid: int = 0

    @property
    def host(self) -> str:
        """What a connection from inside the box names to reach it."""
        near = [each for each in self.addresses if each in _NEAR]
        return NEAR if near else self.addresses[0]


def listeners(app: App, box: Box) -> list[Listener]:
    """Return what listens on TCP ports in a box: nothing where it does not run.

    Raises SshConnectError where the box does not say.
    """
    if box.status is not Status.RUNNING:
        return []
    name = box.name
    if not session.is_live(app.layout, name):
        enter.started(app, box)
    socket = session.control_path(app.layout, name)
    argv = ["ssh", "-F", app.layout.ssh_block(name), *socket, "-T", "--", name, _LOOK]
    done = app.host.run_limited(argv, stdin=b"", limit=LIMIT, timeout=PATIENCE)
    if done.code != 0:
        said = done.err.strip().splitlines()[-1:] or [f"code {done.code}"]
        raise SshConnectError(f"the box {name!r} does not say what listens: {said[0]}")
    return parsed(done.out.splitlines())


def parsed(lines: Iterable[str]) -> list[Listener]:
    """Return what lines of ss(8) say, by port; a line that says nothing is left out."""
    found: dict[int, Listener] = {}
    for line in lines:
        match = _LINE.fullmatch(line.rstrip() + " ")
        port = int(match["port"]) if match else 0
        if match is None or not 1 <= port <= 65535 or (port not in found and len(found) >= MOST):
            continue
        process = _PROCESS.search(match["rest"])
        now = found.get(port) or Listener(port, ())
        if match["address"] not in now.addresses:
            now = now._replace(addresses=(*now.addresses, match["address"])[:32])
        if process and not now.process:
            now = now._replace(process=process["name"], pid=int(process["pid"]))
        found[port] = now
    return [found[port] for port in sorted(found)]
