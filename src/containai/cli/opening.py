"""What a box asks to have opened: an address of the web, with the way back for a log-in's answer.

The box is the adversary. What it says is shown without control characters, opened only where the
user chose that and never on this machine's own network, and a port leads into the box only where
nobody listens here: for a quarter of an hour, and no longer than the session.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from containai.cli.giving import DESKTOP
from containai.cli.messages import Caller
from containai.config.forwards import Forward
from containai.config.settings import Settings
from containai.errors import ContainAIError
from containai.host.proc import Programs
from containai.layout import Layout
from containai.ssh import connect, forwarding, session

#: How long an address may be, how many a session may have opened, and how many ports at once.
LONGEST, MOST, AT_ONCE = 4096, 20, 4
#: How long a port leads into the box, in seconds: for a log-in.
SECONDS = 900
_CALLBACK = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\]):([0-9]{1,5})(?:[/?#]|$)")
#: What no address needs as it is, and what a program that opens one may take for something else.
_ODD = re.compile(r"[\"'<>\\^`{|}$()]")
#: Names that are of a network of one's own.
_OWN = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa")
#: What opens an address, and what it has to know.
_OPENERS = ("wslview", "xdg-open")
_DESKTOP = (*DESKTOP, "WSL_INTEROP", "WSL_DISTRO_NAME")


class Address(NamedTuple):
    """An address that may be shown, and the port of this machine that the answer comes to, or 0."""

    url: str
    port: int = 0
    #: Whether it leads to that port itself, and whether to no network of this machine's own.
    is_near: bool = False
    is_public: bool = False


def parsed(payload: bytes) -> Address | None:
    """Return what a box wants to have opened, or None for what is no address of the web."""
    try:
        text = payload.decode("ascii")
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if len(text) > LONGEST or not all("!" <= c <= "~" for c in text):
        return None
    # A name in front of the host's is there to be taken for it.
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    url = _ODD.sub(lambda match: f"%{ord(match[0]):02X}", text)
    if parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return Address(url, _allowed(port), is_near=True)
    values = (value for _, value in parse_qsl(parts.query))
    found = (match for match in map(_CALLBACK.match, values) if match)
    back = next((int(match[1]) for match in found), 0)
    return Address(url, _allowed(back), is_public=_is_public(parts.hostname))


def _allowed(port: int) -> int:
    return port if 1024 <= port <= 65535 else 0


def _is_public(name: str) -> bool:
    """Whether a name or an address is, as it says itself, of no network of one's own."""
    try:
        return ipaddress.ip_address(name).is_global
    except ValueError:
        pass
    name = name.rstrip(".").lower()
    last = name.rpartition(".")[2]
    # A browser takes 0x7f.1 and 2130706433 for addresses (url.spec.whatwg.org, host parsing).
    is_number = last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
    return "." in name and not is_number and not name.endswith(_OWN)


def of(caller: Caller) -> "Opener":
    """Return what does it for a session."""
    opener = caller.kept.get("opener")
    if not isinstance(opener, Opener):
        opener = caller.kept["opener"] = Opener(caller.layout, caller.box, caller.say)
    return opener


class Opener:
    """Does what one session asks for."""

    def __init__(self, layout: Layout, box: str, say: Callable[[str], None]) -> None:
        self._layout, self._box, self._say = layout, box, say
        self._programs = Programs()
        self._asked = 0
        #: The connections that forward a port.
        self._children: dict[int, Any] = {}

    def heard(self, payload: bytes) -> None:
        """Do as is asked; whatever goes wrong is said, as the session goes on."""
        try:
            self.open(payload)
        except (ContainAIError, OSError) as wrong:
            self._say(f"cai: the box asked to open an address: {wrong}\n")

    def open(self, payload: bytes) -> None:
        """Show an address, or open it, and let the answer come back."""
        how = self._how()
        if how == "never":
            return
        self._asked += 1
        if self._asked > MOST:
            return
        address = parsed(payload)
        if address is None:
            self._say("cai: the box asked to open what is no address of the web: left alone\n")
            return
        why = self._led_back(address.port) if address.port else ""
        back = f" (localhost:{address.port} leads to the box)" if address.port else ""
        if why:
            back = f" (localhost:{address.port} does not lead to the box: {why})"
        may_open = address.is_public or (address.is_near and address.port and not why)
        if how == "open" and may_open and self._opened(address.url):
            self._say(f"cai: opened for {self._box}: {address.url}{back}\n")
        else:
            self._say(f"cai: {self._box} asks to open: {address.url}{back}\n")

    def _how(self) -> str:
        workspace = session.workspace_of(self._layout, self._box)
        return Settings.load(self._layout.config_file, os.environ, workspace).browser_open

    def _led_back(self, port: int) -> str:
        """Have a port of this machine lead to the same one of the box; return why not, or ""."""
        alive = {port: each for port, each in self._children.items() if each.poll() is None}
        self._children = alive
        if port in alive:
            return ""
        if len(alive) >= AT_ONCE:
            return f"{AT_ONCE} ports do"
        why = forwarding.why_not(port)
        if not why:
            words = forwarding.local(Forward(port, port))
            argv = connect.callback_argv(self._layout, self._box, words, SECONDS)
            with open(os.devnull, "r+b") as null:
                nowhere = null.fileno()
                self._children[port] = self._programs.begin(argv, stdin=nowhere, stdout=nowhere)
        return why

    def _opened(self, url: str) -> bool:
        """Open an address with a program of the system's; return whether there is one."""
        opener = next((each for each in _OPENERS if self._programs.which(each)), "")
        if not opener:
            return False
        given = [f"{name}={os.environ[name]}" for name in _DESKTOP if name in os.environ]
        self._programs.run_detached(["setsid", "--fork", "env", *given, opener, url])
        return True
