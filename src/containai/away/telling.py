"""What a server of Incus refuses, in words of boxes: which place it was, and what to do there."""

from collections.abc import Iterator
from contextlib import contextmanager

from containai.errors import (
    NameTakenError,
    NoSpaceError,
    NotThereError,
    RemoteError,
    RemoteIdentityError,
)
from containai.incus import instances
from containai.incus.errors import ForbiddenError, IncusError

#: Choosing nodes, and the key of a project that allows its users to.
CHOICE = ("the choice of a node", "restricted.cluster.target")
#: What a restricted project says (internal/server/project/permissions.go), and its keys.
_NOT_ALLOWED = (
    ("snapshot creation", "a snapshot", "restricted.snapshots"),
    ("cluster member targeting", *CHOICE),
)
#: What a server says whose storage is full.
_FULL = ("no space left", "disk quota exceeded", "not enough space")


@contextmanager
def told(place: str, project: str) -> Iterator[None]:
    """Have it said in what fails which place it was."""
    try:
        yield
    except (IncusError, RemoteIdentityError) as failed:
        text = failed.text if isinstance(failed, IncusError) else ""
        if any(each in text.lower() for each in _FULL):
            raise NoSpaceError(
                f"{place} has no room: {text}",
                hint="remove boxes there that nobody needs (cai ls), or ask its administrator",
            ) from None
        if is_of_a_node(text):
            raise RemoteError(
                f"{place}: the node that has it is away",
                hint="it comes back with that; see: cai ls",
            ) from None
        for words, what, key in _NOT_ALLOWED:
            if words in text:
                raise not_allowed(place, project, what, key) from None
        if isinstance(failed, ForbiddenError):
            failed.hint = (
                "its administrator took your certificate back, or you may not do this there: "
                "ask for a token, then: cai remote add"
            )
        if not str(failed).startswith(f"{place}: "):
            failed.args = (f"{place}: {failed}",)
        raise


@contextmanager
def free(place: str, name: str, hint: str) -> Iterator[None]:
    """Have it said where a name is taken."""
    try:
        yield
    except IncusError as failed:
        if instances.is_taken(failed):
            raise NameTakenError(f"there is {name!r} on {place}", hint=hint) from None
        raise


def is_of_own_keys(text: str) -> bool:
    """Whether a restricted project refused keys that only the server sets."""
    return '"volatile.' in text and "is forbidden" in text


def is_of_a_node(text: str) -> bool:
    """Whether a member of a cluster was asked that is away, as another member says it.

    The second is for as long as that has not noticed (internal/server/cluster/events.go,
    shared/tls/network.go).
    """
    return "target cluster member" in text or "Unable to connect to:" in text


def not_allowed(place: str, project: str, what: str, key: str) -> NotThereError:
    """Return the error for what a key of a project does not allow."""
    return NotThereError(
        f"{what} is not allowed on {place}",
        hint=f"its administrator allows it: incus project set {project} {key}=allow",
    )
