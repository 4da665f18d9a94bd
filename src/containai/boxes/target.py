"""What a user says to name a box. On the warm path: imports nothing."""

from __future__ import annotations

from containai.light import NamedTuple


class Target(NamedTuple):
    """A PATH and a --name, either of which may be left out.

    With `here` a directory below a workspace that has a box is one of its own.
    """

    path: str | None = None
    name: str | None = None
    here: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether a directory that has no box stands for itself, also below another workspace."""
        return self.here or self.name is not None
