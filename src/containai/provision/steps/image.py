"""The image of new boxes."""

from collections.abc import Callable

from containai.config.settings import Settings
from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import proc
from containai.host.machine import Machine
from containai.images import archive, build, recipe, rootfs, stored
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Do, Finding, unknown
from containai.work.ui import Progress


class Image(Described):
    """The image of new boxes."""

    area = Area.IMAGES
    holds = "the image of this version's recipe is there, with the files of its layers"
    otherwise = "it is built; anew where files of its layers are gone, which takes minutes"
    looks = "the engine is asked for the name that follows from the recipe; layers are looked for"
    means = "the next new box waits until it is built; without a layer, none is made or started"

    def __init__(self, settings: Settings, archive: str = "") -> None:
        self.title = f"image {settings.image_name}"
        self.settings, self.archive = settings, archive

    def check(self, host: Machine) -> Finding[list[str]]:
        """Ask the engine for the image of this version's recipe, and look for its layers."""
        if not daemon.reachable(host):
            return unknown("the engine does not run")
        wanted = recipe.wanted(self.settings)
        if not build.exists(Engine(host), wanted):
            return Finding(False, "not built yet")
        lost = stored.lost(Engine(host), wanted.reference)
        if lost:
            return Finding(False, f"files of its layers are gone: {', '.join(lost)}", data=lost)
        return Finding(True, wanted.reference)

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Build it, or load it where an archive of it was given; anew where it has lost layers."""
        if finding.ok:
            return []
        if finding.data:
            return [Do(f"build {self.title} anew", self._anew(host), self._building(host))]

        def make(progress: Progress) -> None:
            build.ensure(Engine(host), recipe.wanted(self.settings), progress)

        def load(progress: Progress) -> None:
            archive.load(Engine(host), [recipe.wanted(self.settings)], self.archive, progress)

        if self.archive:
            return [Do(f"load {self.title} from {self.archive}", load, self._loading(host))]
        return [Do(f"build {self.title}", make, self._building(host))]

    def _anew(self, host: Machine) -> Callable[[Progress], None]:
        return lambda told: stored.build_anew(Engine(host), recipe.wanted(self.settings), told)

    def _loading(self, host: Machine) -> tuple[str, ...]:
        engine, wanted = Engine(host), recipe.wanted(self.settings).reference
        return (
            f"# {proc.describe(engine.argv('load', '--input', self.archive))}",
            f"# {proc.describe(engine.argv('tag', 'IMAGE', wanted))}, of the image in it that is "
            "of this version's recipe",
        )

    def _building(self, host: Machine) -> tuple[str, ...]:
        layout = host.layout
        engine, wanted = Engine(host), recipe.wanted(self.settings)
        if wanted.is_pulled:
            return (f"# {proc.describe(engine.argv('pull', wanted.reference))}",)
        socket = f"unix://{layout.engine_socket}"
        root = rootfs.bootstrapped_reference()
        bootstrap = rootfs.bootstrap_argv(layout.build_dir, root, socket)
        unknown = {recipe.ROOT: "ROOT", recipe.SOURCE: "SOURCE"}
        lines = [
            f"# {proc.describe(engine.argv('pull', '--quiet', self.settings.image_root))}",
            "where no registry answers, mmdebstrap and debian-archive-keyring are installed, and:",
            f"# {proc.describe(bootstrap)}",
        ]
        if self.settings.image_source == rootfs.Source.DISTRO:
            lines = lines[1:]
        elif self.settings.image_source == rootfs.Source.UPSTREAM:
            lines = lines[:1]
        lines += ["with ROOT for what of both there is, and SOURCE for which, the recipe on stdin:"]
        for layer in wanted.chain:
            words = build.build_words(layer, dict(layer.arguments) | unknown)
            lines.append(f"# {proc.describe(engine.argv(*words))}")
        return tuple(lines)

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Images go with the engine's data."""
        return []
