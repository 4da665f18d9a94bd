"""Images are built here, a layer at a time; a layer that is there is never built again."""

from collections.abc import Sequence

from containai.engine import configuration, forward
from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import EngineError, ImageError
from containai.host import proc, space
from containai.images import context, dockerfile, registry, rootfs
from containai.images.labels import LABEL_IMAGE, LABEL_SOURCE
from containai.images.progress import RUNS, BuildProgress, TimeLeft
from containai.images.recipe import PARENTS, ROOT, SOURCE, WORKSPACE, Recipe
from containai.layout import IMAGE_REPOSITORY, LABEL, LABEL_RECIPE
from containai.work.ui import Progress

#: What building a layer writes at most before it is cleaned, in bytes, and how long it takes, in
#: seconds on two processors. Of others, as much as of the first.
NEEDS = {"base": 4 << 30, "sdks": 4 << 30, "full": 4 << 30, WORKSPACE: 1 << 30}
#: The parts of what it begins with that a layer is installed with.
PARTS = {"full": ("node", "python")}
SECONDS = {name: sum(runs) + 30 * (name == "base") for name, runs in RUNS.items()}


def exists(engine: Engine, recipe: Recipe) -> bool:
    """Whether the image that a recipe makes is there.

    That of a workspace is made of what its parent is now, which may have been built again.
    """
    image = engine.image(recipe.reference)
    if image is None or recipe.name != WORKSPACE or recipe.parent is None:
        return image is not None
    parent = engine.image(recipe.parent.reference)
    return parent is None or _is_upon(image, parent)


def _is_upon(image: Image, parent: Image) -> bool:
    """Whether an image is layers upon another, and says of itself what that says."""
    own = {LABEL_RECIPE, LABEL_IMAGE}
    said, expected = (
        {key: text for key, text in each.labels if key.startswith(LABEL) and key not in own}
        for each in (image, parent)
    )
    return image.layers[: len(parent.layers)] == parent.layers and said == expected


def missing(engine: Engine, recipe: Recipe) -> list[Recipe]:
    """Return the layers of an image that have to be built for it, the first one first.

    What an image begins with is not asked for where the image itself is there.
    """
    layers: list[Recipe] = []
    for layer in reversed(recipe.chain):
        if exists(engine, layer):
            break
        layers.insert(0, layer)
    return layers


def ensure(
    engine: Engine,
    recipe: Recipe,
    progress: Progress,
    *,
    anew: bool = False,
) -> str:
    """Return the reference of an image; build what is missing of its layers.

    `anew` builds the image itself even so, and takes nothing from an earlier build of it. The
    certificates that boxes are told of are trusted while something is fetched, and are in no image.
    Raises ImageError, or NoSpaceError and what `Machine.surroundings` does before anything is
    written.
    """
    certificates = engine.host.surroundings.certificates
    layers = missing(engine, recipe)
    if anew and not layers:
        layers = [recipe]
    if layers:
        _require_parts(layers)
        _require_room(engine, layers)
    left = TimeLeft()
    for number, layer in enumerate(layers):
        told = _of_layer(progress, layers, number, left)
        if layer.is_pulled:
            registry.ensure(engine, layer.reference, told)
            continue
        try:
            sent = context.archive(layer, certificates)
            arguments = _arguments(engine, layer, told)
            _build(engine, layer, arguments, sent, told, anew=anew and layer == recipe)
        except (proc.ProcessError, EngineError) as failed:
            raise ImageError(
                f"image {layer.name} could not be built: {failed}",
                hint="what is built already is kept: again, it goes on from there",
            ) from None
        if layer.name == WORKSPACE and not exists(engine, layer):
            engine.docker("rmi", layer.reference, ok=(0, 1))
            raise ImageError(
                f"what was built of {dockerfile.PATH} is no layer upon the image it begins with",
                hint="look at its FROM and its labels",
            )
    return recipe.reference


def _require_parts(layers: Sequence[Recipe]) -> None:
    """Raise ImageError where a layer needs what one that it begins with is made without."""
    for layer in layers:
        without = [word for below in layer.chain for word in below.without]
        lacks = [word for word in PARTS.get(layer.name, ()) if word in without]
        if lacks:
            raise ImageError(
                f"image {layer.name} cannot be built without {' and '.join(lacks)}",
                hint="take it out of image.without, or have boxes of sdks: "
                "cai config set image.name sdks",
            )


