"""Images are built here, once a recipe, from a root file system of a registry or the archive."""

import os
import re

from containai.engine.client import Engine
from containai.errors import EngineError, ImageError
from containai.host import packages, proc, scripts, space
from containai.images.labels import LABEL_IMAGE
from containai.images.recipe import ROOT, Recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from containai.work.ui import Progress

#: How long a registry may take until its first answer, in seconds.
REGISTRY_TIMEOUT = 20.0

#: The distribution's archive that a root file system is bootstrapped from.
SUITE = "trixie"
#: What it is called then.
BOOTSTRAPPED = f"{IMAGE_REPOSITORY}/rootfs:{SUITE}"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def exists(engine: Engine, recipe: Recipe) -> bool:
    """Whether the image that a recipe makes is there."""
    return engine.image(recipe.reference) is not None


def ensure(engine: Engine, recipe: Recipe, progress: Progress, *, anew: bool = False) -> str:
    """Return the reference of an image; build it, and what it begins with, where it is missing.

    `anew` builds it even so, and takes nothing from an earlier build of it.
    Raises ImageError, or NoSpaceError before anything is written.
    """
    if not anew and exists(engine, recipe):
        return recipe.reference
    space.require(
        engine.host, engine.layout.engine_data, space.FOR_IMAGE, f"building image {recipe.name}"
    )
    arguments = dict(recipe.arguments)
    try:
        if recipe.parent is not None:
            arguments[ROOT] = ensure(engine, recipe.parent, progress)
        else:
            arguments[ROOT] = _root(engine, arguments[ROOT], progress)
        _build(engine, recipe, arguments, progress, anew=anew)
    except (proc.ProcessError, EngineError) as failed:
        raise ImageError(f"image {recipe.name} could not be built: {failed}") from None
    return recipe.reference


def load(engine: Engine, recipe: Recipe, archive: str) -> str:
    """Return the reference of an image; take it from an archive of `docker save`.

    Raises ImageError where the archive holds no image of that recipe, or NoSpaceError.
    """
    # Its layers are unpacked beside a copy of the archive.
    needed = 2 * os.path.getsize(archive)
    space.require(engine.host, engine.layout.engine_data, needed, f"loading {archive}")
    try:
        said = engine.docker("load", "--input", archive, timeout=None).out
    except EngineError as failed:
        raise ImageError(f"{archive} could not be loaded: {failed}") from None
    loaded = re.findall(r"^Loaded image(?: ID)?: (\S+)$", said, re.MULTILINE)
    for reference in loaded:
        image = engine.image(reference)
        if image is not None and image.label(LABEL_RECIPE) == recipe.digest:
            engine.docker("tag", reference, recipe.reference)
            return recipe.reference
    raise ImageError(
        f"{archive} holds {', '.join(loaded) or 'no image'}, but not {recipe.name} as this "
        "version of cai makes it here",
        hint=f"on a machine with the same version and image.root: docker save {recipe.reference}",
    )


def _root(engine: Engine, pulled: str, progress: Progress) -> str:
    for known in (pulled, BOOTSTRAPPED):
        if engine.image(known) is not None:
            return known
    progress(f"asking the registry for {pulled}", 0.0)
    try:
        engine.docker("pull", "--quiet", pulled, timeout=REGISTRY_TIMEOUT * 15)
        return pulled
    except EngineError as failed:
        why = str(failed).splitlines()[-1].strip()
        progress(f"no registry ({why[:100]}); bootstrapping Debian {SUITE} instead", 0.02)
    _bootstrap(engine, BOOTSTRAPPED, progress)
    return BOOTSTRAPPED


def bootstrap_argv(directory: str, image: str, host: str) -> list[str]:
    """Return the command that makes a minimal root file system and gives it to the engine.

    It works in `directory`, which is root's and has nothing else in it. `host` is the engine's.
    """
    bootstrap = [
        "mmdebstrap",
        "--variant=minbase",
        f"--keyring={KEYRING}",
        "--include=ca-certificates",
        "--aptopt=Acquire::Languages \"none\"",
        SUITE,
        f"{directory}/root.tar",
        MIRROR,
    ]  # fmt: skip
    return scripts.argv("images/import.sh", directory, image, host, *bootstrap)


def _bootstrap(engine: Engine, target: str, progress: Progress) -> None:
    packages.ensure(
        engine.host, ("mmdebstrap", "debian-archive-keyring"), lambda line: progress(line, 0.03)
    )
    seen = 0

    def on_line(line: str) -> None:
        nonlocal seen
        seen += 1
        if line.startswith("I: "):
            progress("bootstrapping: " + line[3:], min(0.05 + seen * 0.02, 0.3))

    layout = engine.layout
    host = f"unix://{layout.engine_socket}"
    engine.host.stream(bootstrap_argv(layout.build_dir, target, host), on_line, root=True)


class BuildProgress:
    """Reads how far a docker build is from what it prints: its steps, and apt's packages."""

    def __init__(self) -> None:
        self._step, self._steps = 0, 1
        self._packages, self._done = 0, 0
        self._installed = False
        self._furthest = 0.0

    def line(self, line: str) -> float:
        """Take a line; return how far the build is, 0 to 1. It never goes back."""
        if step := re.match(r"Step (\d+)/(\d+) ", line):
            self._step, self._steps = int(step[1]), int(step[2])
            self._installed = self._installed or self._packages > 0
            self._packages = self._done = 0
        elif count := re.search(r"(\d+) newly installed", line):
            self._packages = int(count[1])
        elif line.startswith(("Unpacking ", "Setting up ", "Get:")):
            self._done += 1
        within = min(self._done / (3 * self._packages), 1.0) if self._packages else 0.0
        # The step that installs packages takes nearly all the time.
        installed = 1.0 if self._installed else within
        steps = max(self._step - 1, 0) / self._steps
        self._furthest = max(self._furthest, min(1.0, 0.15 * steps + 0.85 * installed))
        return self._furthest


def build_words(recipe: Recipe, arguments: dict[str, str], *, anew: bool = False) -> list[str]:
    """Return the words of `docker` that build an image."""
    given = [
        word for name in sorted(arguments) for word in ("--build-arg", f"{name}={arguments[name]}")
    ]
    return [
        "build",
        "--force-rm",
        *["--no-cache"] * anew,
        *given,
        "--label", f"{LABEL_RECIPE}={recipe.digest}",
        "--label", f"{LABEL_IMAGE}={recipe.name}",
        "--tag", recipe.reference,
        "--tag", f"{IMAGE_REPOSITORY}/{recipe.name}:latest",
        recipe.directory,
    ]  # fmt: skip


def _build(
    engine: Engine,
    recipe: Recipe,
    arguments: dict[str, str],
    progress: Progress,
    *,
    anew: bool,
) -> None:
    reader = BuildProgress()

    def on_line(line: str) -> None:
        furthest = reader.line(line)
        if line.strip():
            progress(f"building {recipe.name}: {line.strip()}", 0.33 + 0.67 * furthest)

    engine.stream(*build_words(recipe, arguments, anew=anew), on_line=on_line)
