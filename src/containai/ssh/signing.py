"""An ssh agent of a box's own, which signs for the named hosts only (ssh-add(1), -h).

It has the keys that this user's ssh would show those hosts, each bound to them and to the way
through this box: what the box asks for with another host's name on it, the agent refuses. It ends
with the box.
"""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import SshSetupError
from containai.host import files
from containai.host.machine import Machine
from containai.host.proc import Done
from containai.ssh import session
from containai.ssh.hosts import host_alias

#: How long the agent may take to be there, in seconds.
PATIENCE = 10.0


class Way(NamedTuple):
    """How this user's ssh reaches a host: under which name its key is known, and with what."""

    destination: str
    keys: tuple[str, ...]
    known: tuple[str, ...]


def have(host: Machine, box: str, destinations: Sequence[str], pid: int) -> list[str]:
    """Have a box's agent sign for these hosts, until the process `pid` ends: its first.

    Returns what is to be said of hosts that it cannot sign for. Raises SshSetupError where there
    is no agent to be had.
    """
    keys: dict[str, list[str]] = {}
    known: dict[str, None] = {}
    news = []
    for destination in destinations:
        way = reached(host, destination)
        known |= dict.fromkeys(way.known)
        for key in way.keys:
            keys.setdefault(key, []).append(way.destination)
        if not way.keys:
            news.append(f"no key file of yours is for {destination}")
    _start(host, box, pid)
    for key, names in keys.items():
        why = _add(host, box, key, names, list(known))
        if why:
            news.append(f"{key} is not for {', '.join(names)}: {why}")
    return [f"ssh.forward_agent: {each}" for each in news]


def end(host: Machine, box: str) -> None:
    """Have a box's agent know no key any more, if there is one."""
    layout = host.layout
    if session.has_own_directory(layout) and os.path.exists(layout.agent_socket(box)):
        _ask(host, box, ["ssh-add", "-q", "-D"])
        files.remove(layout.agent_socket(box))


def reached(host: Machine, destination: str) -> Way:
    """Ask ssh how it would reach a host (ssh(1), -G): with which of this user's files."""
    config = host.layout.ssh_config
    given = ["-F", config] if os.path.exists(config) else []
    seen = host.run(["ssh", *given, "-G", "--", destination], ok=None, timeout=PATIENCE).out
    pairs = [line.partition(" ")[::2] for line in seen.splitlines()]

    def said(name: str) -> list[str]:
        return [value for key, value in pairs if key == name and value != "none"]

    def paths(name: str, *, apart: bool = False) -> tuple[str, ...]:
        words = [word for value in said(name) for word in (value.split() if apart else [value])]
        whole = [os.path.join(host.layout.home, word.removeprefix("~/")) for word in words]
        return tuple(path for path in whole if os.path.isfile(path))

    name = (said("hostkeyalias") or said("hostname") or [destination.rpartition("@")[2]])[0]
    port = (said("port") or ["22"])[0]
    if port != "22" and not said("hostkeyalias"):
        name = f"[{name}]:{port}"
    user, at, _ = destination.rpartition("@")
    known = [paths(f"{whose}knownhostsfile", apart=True) for whose in ("user", "global")]
    return Way(f"{user}{at}{name}", paths("identityfile"), (*known[0], *known[1]))


def added(box: str, key: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the command line that gives an agent a key: for the box, and from there for hosts."""
    through = host_alias(box)
    hops = [through, *(f"{through}>{name}" for name in names)]
    return [
        "ssh-add", "-q",
        *(word for path in known for word in ("-H", path)),
        *(word for hop in hops for word in ("-h", hop)),
        "--", key,
    ]  # fmt: skip


def _add(host: Machine, box: str, key: str, names: Sequence[str], known: Sequence[str]) -> str:
    """Give a box's agent a key; return why that is not done, or ""."""
    opened = host.run(["ssh-keygen", "-y", "-P", "", "-f", key], ok=None, timeout=PATIENCE)
    if opened.code != 0 and not has_terminal():
        return "it has a passphrase, and there is no terminal to ask for it"
    argv = added(box, key, names, [host.layout.known_hosts, *known])
    done = _ask(host, box, argv, timeout=None if opened.code else PATIENCE)
    said = done.err.strip().splitlines()
    return "" if done.code == 0 else said[-1] if said else f"code {done.code}"


def has_terminal() -> bool:
    """Whether a program that asks for a passphrase has somebody to ask."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _ask(host: Machine, box: str, argv: Sequence[str], timeout: float | None = PATIENCE) -> Done:
    environment = host.environment(SSH_AUTH_SOCK=host.layout.agent_socket(box))
    return host.run(argv, ok=None, timeout=timeout, env=environment)


def _start(host: Machine, box: str, pid: int) -> None:
    """Have an agent without keys behind a box's socket, which ends with a process."""
    socket = host.layout.agent_socket(box)
    if os.path.exists(socket) and _ask(host, box, ["ssh-add", "-q", "-D"]).code == 0:
        return
    files.remove(socket)
    # ssh-agent ends with the program that it is given, which looks every second.
    waiting = ["tail", f"--pid={pid}", "--follow", "/dev/null"]
    agent = ["ssh-agent", "-P", "", "-a", socket, *waiting]
    host.run_detached(["setsid", "--fork", *agent])
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(socket):
        if time.monotonic() > deadline:
            raise SshSetupError("ssh-agent does not start", hint=f"try: ssh-agent -D -a {socket}x")
        time.sleep(0.01)