def _require_room(engine: Engine, layers: Sequence[Recipe]) -> None:
    needs = {layer.name: NEEDS.get(layer.name, NEEDS["base"]) for layer in layers}
    what = f"building image {layers[-1].name}"
    if len(layers) > 1:
        shares = ", ".join(f"{name} {need >> 20}" for name, need in needs.items())
        what += f" ({shares})"
    space.require(engine.host, engine.layout.engine_data, sum(needs.values()), what)


def _of_layer(
    progress: Progress, layers: Sequence[Recipe], number: int, left: TimeLeft
) -> Progress:
    """Return who is told how far one of several layers is."""
    seconds = [SECONDS.get(layer.name, SECONDS["base"]) for layer in layers]
    before, whole = sum(seconds[:number]), sum(seconds)
    several = len(layers) > 1
    which = f"image {layers[number].name} ({number + 1} of {len(layers)}): " if several else ""

    def told(said: str, done: float | None) -> None:
        share = None if done is None else (before + seconds[number] * done) / whole
        soon = "" if share is None else left.after(share)
        progress(f"{which}{said}{soon}", share)

    return told


def _arguments(engine: Engine, recipe: Recipe, progress: Progress) -> dict[str, str]:
    """Return all arguments of a build; a root file system is made where it begins with one."""
    given = dict(recipe.arguments)
    if recipe.parent is None:
        root = rootfs.ensure(engine, given.get(ROOT, ""), given.get(SOURCE, "auto"), progress)
        return given | {ROOT: root.reference, SOURCE: root.source}
    parent = engine.image(recipe.parent.reference)
    source = parent.label(LABEL_SOURCE) if parent else None
    return given | upon(recipe.parent, source or rootfs.Source.DISTRO)


def upon(parent: Recipe, source: str = "SOURCE") -> dict[str, str]:
    """Return the arguments of a build: what it begins with, where what is in it is from."""
    return {ROOT: parent.reference, SOURCE: source}


def made_of(recipe: Recipe, arguments: dict[str, str]) -> list[str]:
    """Return the words of `docker build` that say what an image is made of, and by which recipe.

    For any builder: .ci/image-recipe has another one build what is published.
    """
    given = [
        word for name in sorted(arguments) for word in ("--build-arg", f"{name}={arguments[name]}")
    ]
    return [
        *given,
        "--label", f"{LABEL_RECIPE}={recipe.digest}",
        "--label", f"{LABEL_IMAGE}={recipe.name}",
    ]  # fmt: skip


def build_words(recipe: Recipe, arguments: dict[str, str], *, anew: bool = False) -> list[str]:
    """Return the words of `docker` that build an image of the context on stdin."""
    latest = ("--tag", f"{IMAGE_REPOSITORY}/{recipe.name}:latest") if recipe.name in PARENTS else ()
    return [
        "build",
        "--force-rm",
        *["--no-cache"] * anew,
        *made_of(recipe, arguments),
        "--tag", recipe.reference,
        *latest,
        "-",
    ]  # fmt: skip


def _proxies(engine: Engine) -> dict[str, str]:
    """Return the proxies for a build, as variables."""
    layout = engine.layout
    network = configuration.network(layout)
    if network is None:
        return {}
    known = engine.host.surroundings.proxies
    return forward.for_builds(known, network, forward.forwarded(layout))


def _build(
    engine: Engine,
    recipe: Recipe,
    arguments: dict[str, str],
    sent: bytes,
    progress: Progress,
    *,
    anew: bool,
) -> None:
    reader = BuildProgress(RUNS.get(recipe.name, ()))
    begins = 0.33 if recipe.parent is None else 0.0

    def on_line(line: str) -> None:
        furthest = reader.line(line)
        progress(reader.said, begins + (1 - begins) * furthest)

    try:
        command, *words = build_words(recipe, arguments, anew=anew)
        # By name: passwords in them are no command line's, and Docker keeps none of these arguments
        # in an image's history (docs.docker.com, "Predefined ARGs").
        proxies = _proxies(engine)
        named = [word for name in proxies for word in ("--build-arg", name)]
        engine.stream(command, *named, *words, on_line=on_line, stdin=sent, env=proxies)
    except EngineError as failed:
        raise EngineError(reader.error or str(failed)) from None
