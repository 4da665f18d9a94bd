"""Files from the network that will run as root: pinned by sha256, kept where only root writes.

The transfer itself is the user's, not root's: what a server sends is parsed without privilege.
Proxies are taken from the environment (http_proxy, https_proxy, no_proxy), as urllib does.
"""

import errno
import hashlib
import http
import http.client
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
from io import BufferedRandom
from typing import IO, TYPE_CHECKING

from containai.errors import DownloadError, NoSpaceError
from containai.host import proc, scripts
from containai.work.actions import Pin
from containai.work.ui import Progress

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: How long a server may take until its first answer, names and redirects included, and how long it
#: may be silent later on, in seconds. Short: without a network nobody should wait for it.
ANSWER_TIMEOUT = 15.0
#: How long a whole transfer may take, in seconds: a server that trickles is not waited for.
TRANSFER_TIMEOUT = 900.0

_CHUNK = 1 << 18
#: Where files wait for their check: they may be larger than a /tmp in memory.
_SPOOL = "/var/tmp"  # noqa: S108 - an anonymous file, it has no name there


def kept(pin: Pin, directory: str) -> str | None:
    """Return the path of a file that was fetched before, if it still is what is pinned."""
    path = os.path.join(directory, pin.name)
    try:
        with open(path, "rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == pin.sha256
    except OSError:
        return None
    return path if same else None


def answers(url: str, timeout: float) -> bool:
    """Whether there is something at a URL, told within `timeout` seconds."""
    try:
        with _open(url, timeout) as answer:
            return answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def fetch(
    host: "Machine", pin: Pin, directory: str, progress: Progress, *, offline: str | None = None
) -> str:
    """Return the path of the pinned file in `directory`, which root owns; get it if need be.

    `offline` is a directory to take it from instead of the network. Raises DownloadError where it
    cannot be had or is not what is pinned, NoSpaceError; nothing is then left behind.
    """
    there = kept(pin, directory)
    if there is not None:
        return there
    path = os.path.join(directory, pin.name)
    with tempfile.TemporaryFile(dir=_SPOOL, prefix="cai-") as spool:
        source = _receive(host, pin, spool, progress, offline)
        _check(pin, spool, source)
        _keep(host, pin, spool, path)
    return path


def _receive(
    host: "Machine", pin: Pin, spool: BufferedRandom, progress: Progress, offline: str | None
) -> str:
    """Copy the file to the spool; return where it came from."""
    if offline is not None:
        source = os.path.join(offline, pin.name)
        try:
            with open(source, "rb") as file:
                _copy(host, pin, file, os.fstat(file.fileno()).st_size, spool, progress, source)
        except OSError as failed:
            raise _failure(source, failed, f"put it there; it is published at {pin.url}") from None
        return source
    progress(f"asking for {pin.url}", 0.0)
    hint = "check network and proxy (https_proxy), or fetch it elsewhere and give --offline-dir"
    try:
        with _open(pin.url, ANSWER_TIMEOUT) as answer:
            length = answer.headers.get("Content-Length") or ""
            whole = int(length) if length.isdigit() else None
            _copy(host, pin, answer, whole, spool, progress, pin.url)
    except (OSError, http.client.HTTPException) as failed:
        raise _failure(pin.url, failed, hint) from None
    return pin.url


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Open a URL. Raises OSError (TimeoutError) where no answer came within `timeout` seconds.

    In a thread: urllib's own time-out does not cover the resolver's.
    """
    answers: list[http.client.HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            answers.append(urllib.request.urlopen(url, timeout=timeout))  # noqa: S310 - pinned
        except Exception as failed:  # handed to the caller
            answers.append(failed)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if not answers:
        raise TimeoutError(f"no answer within {timeout:g} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _copy(
    host: "Machine",
    pin: Pin,
    file: IO[bytes],
    whole: int | None,
    spool: BufferedRandom,
    progress: Progress,
    source: str,
) -> None:
    if whole is not None and whole > pin.size:
        raise _too_large(pin, source, whole)
    if whole is not None and host.free_bytes(_SPOOL) < whole:
        raise NoSpaceError(
            f"{_SPOOL} has no room for {pin.name} ({whole >> 20} MiB)", hint="free some space there"
        )
    deadline = time.monotonic() + TRANSFER_TIMEOUT
    seen = 0
    while chunk := file.read(_CHUNK):
        seen += len(chunk)
        if seen > pin.size:
            raise _too_large(pin, source, seen)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not there after {TRANSFER_TIMEOUT:g} s")
        spool.write(chunk)
        progress(f"fetching {pin.name}", seen / whole if whole else None)
    spool.flush()
    if whole is not None and seen < whole:
        raise DownloadError(
            f"{source} broke off after {seen} of {whole} bytes", hint="run the command again"
        )


def _check(pin: Pin, spool: BufferedRandom, source: str) -> None:
    spool.seek(0)
    seen = hashlib.file_digest(spool, "sha256").hexdigest()
    if seen != pin.sha256:
        raise DownloadError(
            f"{source} is not the file that ContainAI trusts: its sha256 is {seen}, "
            f"expected was {pin.sha256}; nothing of it was used",
            hint="somebody between here and there may have changed it: try another network",
        )


def _keep(host: "Machine", pin: Pin, spool: BufferedRandom, path: str) -> None:
    # Not spool.seek(): that may stay within Python's buffer, and the child reads the descriptor.
    os.lseek(spool.fileno(), 0, os.SEEK_SET)
    try:
        keep = scripts.argv("host/download.sh", path, pin.sha256)
        host.run(keep, stdin_file=spool, root=True)
    except proc.ProcessError as failed:
        if "no space left" in failed.done.err.lower():
            raise NoSpaceError(
                f"{os.path.dirname(path)} has no room for {pin.name}", hint="free some space there"
            ) from None
        raise


def _too_large(pin: Pin, source: str, seen: int) -> DownloadError:
    return DownloadError(
        f"{source} is larger than {pin.name} can be: {seen} bytes or more, at most {pin.size}",
        hint="somebody between here and there may have changed it: try another network",
    )


def _failure(source: str, failed: Exception, hint: str) -> DownloadError | NoSpaceError:
    if isinstance(failed, OSError) and failed.errno == errno.ENOSPC:
        return NoSpaceError(f"{_SPOOL} is full", hint="free some space there")
    reason = getattr(failed, "reason", None) or getattr(failed, "strerror", None) or failed
    if isinstance(failed, urllib.error.HTTPError):
        reason = f"the server says {failed.code} {failed.reason}"
    return DownloadError(f"{source} cannot be had: {reason}", hint=hint)
