"""Which of the files of a home are chosen, by patterns. Pure."""

import fnmatch
from collections.abc import Sequence
from typing import NamedTuple


class Choice(NamedTuple):
    """What is wanted of what the manifest has: all, where nothing is said."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    #: Logins.
    secrets: bool = True
    #: Also those that cannot be in two places.
    rotating: bool = False

    def refused(self, path: str) -> str:
        """Return why a path below the home is not wanted, or ""."""
        if any(matches(path, pattern) for pattern in self.exclude):
            return "excluded"
        if self.include and not any(matches(path, pattern) for pattern in self.include):
            return "not included"
        return ""


def matches(path: str, pattern: str) -> bool:
    """Whether a path below the home, or a directory on the way to it, is what a pattern says.

    `*` stands for anything, a slash too; `?` for one character, `[…]` for one of some. Case counts.
    """
    parts = path.split("/")
    ways = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(fnmatch.fnmatchcase(way, pattern) for way in ways)


def pattern(text: str) -> str:
    """Parse a pattern of a command line. Raises ValueError for one that no path can match."""
    cleaned = text.removeprefix("~/").removeprefix("./").rstrip("/")
    if not cleaned or cleaned.startswith("/") or ".." in cleaned.split("/") or "\0" in cleaned:
        raise ValueError("a path below the home, like .config/nvim or '*.json'")
    return cleaned
