"""The image of new boxes."""

from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import proc
from containai.images import build
from containai.layout import Layout
from containai.provision.step import Action, Do, Finding, Progress, Scope


class Image:
    """The image of new boxes."""

    def __init__(self, name: str, root: str, archive: str = "") -> None:
        self.title = f"image {name}"
        self.name, self.root, self.archive = name, root, archive

    def check(self, layout: Layout) -> Finding:
        """Ask the engine for the image of this version's recipe."""
        if proc.which("docker") is None or not daemon.answering(layout):
            return Finding(False, "unknown until the engine runs")
        there = build.exists(Engine(layout), self.name)
        return Finding(there, build.reference(self.name) if there else "not built yet")

    def plan(self, layout: Layout) -> list[Action]:
        """Build it, or load it where an archive of it was given."""

        def make(progress: Progress) -> None:
            build.ensure(Engine(layout), self.name, self.root, progress)

        def load(progress: Progress) -> None:
            progress(f"loading {self.archive}", None)
            build.load(Engine(layout), self.name, self.archive)

        if self.archive:
            return [Do(f"load image {self.name} from {self.archive}", load)]
        return [Do(f"build image {self.name}", make)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Images go with the engine's data."""
        return []
