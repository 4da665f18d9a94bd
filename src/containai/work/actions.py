"""What a check found, and what would make it right: values that a dry run prints.

host/perform.py carries an action out.
"""

import os
import shlex
import textwrap
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from containai.work.ui import Progress
from containai.work.user import User

#: How long the line of a command may be where a plan is shown before it is agreed to.
BRIEF = 110
#: From how many files on a plan is shown with one line for all of them.
MANY_FILES = 4

#: What a check has measured for the plan of its step.
Data = TypeVar("Data")


class State(StrEnum):
    """How something that was checked is."""

    OK = "ok"
    #: It is not there, and only wanted.
    NONE = "none"
    WRONG = "wrong"
    #: It could not be looked at.
    UNKNOWN = "unknown"


class Finding(NamedTuple, Generic[Data]):
    """What a check saw: whether all is right, in a few words what is there or missing, advice.

    `optional`: setup tries to make it right, and goes on where that fails.
    `data` is what the plan of the step needs of it; None where there is nothing to plan.
    `is_unknown`: it could not be looked at, and `seen` says why (see `unknown`).
    `is_harmless`: this time, making it right interrupts nothing of what its step may.
    """

    ok: bool
    seen: str
    optional: bool = False
    hint: str = ""
    data: Data | None = None
    is_unknown: bool = False
    is_harmless: bool = False

    @property
    def state(self) -> State:
        """How it is, in a word."""
        if self.is_unknown:
            return State.UNKNOWN
        if self.ok:
            return State.OK
        return State.NONE if self.optional else State.WRONG

    @property
    def passes(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.state in (State.OK, State.NONE)

    def told(self) -> dict[str, bool | str]:
        """Return what everybody is told of it."""
        return {
            "state": self.state.value,
            "ok": self.ok,
            "seen": self.seen,
            "optional": self.optional,
            "hint": self.hint,
        }


def unknown(why: str, *, hint: str = "", optional: bool = False) -> Finding[Any]:
    """Return what a check says that could not be made: never that all is right, nor that it is not.

    Setup makes a plan for it; doctor leaves it.
    """
    return Finding(False, why, optional=optional, hint=hint, is_unknown=True)


class Run(NamedTuple):
    """A command, as root unless said otherwise; `user` is one for whom it is run, through sudo.

    `title` says in a plan what a command is for that is a whole script.
    """

    argv: Sequence[str]
    root: bool = True
    user: User | None = None
    title: str = ""

    @property
    def words(self) -> list[str]:
        """What is run."""
        return list(self.argv) if self.user is None else self.user.argv(self.argv)

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"{'# ' if self.root else '$ '}{shlex.join(self.words)}"

    def brief(self) -> str:
        """Return a line of it."""
        line = f"# {self.title}" if self.title else self.describe()
        return textwrap.shorten(line, BRIEF, placeholder=" …", break_on_hyphens=False)


class WriteFile(NamedTuple):
    """A file of the machine, owned by root; `shown` is what a dry run prints of a secret one."""

    path: str
    text: str
    mode: int = 0o644
    shown: str | None = None

    def describe(self) -> str:
        """Return what a dry run prints: the whole of it, if it is no secret."""
        text = self.text if self.shown is None else self.shown
        return f"{self.brief()}\n" + textwrap.indent(text, "    ", lambda _: True)

    def brief(self) -> str:
        """Return a line of it."""
        return f"# write {self.path} (mode {self.mode:o}, {len(self.text.encode())} bytes)"


class Pin(NamedTuple):
    """A file of the network: where it is, what it must be, and its size at most, in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Its name, as the URL has it."""
        return self.url.rpartition("/")[2]


class Fetch(NamedTuple):
    """A pinned file, kept in a directory of root's; from the directory `offline`, if any."""

    pin: Pin
    directory: str
    offline: str | None = None

    @property
    def path(self) -> str:
        """Where it is then."""
        return os.path.join(self.directory, self.pin.name)

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"{self.brief()} (sha256 {self.pin.sha256}) to {self.path}"

    def brief(self) -> str:
        """Return a line of it."""
        local = self.offline and os.path.join(self.offline, self.pin.name)
        return f"# fetch {local or self.pin.url}"


class Do(NamedTuple):
    """Something that is more than commands and files: it waits, locks or decides on the way.

    `details` are its commands, or what else it does, a line each, as a dry run prints them.
    """

    title: str
    act: Callable[[Progress], object]
    details: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return what a dry run prints."""
        return "\n".join([self.title, *(textwrap.indent(line, "    ") for line in self.details)])

    def brief(self) -> str:
        """Return a line of it."""
        return self.title


class Trial:
    """Several actions of which all is left when one fails: whoever performs them says why here."""

    def __init__(self) -> None:
        self.failed = ""


class Attempted(NamedTuple):
    """An action of a trial: what fails, fails only that."""

    action: "Action"
    trial: Trial

    def describe(self) -> str:
        """Return what a dry run prints."""
        return self.action.describe()

    def brief(self) -> str:
        """Return a line of it."""
        return self.action.brief()


class Later(NamedTuple):
    """What of a plan is known only once the steps before it are done. Nothing is done for it."""

    what: str

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"(known only later: {self.what})"

    def brief(self) -> str:
        """Return a line of it."""
        return self.describe()


Action = Run | WriteFile | Fetch | Do | Attempted | Later


class Plan(NamedTuple):
    """What would be done for one purpose, in order."""

    title: str
    actions: tuple[Action, ...]

    def describe(self) -> str:
        """Return what a dry run prints."""
        return "".join(f"{action.describe()}\n" for action in self.actions)

    def brief(self) -> str:
        """Return it with a line each, and one for many files."""
        bare = [_bare(action) for action in self.actions]
        paths = [action.path for action in bare if isinstance(action, WriteFile)]
        folded = len(paths) >= MANY_FILES
        lines = [_files_below(paths)] if folded else []
        for action in bare:
            if not (folded and isinstance(action, WriteFile)):
                lines.append(action.brief())
        return "".join(f"{line}\n" for line in lines)


def _bare(action: Action) -> Action:
    return action.action if isinstance(action, Attempted) else action


def _files_below(paths: Sequence[str]) -> str:
    return f"# write {len(paths)} files below {os.path.commonpath(paths)}"


def agreement(plans: Sequence[Plan]) -> str:
    """Return what somebody is asked to agree to; a # is what root does."""
    lines = "".join(plan.brief() for plan in plans)
    return "What will be done (# as root):\n" + textwrap.indent(lines, "  ")


def dry_run(plans: Sequence[Plan]) -> str:
    """Return all that would be done: every command and the content of every file."""
    return "".join(plan.describe() for plan in plans) or "nothing to do\n"
