"""What is said of one thing of a server: that it is right, wrong, or only wanted. Pure."""

from typing import NamedTuple

from containai.work.actions import Finding

#: What to do about what is to be set otherwise.
AGAIN = "the administrator does it on the server: cai remote prepare"


class Check(NamedTuple):
    """What was looked at, what was found, and what it means for a user where it does not hold."""

    title: str
    finding: Finding[None]
    means: str


def fine(text: str, hint: str = "") -> Finding[None]:
    """Say that it is right."""
    return Finding(True, text, hint=hint)


def wrong(text: str, hint: str = AGAIN) -> Finding[None]:
    """Say that it is wrong, and what to do."""
    return Finding(False, text, hint=hint)


def wanted(text: str, hint: str = AGAIN) -> Finding[None]:
    """Say that it would be better otherwise."""
    return Finding(False, text, optional=True, hint=hint)
