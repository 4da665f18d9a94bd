"""Trust tokens: what `incus config trust add` prints, by which a server lets a certificate in."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from containai.errors import UsageError

_HEX = re.compile(r"[0-9a-f]{64}")
_AGAIN = "have the administrator make one: incus config trust add NAME --restricted --projects …"
#: A token that has one of these has a few hundred bytes.
_LONGEST = 64 << 10


class Token(NamedTuple):
    """What a token says (shared/api/certificate.go), and the token itself, as it is redeemed.

    `fingerprint` is that of the server's certificate, `addresses` are `HOST:PORT`, `expires` is ""
    for never.
    """

    client_name: str
    fingerprint: str
    addresses: tuple[str, ...]
    secret: str
    expires: str
    text: str


def decode(text: str, now: datetime | None = None) -> Token:
    """Return what a token says. Raises UsageError for what is none, and for an expired one."""
    # Without -q, Incus says a line before it (cmd/incus/config_trust.go).
    words = text[:_LONGEST].split()
    if not words:
        raise UsageError("the token is empty", hint=_AGAIN)
    said = _said(words[-1])
    if "server_name" in said and "client_name" not in said:
        raise UsageError(
            "this is a token for a server that joins a cluster, not for a user", hint=_AGAIN
        )
    token = _parsed(said, words[-1])
    if is_expired(token, now or datetime.now(UTC)):
        raise UsageError(f"the token has expired: {token.expires}", hint=_AGAIN)
    return token


def is_expired(token: Token, now: datetime) -> bool:
    """Whether a token's time is over; what is no time is the server's to judge."""
    # Go has more digits of a second than Python reads.
    plain = re.sub(r"\.\d+", "", token.expires)
    try:
        return bool(plain) and datetime.fromisoformat(plain) <= now
    except (ValueError, TypeError):
        return False


def _said(text: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        if re.fullmatch(r"[A-Za-z0-9+/]+=*", text):
            raise _short() from None
        raise UsageError(
            "this is no token: a token is one long word of letters, digits, + and /", hint=_AGAIN
        ) from None
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        if raw.startswith(b"{"):
            raise _short() from None
        raise UsageError("this is no token: there is no JSON in it", hint=_AGAIN) from None
    if not isinstance(said, dict):
        raise UsageError("this is no token: there is something else in it", hint=_AGAIN)
    return said


def _short() -> UsageError:
    return UsageError("the token is not whole", hint="copy all of it, on one line")


def _parsed(said: dict[str, Any], text: str) -> Token:
    name, pin, secret = (said.get(key) for key in ("client_name", "fingerprint", "secret"))
    addresses, expires = said.get("addresses"), said.get("expires_at")
    if not (
        isinstance(name, str)
        and isinstance(pin, str)
        and isinstance(secret, str)
        and isinstance(addresses, list)
        and all(isinstance(each, str) for each in addresses)
        and name
        and secret
        and addresses
    ):
        raise UsageError("this is no token of Incus: it lacks a part", hint=_AGAIN)
    if not _HEX.fullmatch(pin.lower()):
        raise UsageError("this is no token of Incus: it has no fingerprint", hint=_AGAIN)
    when = expires if isinstance(expires, str) and not expires.startswith("0001-") else ""
    return Token(name, pin.lower(), tuple(addresses), secret, when, text)
