r"""What a session at a terminal may say to its caller: one escape sequence, and a table.

    ESC ] 5379 ; TOKEN ; NAME ; PAYLOAD BEL         PAYLOAD in base64url, without padding or with

The box is the adversary, and the token, which everything in the session can know, only tells intent
from accident: each handler has to be harmless, whatever its payload, and shows it by `Caller.say`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from containai.layout import Layout

#: A private number of an operating system command (ECMA-48), which no terminal takes for its own.
INTRODUCER = b"\x1b]5379;"
#: How long a message may be, in bytes: an address to log in at has a thousand.
LONGEST = 8192
_ALLOWED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=;")


class Caller(Protocol):
    """What a handler may do."""

    #: What handlers keep for as long as the session lasts.
    kept: dict[str, object]

    @property
    def layout(self) -> "Layout":
        """Where things are."""

    @property
    def box(self) -> str:
        """The name of the box."""

    def suspend(self) -> None:
        """Be stopped as the command is, and have it go on once we do."""

    def say(self, text: str) -> None:
        """Show lines of text at the terminal; nothing in them steers it."""


Handler = Callable[[Caller, bytes], None]


def _stopped(caller: Caller, payload: bytes) -> None:
    caller.suspend()


def _open(caller: Caller, payload: bytes) -> None:
    from containai.cli import opening

    opening.of(caller).heard(payload)


#: What may be said.
HANDLERS: Mapping[str, Handler] = {
    # The command stopped: by Ctrl-Z, or by itself.
    "stopped": _stopped,
    # A program wants to have an address opened.
    "open": _open,
}


class Messages:
    """Takes messages out of what a session prints."""

    def __init__(self, token: str, caller: Caller, table: Mapping[str, Handler] = HANDLERS) -> None:
        self._begin = INTRODUCER + token.encode() + b";"
        self._caller, self._table = caller, table
        #: What may become a message.
        self.held = b""

    def printed(self, text: bytes, show: Callable[[bytes], None]) -> None:
        """Show what was printed, without messages, each of which is handled where it stands."""
        text, self.held = self.held + text, b""
        while (at := text.find(self._begin)) >= 0:
            message, bell, rest = text[at + len(self._begin) :].partition(b"\a")
            if not bell and len(message) <= LONGEST and _ALLOWED.issuperset(message):
                show(text[:at])
                self.held = text[at:]
                return
            if bell and len(message) <= LONGEST and self._is_known(message):
                show(text[:at])
                self._handle(message)
            else:
                rest = text[at + len(self._begin) :]
                show(text[: at + len(self._begin)])
            text = rest
        part = next(
            n for n in range(len(self._begin) - 1, -1, -1) if text[-n:] == self._begin[:n] or not n
        )
        self.held = text[len(text) - part :]
        show(text[: len(text) - part])

    def release(self) -> bytes:
        """Return what was held back and became no message."""
        held, self.held = self.held, b""
        return held

    def _is_known(self, message: bytes) -> bool:
        name = message.partition(b";")[0].decode("ascii", "replace")
        return _ALLOWED.issuperset(message) and name in self._table

    def _handle(self, message: bytes) -> None:
        import base64

        name, _, payload = message.partition(b";")
        padded = payload.rstrip(b"=") + b"=" * (-len(payload.rstrip(b"=")) % 4)
        try:
            decoded = base64.b64decode(padded, b"-_", validate=True)
        except ValueError:
            return
        self._table[name.decode()](self._caller, decoded)
