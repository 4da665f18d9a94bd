"""A step: a read-only check, a plan that would make it right, and the way back."""

import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from containai.config.settings import Settings
from containai.host import files, machine, proc
from containai.layout import Layout

#: (what is being done, how far it is: 0 to 1, or None where nobody knows)
Progress = Callable[[str, float | None], None]

#: How long the line of a command may be where a plan is shown before it is agreed to.
BRIEF = 110


class Choices(NamedTuple):
    """What the user chose for this machine: settings, and options of `cai setup`."""

    settings: Settings
    #: An archive of the image that is loaded instead of building it, or "".
    image_archive: str = ""
    #: A directory that packages are taken from instead of the network, or "".
    offline_dir: str = ""


class Scope(NamedTuple):
    """What `cai uninstall` takes away beside what setup made: nothing of it unless told."""

    containers: bool = False
    volumes: bool = False
    images: bool = False
    #: All of those, and settings, keys and the engine's data.
    purge: bool = False


class Finding(NamedTuple):
    """What a check saw: whether all is right, in a few words what is there or missing, advice.

    `optional`: setup tries to make it right, and goes on where that fails.
    """

    ok: bool
    seen: str
    optional: bool = False
    hint: str = ""

    @property
    def passes(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.ok or self.optional


class Run(NamedTuple):
    """A command, as root unless said otherwise; `user` is one for whom it is run, through sudo.

    `title` says in a plan what a command is for that is a whole script.
    """

    argv: Sequence[str]
    root: bool = True
    user: machine.User | None = None
    title: str = ""

    def _argv(self) -> list[str]:
        return list(self.argv) if self.user is None else machine.as_user(self.user, self.argv)

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"{'# ' if self.root else '$ '}{proc.describe(self._argv())}"

    def brief(self) -> str:
        """Return a line of it."""
        line = f"# {self.title}" if self.title else self.describe()
        return textwrap.shorten(line, BRIEF, placeholder=" …", break_on_hyphens=False)

    def apply(self, progress: Progress) -> None:
        """Run it."""
        proc.stream(self._argv(), lambda line: progress(line, None), root=self.root)


class WriteFile(NamedTuple):
    """A file of the machine, owned by root."""

    path: str
    text: str
    mode: int = 0o644

    def describe(self) -> str:
        """Return what a dry run prints: the whole of it."""
        return f"{self.brief()}\n" + textwrap.indent(self.text, "    ", lambda _: True)

    def brief(self) -> str:
        """Return a line of it."""
        return f"# write {self.path} (mode {self.mode:o}, {len(self.text.encode())} bytes)"

    def apply(self, progress: Progress) -> None:
        """Write it, whole or not at all."""
        progress(f"writing {self.path}", None)
        files.write_as_root(self.path, self.text, self.mode)


class Do(NamedTuple):
    """Something that is more than a command."""

    title: str
    act: Callable[[Progress], object]

    def describe(self) -> str:
        """Return what a dry run prints."""
        return self.title

    def brief(self) -> str:
        """Return a line of it."""
        return self.title

    def apply(self, progress: Progress) -> None:
        """Do it."""
        self.act(progress)


Action = Run | WriteFile | Do


class Step(Protocol):
    """One thing that setup, doctor and uninstall know how to check, to make right and to undo."""

    title: str

    def check(self, layout: Layout) -> Finding:
        """Look, and change nothing. Raises a ContainAIError for what no plan can mend."""

    def plan(self, layout: Layout) -> list[Action]:
        """Return what would make it right; nothing where it is."""

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Return what takes it away again; nothing where there is nothing of it."""


class Fact:
    """A step that only looks: its check says what is not as it has to be, or raises."""

    def plan(self, layout: Layout) -> list[Action]:
        """Nothing of ours would make it right."""
        return []

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Nothing of it is ours."""
        return []
