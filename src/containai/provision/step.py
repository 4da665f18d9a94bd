"""A step: a read-only check, a plan that would make it right, and the way back."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from containai.host import files, proc
from containai.layout import Layout

#: (what is being done, how far it is: 0 to 1, or None where nobody knows)
Progress = Callable[[str, float | None], None]


class Choices(NamedTuple):
    """What the user chose for this machine: settings and options of `cai setup`."""

    image: str
    image_root: str
    #: An archive of the image that is loaded instead of building it, or "".
    image_archive: str = ""
    #: auto, sysbox or embedded.
    runtime: str = "auto"


class Scope(NamedTuple):
    """What `cai uninstall` takes away beside what setup made: nothing of it unless told."""

    containers: bool = False
    volumes: bool = False
    images: bool = False
    #: All of those, and settings, keys and the engine's data.
    purge: bool = False


class Finding(NamedTuple):
    """What a check saw: whether all is right, and in a few words what is there or missing.

    `optional`: setup tries to make it right, and goes on where that fails.
    """

    ok: bool
    seen: str
    optional: bool = False


class Run(NamedTuple):
    """A command, as root unless said otherwise."""

    argv: Sequence[str]
    root: bool = True

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"{'# ' if self.root else '$ '}{proc.describe(self.argv)}"

    def apply(self, progress: Progress) -> None:
        """Run it."""
        proc.stream(self.argv, lambda line: progress(line, None), root=self.root)


class WriteFile(NamedTuple):
    """A file of the machine, owned by root."""

    path: str
    text: str
    mode: int = 0o644

    def describe(self) -> str:
        """Return what a dry run prints."""
        return f"write {self.path} (mode {self.mode:o}, {len(self.text.encode())} bytes)"

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

    def apply(self, progress: Progress) -> None:
        """Do it."""
        self.act(progress)


Action = Run | WriteFile | Do


class Step(Protocol):
    """One thing that setup, doctor and uninstall know how to check, to make right and to undo."""

    title: str

    def check(self, layout: Layout) -> Finding:
        """Look, and change nothing. Raises UnsupportedError for what no plan can mend."""

    def plan(self, layout: Layout) -> list[Action]:
        """Return what would make it right; nothing where it is."""

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Return what takes it away again; nothing where there is nothing of it."""
