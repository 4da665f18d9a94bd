import pytest

from containai.cli.commands import image
from containai.config.settings import Settings
from containai.engine.container import Image
from containai.errors import ContainAIError, EngineError, ImageError, NoSpaceError, UsageError
from containai.flows import image_moves
from containai.images import recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness.app import words
from harness.archives import image as archived
from harness.archives import packed

BASE = recipe.wanted(Settings().over({"image.name": "base"}))
RECIPE = (LABEL_RECIPE, BASE.digest)
THERE = f"{IMAGE_REPOSITORY}/base:{BASE.reference.rpartition(':')[2]}"
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def app(app):
    app.machine.free = 1 << 40
    app.settings = app.settings.over({"image.name": "base"})
    app.docker.by_reference.clear()
    return app


def arrives(app, reference, made):
    """Have an image be there once it is pulled."""
    app.docker.before("pull", lambda: app.docker.by_reference.update({reference: made}))


def test_a_layer_is_pulled_as_this_version_makes_it(app):
    made = Image("sha256:1", (RECIPE,), digests=(f"{IMAGE_REPOSITORY}/base@{DIGEST}",))
    arrives(app, THERE, made)
    app.docker.by_reference["sha256:1"] = made
    assert image_moves.pull(app, "base") == (BASE.reference, THERE, DIGEST)
    assert app.docker.requests == [
        ("pull", THERE),
        ("tag", "sha256:1", BASE.reference),
        ("tag", "sha256:1", f"{IMAGE_REPOSITORY}/base:latest"),
    ]


def test_by_a_digest(app):
    arrives(app, f"{IMAGE_REPOSITORY}/base@{DIGEST}", Image("sha256:1", (RECIPE,)))
    image_moves.pull(app, f"base@{DIGEST}")
    assert app.docker.requests[0] == ("pull", f"{IMAGE_REPOSITORY}/base@{DIGEST}")


@pytest.mark.parametrize(
    ("given", "reference", "labels", "why"),
    [
        ("base", THERE, ((LABEL_RECIPE, "f" * 64),), "is not base as this version"),
        ("base", THERE, (), "not made from an image of ContainAI"),
        ("example.com/x:1", "example.com/x:1", (), "not made from an image of ContainAI"),
    ],
)
def test_what_is_something_else_is_not_kept(app, given, reference, labels, why):
    arrives(app, reference, Image("sha256:1", labels))
    with pytest.raises(ImageError, match=why):
        image_moves.pull(app, given)
    assert words(app.docker.requests) == ["pull", "rmi"]


def test_what_was_there_before_stays(app):
    app.docker.by_reference["example.com/x:1"] = Image("sha256:1")
    with pytest.raises(ImageError):
        image_moves.pull(app, "example.com/x:1")
    assert words(app.docker.requests) == ["pull"]


@pytest.mark.parametrize(
    "text", ["", "-x", "--help", "a b", "A/B", "a:", "a@sha256:0", "a@md5:0", "a//b", "a/b:c:d"]
)
def test_what_is_no_reference(app, text):
    for act in (image_moves.pull, lambda app, text: image_moves.push(app, text, None)):
        with pytest.raises(UsageError, match="is no name of an image"):
            act(app, text)
    assert app.docker.requests == []


def test_no_room(app):
    app.machine.free = 1 << 20
    with pytest.raises(NoSpaceError, match="pulling"):
        image_moves.pull(app, "base")
    assert app.docker.requests == []


@pytest.fixture
def pushing(app, monkeypatch):
    app.docker.by_reference[BASE.reference] = Image("sha256:1", (RECIPE,))
    stream = app.docker.stream

    def pushed(*given, on_line):
        stream(*given, on_line=on_line)
        on_line(f"1: digest: {DIGEST} size: 1")

    monkeypatch.setattr(app.docker, "stream", pushed)
    return app


@pytest.mark.parametrize(
    ("target", "source", "pushed"),
    [
        ("example.com/team/base", None, "example.com/team/base:latest"),
        ("example.com:5000/team/box:1", "base", "example.com:5000/team/box:1"),
        ("example.com/box:1", None, "example.com/box:1"),
    ],
)
def test_push(pushing, target, source, pushed):
    assert image_moves.push(pushing, target, source) == (BASE.reference, pushed, DIGEST)
    assert pushing.docker.requests == [
        ("tag", "sha256:1", pushed),
        ("push", pushed),
        ("rmi", "--no-prune", pushed),
    ]


