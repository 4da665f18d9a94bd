"""Incus as one object: requests of a project, and operations that are waited for."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping

from containai.incus.errors import (
    CutError,
    ForgottenError,
    GarbageError,
    IncusError,
    NotFoundError,
    OperationError,
    TimedOutError,
    UnavailableError,
    UnreachableError,
    of_status,
)
from containai.incus.message import Answer, quoted
from containai.incus.message import query as queried
from containai.incus.tls import Dialler, Server
from containai.incus.wire import LIMIT, PATIENCE, TIMEOUT, Wire, text_of, value
from containai.light import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Self

    from containai.work.ui import Progress

#: How long the server holds a wait, in seconds: what is in between may cut a longer one.
_HELD = 20
#: The same where somebody wants to see how far it is.
_HELD_FOR_NEWS = 1
#: How long after a wait that broke the next one begins, in seconds.
_PAUSE = 0.5
#: How long an operation may take, in seconds, where the caller does not say.
OPERATION_TIMEOUT = 300.0
#: Statuses of operations (shared/api/status_code.go): what is below SUCCESS goes on.
SUCCESS = 200
CANCELLED = 401


class Reply(NamedTuple):
    """What a request got: its metadata, the object's ETag, and the operation that it began.

    Both are "" where there is none. `operation` is its id; the metadata is then the operation.
    """

    value: Any
    etag: str = ""
    operation: str = ""


class Incus:
    """A server, as seen from one project of it."""

    def __init__(self, server: Server, project: str = "", *, patience: float = PATIENCE) -> None:
        """Without a `project` it is for what is of the whole server.

        `patience` is for how long it is asked again while it starts, in seconds.
        """
        self.server = server
        self.project = project
        self.dialler = Dialler(server)
        self.wire = Wire(self.dialler, patience)
        self.patience = patience

    def __enter__(self) -> Self:
        """Have it closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """End its connection."""
        self.wire.close()

    def target(self, path: str, query: Mapping[str, str | int] | None = None) -> str:
        """Return what is asked for: a quoted path below /1.0, of this project."""
        own: dict[str, str | int] = {"project": self.project} if self.project else {}
        return f"/1.0{path}{queried(own | dict(query or {}))}"

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, timeout: float = TIMEOUT
    ) -> Any:
        """Return the metadata of what is at a path below /1.0, which is quoted: `/instances/a`.

        Raises an IncusError.
        """
        return self.read(path, query, timeout=timeout).value

    def read(
        self, path: str, query: Mapping[str, str | int] | None = None, *, timeout: float = TIMEOUT
    ) -> Reply:
        """Return what is at a path, with its ETag: for `send`, to change what was seen only."""
        return self._replied(self.wire.request("GET", self.target(path, query), timeout=timeout))

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        *,
        etag: str = "",
        timeout: float = TIMEOUT,
    ) -> Reply:
        """Make a POST, PUT, PATCH or DELETE of JSON; what it begins is not waited for.

        With an `etag` it raises ChangedError where the object is not as it was. Raises an
        IncusError.
        """
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if raw else {}
        if etag:
            headers["If-Match"] = etag
        answer = self.wire.request(method, self.target(path, query), raw, headers, timeout=timeout)
        return self._replied(answer)

    def do(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        *,
        timeout: float = OPERATION_TIMEOUT,
        progress: Progress | None = None,
    ) -> Any:
        """Make a request as `send` does, and wait for what it begins; return the metadata.

        Raises an IncusError: OperationError for what failed later, TimedOutError after `timeout`
        seconds.
        """
        begun = self.send(method, path, body, query)
        if not begun.operation:
            return begun.value
        return self.wait(begun.operation, timeout, progress).get("metadata")

    def raw(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = TIMEOUT,
        limit: int = LIMIT,
    ) -> Answer:
        """Make a request of which not all is JSON; `target` is from `target`."""
        return self.wire.request(method, target, body, headers, timeout=timeout, limit=limit)

    def wait(
        self,
        operation: str,
        timeout: float = OPERATION_TIMEOUT,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Wait until an operation has ended; return it. `operation` is its id.

        Raises OperationError where it failed or was cancelled; TimedOutError after `timeout`
        seconds, when it is cancelled if that can be; ForgottenError where the server has forgotten
        it, which it does 5 s after its end and at a restart: look at what it was to make.
        """
        end = time.monotonic() + timeout
        broken = math.inf
        while (left := end - time.monotonic()) > 0:
            held = _HELD_FOR_NEWS if progress else _HELD
            try:
                seen = self._waited(operation, max(1, min(held, math.ceil(left))))
            except (CutError, UnreachableError, UnavailableError, TimedOutError):
                # It goes on without us.
                broken = min(broken, time.monotonic())
                if time.monotonic() - broken > self.patience:
                    raise
                time.sleep(min(_PAUSE, left))
                continue
            except NotFoundError:
                # No such thing was not found: who asked would take that for what is gone.
                raise ForgottenError(
                    "the server was started again in the middle, and has forgotten what it was at"
                ) from None
            broken = math.inf
            status = seen.get("status_code")
            if isinstance(status, int) and status >= SUCCESS:
                return _ended(seen, status)
            if progress:
                _tell(seen, progress)
        raise self._given_up(operation, timeout)

    def cancel(self, operation: str) -> bool:
        """Cancel an operation; return whether that could be. Most that change a box cannot."""
        try:
            self.send("DELETE", f"/operations/{quoted(operation)}", timeout=10.0)
        except (IncusError, OSError):
            return False
        return True

    def look(self, operation: str) -> dict[str, Any]:
        """Return an operation as it is now. Raises NotFoundError from 5 s after its end on."""
        return _object(self.get(f"/operations/{quoted(operation)}"))

    def _waited(self, operation: str, seconds: int) -> dict[str, Any]:
        path = f"/operations/{quoted(operation)}"
        target = self.target(f"{path}/wait", {"timeout": seconds})
        said = value(self.wire.request("GET", target, timeout=seconds + 15.0))
        if said.get("type") != "error":
            return _object(said.get("metadata"))
        # Until 6.0.5 a failure, and that time is up, are errors after a 200 (commit 98c20bf05f).
        try:
            return self.look(operation)
        except NotFoundError:
            if "deadline exceeded" in text_of(said):
                raise
            code = said.get("error_code")
            code = code if isinstance(code, int) else 400
            raise OperationError(text_of(said), code=code) from None

    def _given_up(self, operation: str, timeout: float) -> TimedOutError:
        is_cancelled = self.cancel(operation)
        also = "it was cancelled" if is_cancelled else "it cannot be cancelled, and may go on"
        return TimedOutError(
            f"the server has not ended it within {timeout:g} s; {also}",
            hint="see what it does: incus operation list",
        )

    def _replied(self, answer: Answer) -> Reply:
        said = value(answer)
        kind, metadata = said.get("type"), said.get("metadata")
        if kind == "error":
            code = said.get("error_code")
            raise of_status(code if isinstance(code, int) else answer.status, text_of(said))
        etag = answer.headers.get("etag", "")
        if kind == "sync":
            return Reply(metadata, etag)
        # Not `operation`: until 6.0.5 it has a query behind it in a cluster.
        name = _object(metadata).get("id")
        if kind != "async" or not isinstance(name, str) or not name:
            raise GarbageError("the server's answer is not as Incus has it", code=answer.status)
        return Reply(metadata, etag, name)


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise GarbageError("the server's answer is not as Incus has it")
    return given


def _ended(seen: dict[str, Any], status: int) -> dict[str, Any]:
    if status == SUCCESS:
        return seen
    said, left = seen.get("err"), seen.get("metadata")
    text = said if isinstance(said, str) and said else "the operation failed"
    if status == CANCELLED:
        text = "the operation was cancelled"
    raise OperationError(text, code=status, metadata=left if isinstance(left, dict) else None)


def _tell(seen: Mapping[str, Any], progress: Progress) -> None:
    """Tell how far an operation is: all values are text (internal/server/operations/util.go)."""
    left = seen.get("metadata")
    left = left if isinstance(left, dict) else {}
    known = left.get("progress")
    percent = str(known.get("percent", "")) if isinstance(known, dict) else ""
    share = int(percent) / 100 if percent.isdecimal() and percent.isascii() else None
    said = [each for key, each in left.items() if str(key).endswith("_progress")]
    text = said[-1] if said and isinstance(said[-1], str) else str(seen.get("description", ""))
    progress(text, None if share is None else min(1.0, share))
