"""What settings and command lines say of forwarded ports, and of the hosts of an ssh agent."""

import re
from typing import NamedTuple

from containai.config import values
from containai.config.setting import Setting

#: A name or an address, as one word of a command line of ssh; ssh has IPv6 in brackets.
_HOST = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]"
_FORWARD = re.compile(
    rf"(?:(?P<listen>[0-9]{{1,5}}):)?(?:(?P<host>{_HOST}):)?(?P<port>[0-9]{{1,5}})"
)
_DESTINATION = re.compile(rf"(?:[A-Za-z0-9_.][A-Za-z0-9_.-]{{0,63}}@)?(?:{_HOST})")
_EXPECTED = "expected PORT, LISTEN:PORT or LISTEN:HOST:PORT, for example 8080:3000"
#: What is nearest to whoever forwards: of both families, whichever the listener has.
NEAR = "localhost"


class Forward(NamedTuple):
    """A port that is listened on at one end, and where a connection to it goes from the other."""

    listen: int
    port: int
    host: str = NEAR

    def __str__(self) -> str:
        if self.host != NEAR:
            return f"{self.listen}:{self.host}:{self.port}"
        return f"{self.listen}:{self.port}" if self.listen != self.port else str(self.port)


def forward(text: str) -> Forward:
    """Parse "3000", "8080:3000" or "8080:db:5432". Raises ValueError for anything else."""
    match = _FORWARD.fullmatch(text)
    if match is None or (match["host"] and not match["listen"]):
        raise ValueError(_EXPECTED)
    port = int(match["port"])
    listen = int(match["listen"] or port)
    if not (1 <= port <= 65535 and 1 <= listen <= 65535):
        raise ValueError("ports are from 1 to 65535")
    return Forward(listen, port, match["host"] or NEAR)


def forwards(value: object) -> tuple[Forward, ...]:
    """Parse a list of those, or words with blanks between. Raises ValueError."""
    found = tuple(forward(str(each)) for each in _words(value, _EXPECTED))
    if len({each.listen for each in found}) < len(found):
        raise ValueError("a port can be listened on once")
    return found


def agent(value: object) -> bool | tuple[str, ...]:
    """Parse true, false, or the hosts that an agent may sign for. Raises ValueError."""
    if isinstance(value, bool):
        return value
    if value in ("true", "1", "false", "0", ""):
        return value in ("true", "1")
    expected = 'expected true, false, or hosts like ["github.com", "git@example.com"]'
    hosts: list[str] = []
    for each in _words(value, expected):
        if not isinstance(each, str) or not _DESTINATION.fullmatch(each):
            raise ValueError(expected)
        # In a list any name; a word alone is more likely a misspelt "true".
        if isinstance(value, str) and not re.search(r"[.@[]", each):
            raise ValueError(expected)
        hosts.append(each)
    return tuple(hosts) or False


def _words(value: object, expected: str) -> list[object]:
    if isinstance(value, str):
        return list(value.split())
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    raise ValueError(expected)


OPEN = Setting(
    "browser.open",
    values.opening,
    "print",
    "What is done with an address that a program in a box wants to have opened: `print` it at the "
    "terminal of its session, `open` it in your browser, or `never` any of it. [How to]"
    "(../how-to/ports.md#browser-log-ins).",
    file_only=True,
)
AGENT = Setting(
    "ssh.forward_agent",
    agent,
    "false",
    "Whether your ssh agent is reachable in boxes: `true`, `false`, or a list of hosts like "
    '`["github.com"]`, for which alone [an agent of the box\'s '
    "own](../how-to/ports.md#your-ssh-agent) then signs.",
    file_only=True,
)
LOCAL = Setting(
    "ssh.local_forward",
    forwards,
    "",
    "Ports of this machine's loopback that [lead into a box](../how-to/ports.md) while `cai` is "
    'connected to it, as a list: `["3000", "8080:80", "5432:db:5432"]`.',
    file_only=True,
)
REMOTE = Setting(
    "ssh.remote_forward",
    forwards,
    "",
    "Ports of a box's loopback that lead to this machine, or on to a host that it reaches, in the "
    "same way. Whatever runs in the box can use them.",
    file_only=True,
)