def test_a_push_that_fails_leaves_no_name(pushing):
    pushing.docker.by_reference["example.com/base:1"] = Image("sha256:before")
    pushing.docker.fail("push", EngineError("denied"))
    with pytest.raises(ImageError, match="does not let you"):
        image_moves.push(pushing, "example.com/base:1", None)
    assert pushing.docker.requests[-1] == ("tag", "sha256:before", "example.com/base:1")


def test_what_cannot_be_pushed(app):
    with pytest.raises(ImageError, match="there is no image"):
        image_moves.push(app, "example.com/base:1", None)
    with pytest.raises(UsageError, match="a digest follows"):
        image_moves.push(app, f"example.com/base@{DIGEST}", None)
    assert app.docker.requests == []


def test_export_and_what_is_not_built(app, tmp_path):
    path = str(tmp_path / "x.tar")
    with pytest.raises(ImageError, match="not built here") as raised:
        image_moves.export(app, path)
    assert raised.value.hint == "cai image build base"
    app.docker.by_reference[BASE.reference] = Image("sha256:1", (RECIPE,), size=5)
    app.machine.answer(*app.engine.argv("save"), out="12345")
    assert image_moves.export(app, path) == (path, 5, [BASE.reference])


def test_import(app, tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(packed(archived(BASE.digest, BASE.reference)))
    assert image_moves.import_(app, str(path)) == [("base", BASE.reference)]
    assert words(app.docker.requests) == ["load", "tag"]


@pytest.fixture
def old(app, workspace):
    """An App with the current image, an older one in use, two that are not, and a build's rest."""
    older = (LABEL_RECIPE, "f" * 64)
    made = [
        Image("sha256:now", (RECIPE,), (BASE.reference,)),
        Image("sha256:used", (older,), (f"{IMAGE_REPOSITORY}/base:recipe-1",)),
        Image("sha256:old", (older,), (f"{IMAGE_REPOSITORY}/base:recipe-2", "x:1")),
        Image("sha256:nameless", (older, ("containai.image", "base")), ()),
        # Made from a layer, whose labels it has; and pulled for boxes.
        Image("sha256:own", (older, ("containai.image", "base")), ("example.com/own:1",)),
    ]
    app.docker.by_reference = {each.id: each for each in made}
    box = app.add_box(workspace)
    app.docker.add(box._replace(image_id="sha256:used"))
    return app


def test_prune_shows_asks_and_leaves_what_is_used(old):
    report = image.prune(old, on=None, dry_run=False)
    assert [each["id"] for each in report.value["removed"]] == ["sha256:old", "sha256:nameless"]
    assert old.user.asked == ["Remove them?"]
    tags = [f"{IMAGE_REPOSITORY}/base:recipe-2", "x:1", "sha256:nameless"]
    assert old.docker.requests == [("rmi", each) for each in tags]
    assert (report.code, report.value["changed"]) == (0, True)


def test_a_dry_run_removes_nothing(old):
    report = image.prune(old, on=None, dry_run=True)
    assert len(report.value["removed"]) == 2
    assert (report.value["changed"], old.docker.requests, old.user.asked) == (False, [], [])


def test_nobody_agrees(old):
    old.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was removed") as raised:
        image.prune(old, on=None, dry_run=False)
    assert raised.value.hint == "run: cai image prune --yes"
    assert old.docker.requests == []


def test_what_cannot_be_removed_is_said(old):
    old.docker.fail("rmi", EngineError("conflict: it is used"))
    report = image.prune(old, on=None, dry_run=False)
    assert report.code == image.FOUND
    assert report.value["kept"] == {f"{IMAGE_REPOSITORY}/base:recipe-2": "conflict: it is used"}
    assert report.notes[0].text.endswith("stays: conflict: it is used")


def test_nothing_to_prune(app):
    report = image.prune(app, on=None, dry_run=False)
    assert (report.value["removed"], report.views) == ([], ["nothing to remove\n"])
    assert app.user.asked == []
