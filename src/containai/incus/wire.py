"""Requests to a server on one connection that is kept; what fails, as errors by class.

Only a GET is ever sent twice: where a kept connection turns out to have ended, and while the server
starts. Nothing is sent elsewhere, whatever it answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

from containai.host import noted
from containai.incus.errors import (
    CutError,
    GarbageError,
    IncusError,
    UnavailableError,
    of_status,
)
from containai.incus.message import Answer, Link
from containai.incus.tls import Dialler
from containai.light import Any

#: How long an answer may take, in seconds, where the caller does not say.
TIMEOUT = 60.0
#: How many bytes an answer may have: a list of a thousand boxes in full is a tenth of it.
LIMIT = 64 << 20
#: How long a server that starts is asked again, in seconds.
PATIENCE = 30.0
#: After how many idle seconds a connection is not trusted with what must not be sent twice.
_IDLE = 60.0
#: Never one that begins with `incus-cluster-`: it is refused (internal/server/cluster/request).
_AGENT = "containai"


class Wire:
    """A connection to a server, made when it is needed."""

    def __init__(self, dialler: Dialler, patience: float = PATIENCE) -> None:
        """`patience` is for how long a server that starts is asked again, in seconds."""
        self.dialler = dialler
        self._patience = patience
        self._link: Link | None = None
        self._used = 0.0

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = TIMEOUT,
        limit: int = LIMIT,
    ) -> Answer:
        """Make a request; return its answer, which is no error.

        `target` is a quoted path with its query; a body of parts needs a Content-Length among the
        headers. `timeout` is in seconds, for the answer; `limit` in bytes. Raises an IncusError, or
        OtherCertificateError.
        """
        begun = time.monotonic()
        wait, end = 0.2, begun + self._patience
        while True:
            answer, failed = self._once(method, target, body, headers, timeout, limit), None
            if answer.status >= 300:
                failed = failure(answer)
            if failed is None:
                return answer
            if not isinstance(failed, UnavailableError) or method != "GET":
                raise failed
            if time.monotonic() + wait > end or "starting" not in failed.text.lower():
                raise failed
            time.sleep(wait)
            wait = min(2.0, wait * 2)

    def upgraded(
        self, target: str, protocol: str, body: bytes = b"", *, timeout: float = TIMEOUT
    ) -> Link:
        """Have a connection speak another protocol from now on, by a POST; return it.

        It is not this wire's any more. Raises as `request` does, for every other answer.
        """
        link, _ = self._ready(may_repeat=False)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": protocol,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        try:
            link.send(head("POST", target, self.dialler.where, headers) + body)
            deadline = time.monotonic() + timeout
            answer = link.head(deadline)
            if answer.status == 101:
                self._link = None
                return link
            answer = answer._replace(body=link.body(answer, deadline, LIMIT))
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()
        if not link.is_kept:
            self.close()
        raise failure(answer)

    def _once(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str] | None,
        timeout: float,
        limit: int,
    ) -> Answer:
        begun, status = time.monotonic(), None
        try:
            link, is_new = self._ready(may_repeat=method == "GET")
            try:
                answer = self._asked(link, method, target, body, headers, timeout, limit)
            except CutError:
                if is_new or method != "GET":
                    raise
                link, _ = self._ready(may_repeat=False, anew=True)
                answer = self._asked(link, method, target, body, headers, timeout, limit)
            status = answer.status
            return answer
        finally:
            path = target.partition("?")[0]
            noted.tell(f"incus: {method} {path}", time.monotonic() - begun, status)

    def _ready(self, *, may_repeat: bool, anew: bool = False) -> tuple[Link, bool]:
        """Return a connection, and whether it is a new one."""
        kept = self._link
        if kept is not None:
            idle = time.monotonic() - self._used
            if not (anew or (idle > _IDLE and not may_repeat) or kept.is_stale()):
                return kept, False
            self.close()
        self._link = Link(self.dialler.connect())
        return self._link, True

    def _asked(
        self,
        link: Link,
        method: str,
        target: str,
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str] | None,
        timeout: float,
        limit: int,
    ) -> Answer:
        given, begin = dict(headers or {}), b""
        if isinstance(body, bytes):
            if body or method != "GET":
                given.setdefault("Content-Length", str(len(body)))
            begin, body = body, ()
        try:
            link.send(head(method, target, self.dialler.where, given) + begin, body)
            deadline = time.monotonic() + timeout
            answer = link.head(deadline)
            if answer.status == 101:
                raise GarbageError("the server answers with another protocol")
            whole = link.body(answer, deadline, limit, none=method == "HEAD")
        except BaseException:
            # Whatever is on it now, it is no answer to the next request.
            self.close()
            raise
        if link.is_kept:
            self._used = time.monotonic()
        else:
            self.close()
        return answer._replace(body=whole)


def head(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"User-Agent: {_AGENT}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    # A line's end in a name or a header would begin something else.
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line's end in a header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def value(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that an answer is. Raises GarbageError, CutError.

    Incus frames errors loosely (blank lines, no length): it is read as JSON, whatever its length.
    """
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError) as wrong:
        body = answer.body.rstrip()
        ended = not body.endswith(b"}") or getattr(wrong, "pos", 0) >= len(body)
        if ended and "content-length" not in answer.headers and answer.body.lstrip()[:1] == b"{":
            raise CutError("the server's answer breaks off") from None
        raise GarbageError(
            f"the server's answer is no JSON: {answer.body[:60]!r}",
            code=answer.status,
            hint="see whether it is an Incus server, or a proxy in front of one",
        ) from None
    if not isinstance(said, dict):
        raise GarbageError("the server's answer is not as Incus has it", code=answer.status)
    return said


def failure(answer: Answer) -> IncusError:
    """Return the error for an answer of a status that is none of success."""
    if answer.status < 300:
        return GarbageError("the server answers with no other protocol", code=answer.status)
    if answer.status < 400:
        where = answer.headers.get("location", "")
        return GarbageError(
            f"the server sends us elsewhere, which is not followed: {where[:200]}",
            code=answer.status,
            hint="give the address of the Incus server itself",
        )
    try:
        said = value(answer)
    except IncusError:
        # A proxy's own page, such as a 502.
        return of_status(answer.status, f"status {answer.status}, without a reason")
    return of_status(answer.status, text_of(said))


def text_of(said: Mapping[str, Any]) -> str:
    """Return what an error says."""
    text = said.get("error")
    return text if isinstance(text, str) else ""
