"""What a user says to name a box. On the warm path: imports nothing."""

from typing import NamedTuple


class Target(NamedTuple):
    """A PATH and a --name, either of which may be left out."""

    path: str | None = None
    name: str | None = None
