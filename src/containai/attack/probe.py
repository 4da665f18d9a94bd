"""What a probe is. Standard library only: this file is sent into the box with the probes."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What a probe saw, in a few words, and whether it should not be there."""

    found: bool
    text: str


class Unverified(Exception):  # noqa: N818 - it is an answer, not a failure of the program
    """The probe could not look. That is never fine."""


class Probe(NamedTuple):
    """One thing that must not be possible.

    `stands_for` names the attacks and checks that need it, `looks_at` says how it is decided, and
    `remedy` what to do where it is found.
    """

    name: str
    stands_for: str
    looks_at: str
    remedy: str
    check: Callable[..., Seen]


#: Run in the box; no arguments.
INSIDE: list[Probe] = []
#: Run on the host, over facts.Facts.
OUTSIDE: list[Probe] = []
#: The host's TCP ports that its user opened to boxes. Known on the host; sent with the probes.
HOST_PORTS: set[int] = set()
#: Where the box has more of the host than its workspace, by design; sent, too.
PLACES: set[str] = set()

Check = Callable[..., Any]


def inside(name: str, *, stands_for: str, looks_at: str, remedy: str) -> Callable[[Check], Check]:
    """Add a function to the probes that run in the box."""
    return _adder(INSIDE, name, stands_for, looks_at, remedy)


def outside(name: str, *, stands_for: str, looks_at: str, remedy: str) -> Callable[[Check], Check]:
    """Add a function to the probes that run on the host."""
    return _adder(OUTSIDE, name, stands_for, looks_at, remedy)


def _adder(
    probes: list[Probe], name: str, stands_for: str, looks_at: str, remedy: str
) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        probes.append(Probe(name, stands_for, looks_at, remedy, check))
        return check

    return add


def fine(text: str) -> Seen:
    """Return an answer: not possible here."""
    return Seen(found=False, text=text)


def found(text: str) -> Seen:
    """Return an answer: this is possible, and must not be."""
    return Seen(found=True, text=text)


def verdict(bad: list[str], good: str) -> Seen:
    """Return found with the first of what is bad, or fine where there is nothing bad."""
    if not bad:
        return fine(good)
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    return found(", ".join(bad[:4]) + more)
