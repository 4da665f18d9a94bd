"""Ports between this machine and a box, forwarded by a connection of ssh that stands already."""

import _socket  # socket's own imports are much of a start
import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.host import files
from containai.host.machine import Machine
from containai.ssh import session

if TYPE_CHECKING:
    from containai.config.forwards import Forward

#: How long ssh may take for an answer of the connection or of the box, in seconds.
PATIENCE = 20.0


class Failed(NamedTuple):
    """A port that is not forwarded: the words for ssh, and what it said."""

    words: tuple[str, str]
    why: str

    def described(self) -> str:
        """What is said of it."""
        way, spec = self.words
        port = spec.removeprefix("localhost:").partition(":")[0]
        if way == "-R":
            return (
                f"port {port} of the box is not forwarded (ssh.remote_forward): {self.why}\n"
                "  hint: what listens in it: cai ports"
            )
        hint = f"who has it: ss -tlnp sport = :{port}; another one: ssh.local_forward"
        return f"port {port} is not forwarded (ssh.local_forward): {self.why}\n  hint: {hint}"


def local(forward: "Forward") -> tuple[str, str]:
    """Return the words with which ssh has a port of this machine's loopback lead into a box.

    ssh takes `localhost` for the loopback addresses of both families, and asks no resolver.
    """
    return "-L", f"localhost:{forward.listen}:{forward.host}:{forward.port}"


def remote(forward: "Forward") -> tuple[str, str]:
    """Return the words with which ssh has a port of a box's loopback lead to this machine."""
    return "-R", f"localhost:{forward.listen}:{forward.host}:{forward.port}"


def have(host: Machine, box: str, wanted: Sequence[tuple[str, str]]) -> list[Failed]:
    """Have a box's control connection forward ports, and note which; return those that fail."""
    layout = host.layout
    if not wanted:
        return []
    files.write(layout.forwarded(box), "".join(f"{' '.join(each)}\n" for each in wanted), 0o600)
    failed = []
    for words in wanted:
        why = why_not(_listens_at(words)) if words[0] == "-L" else ""
        why = why or ask(host, layout.control_socket(box), "forward", words)
        if why:
            failed.append(Failed(words, why))
    return failed


def _listens_at(words: tuple[str, str]) -> int:
    return int(words[1].removeprefix("localhost:").partition(":")[0])


def why_not(port: int) -> str:
    """Return why nobody can listen on a port of this machine's loopback now, or ""."""
    bound = 0
    for family, address in ((_socket.AF_INET, "127.0.0.1"), (_socket.AF_INET6, "::1")):
        try:
            probe = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError:
            continue
        try:
            # As ssh does: what is left of connections is in nobody's way.
            probe.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            bound += 1
        except PermissionError:
            return "only root may listen on it"
        except OSError as wrong:
            # A machine may have no address of one family.
            if wrong.errno == errno.EADDRINUSE:
                return "somebody listens on it"
        finally:
            probe.close()
    return "" if bound else "this machine has no loopback address"


def withdraw(host: Machine, box: str) -> None:
    """Have a box's control connection forward no more: it may live on with its sessions."""
    layout = host.layout
    if not session.has_own_directory(layout):
        return
    noted = files.read_if_whole(layout.forwarded(box))
    if noted is None:
        return
    for line in noted.splitlines():
        way, _, spec = line.partition(" ")
        if os.path.exists(layout.control_socket(box)):
            ask(host, layout.control_socket(box), "cancel", (way, spec))
    files.remove(layout.forwarded(box))


def ask(host: Machine, control: str, request: str, words: tuple[str, str]) -> str:
    """Ask a connection to forward a port, or to cancel that; return what is wrong, or ""."""
    argv = ["ssh", "-F", "/dev/null", "-S", control, "-O", request, *words, "--", "box"]
    done = host.run(argv, ok=None, timeout=PATIENCE)
    if done.code == 0:
        return ""
    said = done.err.strip().splitlines()
    return said[-1].removeprefix("mux_client_forward: ") if said else f"code {done.code}"
