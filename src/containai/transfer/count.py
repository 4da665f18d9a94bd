"""What of a box's work was not fetched yet, for who is about to remove the box."""

import re
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.host.proc import Programs
from containai.transfer.reach import Reach, asked, shown
from containai.transfer.state import State

_NUMBER = re.compile(r"(commits|changed|stash) ([0-9]{1,9})")


class Unfetched(NamedTuple):
    """How many commits, changed files and stashes only the box has.

    Where it could not be asked, `unknown` says why.
    """

    commits: int = 0
    changed: int = 0
    stashes: int = 0
    unknown: str = ""

    @property
    def is_any(self) -> bool:
        """Whether there is something to lose, as far as is known."""
        return bool(self.commits or self.changed or self.stashes or self.unknown)


def unfetched(programs: Programs, reach: Reach, state: State) -> Unfetched:
    """Return what a box has of a git workspace that was not fetched. Nothing is raised.

    The box answers for itself: one that lies loses its own work.
    """
    try:
        return counts(asked(programs, reach, "count.sh", *state.known).out)
    except (ContainAIError, ValueError) as wrong:
        return Unfetched(unknown=shown(str(wrong)))


def counts(text: str) -> Unfetched:
    """Return what a box counted. Raises ValueError for another answer."""
    matches = filter(None, map(_NUMBER.fullmatch, text.splitlines()))
    found = {match[1]: int(match[2]) for match in matches}
    if set(found) != {"commits", "changed", "stash"}:
        raise ValueError("the box answered something else")
    return Unfetched(found["commits"], found["changed"], found["stash"])
