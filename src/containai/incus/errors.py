"""What goes wrong with an Incus server: each way is a class of its own, for whoever can go on.

    RemoteError
    └── IncusError            `code` is the HTTP status, 0 for none; `text` the server's own words
        ├── UnreachableError      no address answers: nothing was sent
        ├── CutError              the connection broke: what was asked may be done, or not
        │   └── ForgottenError        an operation is not known any more: the same
        ├── TimedOutError         no answer in time: the same
        ├── GarbageError          what came is no answer of Incus
        ├── UnavailableError      503: it starts, or stops
        ├── ForbiddenError        401, 403
        ├── NotFoundError         404
        ├── ConflictError         409: there is one already
        ├── ChangedError          412: it is not any more as it was read
        └── OperationError        an operation that had begun failed, or was cancelled
    RemoteIdentityError
    └── OtherCertificateError     the server shows another certificate than the pinned one

A 500 is an IncusError: Incus has it for every refusal that has no class there, such as those of a
restricted project.
"""

from __future__ import annotations

from containai.errors import RemoteError, RemoteIdentityError
from containai.light import Any

#: How much of what a server says is kept, in characters.
_LONGEST = 2000


class IncusError(RemoteError):
    """A request failed; `code` is its HTTP status, or 0, and `text` what the server said."""

    #: What to do where nobody knows better.
    advice = "ask the administrator of the server, or look at it: cai remote show"

    def __init__(self, message: str, *, code: int = 0, text: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint or self.advice)
        self.code = code
        self.text = text or message


class UnreachableError(IncusError):
    """No address of the server answers."""

    advice = "see whether it runs and is reached from here; there may be a VPN or a firewall"


class CutError(IncusError):
    """The connection broke before the answer was whole."""

    advice = "look at what there is, and try again: what was asked may be done"


class ForgottenError(CutError):
    """The server does not know any more what became of an operation, as after a restart."""


class TimedOutError(IncusError):
    """There was no answer in time."""

    advice = "look at what there is, and try again: what was asked may be done yet"


class GarbageError(IncusError):
    """What came is not what Incus answers."""

    advice = "see whether it is an Incus server, and nothing is in front of it"


class UnavailableError(IncusError):
    """The server starts, or stops."""

    advice = "wait a while and try again"


class ForbiddenError(IncusError):
    """The server does not know this certificate, or it may not do this."""

    advice = "ask the administrator: it is for them to say what your certificate may do"


class NotFoundError(IncusError):
    """There is no such thing, or it is in another project."""


class ConflictError(IncusError):
    """There is one of that name already."""


class ChangedError(IncusError):
    """It is not any more as it was when it was read."""


class OperationError(IncusError):
    """An operation ended badly; `metadata` is what it left, such as the exit code of an exec."""

    def __init__(self, text: str, *, code: int, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(f"the server says: {text}", code=code, text=text)
        self.metadata = metadata or {}


class OtherCertificateError(RemoteIdentityError):
    """The server shows another certificate: `pin` is the fingerprint expected, `shown` its own.

    `place` is what the user calls the server, where it is known by a name.
    """

    def __init__(self, address: str, pin: str, shown: str, place: str = "") -> None:
        accept = f"cai remote add {place} --fingerprint {shown}"
        then = f"; if so: {accept}" if place else ""
        super().__init__(
            f"{address} shows another certificate than the pinned one: its fingerprint is {shown}, "
            f"the pinned one is {pin}",
            hint="nothing was sent. Enabling a cluster changes it: ask the administrator whether "
            f"it is theirs{then}",
        )
        self.address = address
        self.pin = pin
        self.shown = shown


_BY_STATUS = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: ChangedError,
    503: UnavailableError,
}


def of_status(code: int, text: str) -> IncusError:
    """Return the error for an HTTP status, or the `error_code` of an answer, and what it says."""
    text = text.strip()[:_LONGEST] or f"status {code}"
    return _BY_STATUS.get(code, IncusError)(f"the server says: {text}", code=code, text=text)
