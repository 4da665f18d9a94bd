"""A user of the machine."""

from collections.abc import Sequence
from typing import NamedTuple


class User(NamedTuple):
    """A user of this machine."""

    name: str
    home: str

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return the argv by which root runs a program as this user.

        In a user's home nobody else writes.
        """
        home = f"HOME={self.home}"
        return ["runuser", "--user", self.name, "--", "env", "-u", "XDG_RUNTIME_DIR", home, *argv]
