import itertools
from typing import Any

import pytest

from containai.config.settings import Settings
from containai.engine.container import Image
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.host.fake import FakeMachine
from containai.images import build, recipe, rootfs
from containai.images.labels import LABEL_SOURCE
from containai.images.recipe import Recipe
from containai.layout import LABEL_RECIPE, Layout

BASE = recipe.find("base", Settings())


class BuildingEngine:
    """An engine that has some images, and takes note of what it is told to build."""

    layout = Layout("/nowhere", "/nowhere/home", 0)

    def __init__(self, *images, free=1 << 40):
        self.host = FakeMachine(self.layout)
        self.host.free = free
        self.images, self.built = dict.fromkeys(images, ()), []
        self.pulls = []
        self.says = ["Step 1/1 : FROM ${ROOT}"]
        self.error = None

    def image(self, reference):
        return Image("1", self.images[reference]) if reference in self.images else None

    def docker(self, verb, *words, timeout=0):
        assert verb == "pull"
        self.pulls.append(words[-1])
        if words[-1] == "none":
            raise EngineError("no such host")
        self.images[words[-1]] = ()

    def stream(self, verb, *words, on_line, stdin, env):
        for line in self.says:
            on_line(line)
        if self.error:
            raise self.error
        pairs = list(itertools.pairwise(words))
        tags = [word for before, word in pairs if before == "--tag"]
        given = [word for before, word in pairs if before == "--build-arg"]
        source = next(word for word in given if word.startswith("SOURCE="))
        self.images |= dict.fromkeys(tags, ((LABEL_SOURCE, source.removeprefix("SOURCE=")),))
        self.built.append((tags[0], *given))


def nothing(said, done):
    pass


def test_what_is_there_is_not_built():
    engine: Any = BuildingEngine(BASE.reference)
    assert build.ensure(engine, BASE, nothing) == BASE.reference
    assert engine.built == []


def test_another_root_builds_anew():
    other = recipe.find("base", Settings().over({"image.root": "example.com/debian"}))
    engine: Any = BuildingEngine(BASE.reference, "example.com/debian")
    assert build.ensure(engine, other, nothing) == other.reference
    assert engine.built == [(other.reference, "ROOT=example.com/debian", "SOURCE=upstream")]
    assert engine.pulls == []


@pytest.fixture
def child(tmp_path):
    """The recipe of an image on base."""
    return Recipe("sdks", str(tmp_path), BASE, (("VERSION", "1"),))


@pytest.mark.parametrize("source", ["upstream", "distro"])
def test_an_image_is_built_on_its_parent_and_of_its_source(child, source):
    root = Settings().image_root if source == "upstream" else rootfs.bootstrapped_reference()
    engine: Any = BuildingEngine(root)
    assert build.ensure(engine, child, nothing) == child.reference
    assert engine.pulls == []
    assert engine.built == [
        (BASE.reference, f"ROOT={root}", f"SOURCE={source}"),
        (child.reference, f"ROOT={BASE.reference}", f"SOURCE={source}", "VERSION=1"),
    ]
    words = build.build_words(child, {"ROOT": "x", "VERSION": "1"})
    assert words[2:6] == ["--build-arg", "ROOT=x", "--build-arg", "VERSION=1"]
    assert f"{LABEL_RECIPE}={child.digest}" in words


def test_a_layer_that_is_there_is_not_built_again(child):
    engine: Any = BuildingEngine(BASE.reference)
    build.ensure(engine, child, nothing)
    assert [reference for reference, *_ in engine.built] == [child.reference]


def test_what_an_image_begins_with_is_not_missed_where_the_image_is_there(child):
    engine: Any = BuildingEngine(child.reference)
    assert build.missing(engine, child) == []


def test_progress_goes_on_from_layer_to_layer(child):
    seen: list[tuple[str, Any]] = []
    engine: Any = BuildingEngine(Settings().image_root)
    engine.says = ["Step 1/1 : RUN x", "progress 1 2 MB", "Successfully built 0123"]
    build.ensure(engine, child, lambda said, done: seen.append((said, done)))
    shares = [done for _, done in seen]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1
    assert seen[0][0].startswith("image base (1 of 2): ")
    assert "image sdks (2 of 2): fetching 1 of 2 MB" in [said for said, _ in seen]


def test_a_build_that_fails_says_what_its_programs_said(child):
    engine: Any = BuildingEngine(BASE.reference)
    engine.says = ["E: first", "E: image.root is Alpine, without apt", "something else"]
    engine.error = EngineError("The command '/bin/sh -c x' returned a non-zero code: 1")
    with pytest.raises(ImageError, match=r"^image sdks could not be built: image\.root is Alp"):
        build.ensure(engine, child, nothing)
    assert child.reference not in engine.images


@pytest.mark.parametrize(
    ("source", "there", "pulled", "expected"),
    [
        ("auto", [], ["x"], ("x", "upstream")),
        ("auto", ["x"], [], ("x", "upstream")),
        ("auto", ["made"], [], ("made", "distro")),
        ("upstream", ["made"], ["x"], ("x", "upstream")),
        ("distro", ["x", "made"], [], ("made", "distro")),
    ],
)
def test_root(source, there, pulled, expected):
    made = rootfs.bootstrapped_reference()
    engine: Any = BuildingEngine(*[made if each == "made" else each for each in there])
    reference, seen = rootfs.ensure(engine, "x", source, nothing)
    assert ("made" if reference == made else reference, seen) == expected
    assert engine.pulls == pulled


def test_without_a_registry_the_root_is_made_here():
    for source, pulls in (("auto", ["none"]), ("distro", [])):
        engine: Any = BuildingEngine()
        root = rootfs.ensure(engine, "none", source, nothing)
        assert root == (rootfs.bootstrapped_reference(), "distro")
        assert "mmdebstrap" in engine.host.ran[-1]
        assert engine.pulls == pulls


def test_upstream_needs_a_registry():
    engine: Any = BuildingEngine()
    with pytest.raises(ImageError, match="none cannot be pulled: no such host"):
        rootfs.ensure(engine, "none", "upstream", nothing)
    assert engine.host.ran == []


def test_what_agents_are_installed_with_is_not_left_out():
    engine: Any = BuildingEngine()
    left = Settings().over({"image.without": "go node python", "image.source": "distro"})
    with pytest.raises(ImageError, match="image full cannot be built without node and python"):
        build.ensure(engine, recipe.find("full", left), nothing)
    assert (engine.built, engine.pulls) == ([], [])
    build._require_parts(recipe.find("sdks", left).chain)
    build._require_parts(recipe.find("full", Settings().over({"image.without": "go"})).chain)


def test_no_room_is_said_before_anything_is_written(child):
    engine: Any = BuildingEngine(free=1 << 30)
    with pytest.raises(NoSpaceError, match=r"1024 MiB left, 4096 .* building image base"):
        build.ensure(engine, BASE, nothing)
    with pytest.raises(NoSpaceError, match=r"needed for building image sdks \(base 4096, sdks \d+"):
        build.ensure(engine, child, nothing)
    assert engine.built == []
