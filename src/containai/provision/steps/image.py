"""The image of new boxes."""

from containai.config.settings import Settings
from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import proc
from containai.images import build, recipe
from containai.layout import Layout
from containai.provision.step import Action, Do, Finding, Progress, Scope


class Image:
    """The image of new boxes."""

    def __init__(self, settings: Settings, archive: str = "") -> None:
        self.title = f"image {settings.image_name}"
        self.settings, self.archive = settings, archive

    def check(self, layout: Layout) -> Finding:
        """Ask the engine for the image of this version's recipe."""
        if proc.which("docker") is None or not daemon.answering(layout):
            return Finding(False, "unknown until the engine runs")
        wanted = recipe.wanted(self.settings)
        there = build.exists(Engine(layout), wanted)
        return Finding(there, wanted.reference if there else "not built yet")

    def plan(self, layout: Layout) -> list[Action]:
        """Build it, or load it where an archive of it was given."""

        def make(progress: Progress) -> None:
            build.ensure(Engine(layout), recipe.wanted(self.settings), progress)

        def load(progress: Progress) -> None:
            progress(f"loading {self.archive}", None)
            build.load(Engine(layout), recipe.wanted(self.settings), self.archive)

        if self.archive:
            return [Do(f"load {self.title} from {self.archive}", load)]
        return [Do(f"build {self.title}", make)]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Images go with the engine's data."""
        return []
