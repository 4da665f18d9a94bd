"""Where releases of cai are, and the install.sh of one: it knows its version and its sums."""

import http.client
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any, NamedTuple

from containai.errors import DownloadError, UsageError

#: Where releases are, if nobody says otherwise; as in install.sh.
PLACE = "https://github.com/containai/containai/releases"
#: How long a server may take for an answer, in seconds, and what an install.sh may weigh.
TIMEOUT = 20.0
_LIMIT = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Release(NamedTuple):
    """A release: its version, the sha256 of its list of sums, and the script that installs it."""

    version: str
    sums: str
    script: bytes
    address: str


def checked(address: str) -> str:
    """Return an address of releases. Raises UsageError for what is neither https nor loopback."""
    try:
        parts = urllib.parse.urlsplit(address)
        fine = _is_safe(parts) and not parts.query and not parts.fragment and address.isprintable()
    except ValueError:
        fine = False
    if not fine:
        raise UsageError(f"{address!r} is no place of releases", hint="expected https://…")
    return address.rstrip("/")


def _is_safe(parts: urllib.parse.SplitResult) -> bool:
    loopback = parts.hostname in _LOOPBACK
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and loopback)
    )


def fetch(place: str, version: str = "") -> Release:
    """Return the newest release at a place, or that of a version. Raises DownloadError."""
    below = f"download/v{version}" if version else "latest/download"
    address = f"{place}/{below}/install.sh"
    try:
        script = _content(address)
    except (OSError, ValueError, http.client.HTTPException) as failed:
        known = not isinstance(failed, urllib.error.HTTPError)
        reason = (getattr(failed, "reason", None) if known else None) or failed
        raise DownloadError(
            f"{address} cannot be had: {reason}", hint="check network and proxy (https_proxy)"
        ) from None
    found = re.search(rb"^release=([0-9]+(?:\.[0-9]+)*)$", script, re.MULTILINE)
    sums = re.search(rb"^sums=([0-9a-f]{64})$", script, re.MULTILINE)
    if found is None or sums is None:
        raise DownloadError(
            f"{address} is not the install.sh of a release", hint="is that a place of releases?"
        )
    release = Release(found[1].decode(), sums[1].decode(), script, address)
    if version and release.version != version:
        raise DownloadError(f"{address} is of version {release.version}", hint="nothing was done")
    return release


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *words: Any) -> urllib.request.Request | None:
        if not _is_safe(urllib.parse.urlsplit(words[-1])):
            raise ValueError(f"it leads to {words[-1]!r}, which is not https")
        return super().redirect_request(*words)


def _content(address: str) -> bytes:
    """Return what is at an address. In a thread: no time-out of urllib covers the resolver."""
    loopback = urllib.parse.urlsplit(address).hostname in _LOOPBACK
    handlers = [urllib.request.ProxyHandler({})] if loopback else []
    opener = urllib.request.build_opener(_Redirects, *handlers)
    outcome: list[bytes | Exception] = []

    def ask() -> None:
        try:
            with opener.open(address, timeout=TIMEOUT) as answer:
                outcome.append(_whole(answer))
        except Exception as failed:  # handed to the caller
            outcome.append(failed)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * TIMEOUT)
    if not outcome:
        raise TimeoutError(f"no answer within {2 * TIMEOUT:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _whole(answer: IO[bytes]) -> bytes:
    content = answer.read(_LIMIT + 1)
    if len(content) > _LIMIT:
        raise ValueError("it is larger than an install.sh can be")
    return content
