import json

import pytest

from containai.boxes.archives import tar
from containai.cli.commands import image
from containai.cli.report import Note, Table
from containai.config.settings import Settings
from containai.engine.container import Image
from containai.errors import ImageError, NotSetUpError
from containai.images import recipe
from containai.images.labels import LABEL_IMAGE, LABEL_SOURCE
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE

BASE = recipe.wanted(Settings().over({"image.name": "base"}))
HEAD = ["IMAGE", "STATUS", "SOURCE", "SIZE", "RECIPE", "BOXES"]


def labelled(**labels):
    names = {"recipe": LABEL_RECIPE, "image": LABEL_IMAGE, "source": LABEL_SOURCE}
    return tuple((names[key], value) for key, value in labels.items())


@pytest.fixture
def images(app):
    """An App whose engine has the base image of this version, an older one, and another."""
    app.docker.by_reference = {
        each.id: each
        for each in (
            Image("sha256:other", (), (f"{IMAGE_REPOSITORY}/own-1234:x",), size=5_000_000),
            Image("sha256:old", labelled(recipe="f" * 64, image="base"), (), size=1_234_000_000),
        )
    }
    labels = labelled(recipe=BASE.digest, source="distro")
    tags = (BASE.reference, f"{IMAGE_REPOSITORY}/base:latest")
    app.docker.by_reference[BASE.reference] = Image("sha256:base", labels, tags, size=733_028_049)
    return app


def test_a_bare_machine_has_none(bare):
    for act in (image.ls, lambda app: image.show(app, image=None)):
        with pytest.raises(NotSetUpError, match="no images") as raised:
            act(bare)
        assert raised.value.hint == "run: cai setup"
    assert (bare.machine.ran, bare.docker.requests) == ([], [])


def test_ls(images, workspace, elsewhere):
    for place, name, identity in ((workspace, "api", "sha256:old"), (elsewhere, "web", "x")):
        box = images.add_box(place, name=name)
        images.docker.add(box._replace(image_id=identity))
    report = image.ls(images)
    assert report.views[0] == Table(
        [
            ["base", "current", "distro", "733 MB", BASE.digest[:16], "-"],
            ["base", "older", "-", "1.23 GB", "f" * 16, "api"],
            ["own-1234", "other", "-", "5 MB", "-", "-"],
        ],
        HEAD,
    )
    assert [each.boxes for each in report.value] == [(), ("api",), ()]


def test_layers_that_are_missing_are_named(app):
    app.docker.by_reference.clear()
    report = image.ls(app)
    assert (report.value, report.views) == ([], [])
    (note,) = report.notes
    names = list(recipe.PARENTS)
    assert note == Note(
        f"not built yet: {', '.join(names)}",
        f"a box that needs one builds it; now: cai image build {names[-1]}",
    )


def test_a_layer_that_is_there_is_not_built(images):
    report = image.build(images, layer="base", no_cache=False)
    assert report.value == [("base", BASE.reference, False)]
    assert report.views == [Table([["base", "was there", BASE.reference]])]
    assert images.docker.requests == []


def test_a_layer_is_built_anew(images):
    report = image.build(images, layer="base", no_cache=True)
    assert report.value == [("base", BASE.reference, True)]
    (words,) = [each for each in images.docker.requests if each[0] == "build"]
    assert "--no-cache" in words
    assert words[words.index("--tag") + 1] == BASE.reference
    assert "[1/1] image base" in images.user.said


def test_no_layer(app):
    with pytest.raises(ImageError, match="there is no image 'bas'"):
        image.build(app, layer="bas", no_cache=False)


def test_show(images):
    content = {
        "name": "base",
        "source": "distro",
        "versions": {"dockerd": "26.1.5", "odd": [1]},
        "left_out": [{"what": "dotnet", "why": "no package"}, "nvm"],
    }
    archive = tar({"image/base.json": (json.dumps(content), 0o644)})
    images.machine.answer(*images.engine.argv("cp"), out=archive.decode())
    report = image.show(images, image="base")
    assert report.value["manifests"] == [content]
    assert (report.value["status"], report.value["labels"][LABEL_SOURCE]) == ("current", "distro")
    facts, title, rows = report.views
    assert ("recipe", BASE.digest[:16]) in facts.rows
    assert title == "\nbase:\n"
    assert rows.rows == [
        ("", "source", "distro"),
        ("", "versions: dockerd", "26.1.5"),
        ("", "versions: odd", "[1]"),
        ("", "left_out", "dotnet: no package"),
        ("", "left_out", "nvm"),
    ]


def test_show_by_reference_one_without_a_manifest(images):
    missing = "Error: Could not find the file"
    images.machine.answer(*images.engine.argv("cp"), code=1, err=missing)
    report = image.show(images, image="sha256:old")
    assert (report.value["status"], report.value["manifests"]) == ("older", [])
    assert report.views[-1] == "\nit has no manifest\n"


@pytest.mark.parametrize(
    ("name", "hint"), [("base", "cai image build base"), ("x:y", "cai image ls")]
)
def test_what_is_not_there_is_not_shown(app, name, hint):
    app.docker.by_reference.clear()
    with pytest.raises(ImageError, match="there is no image") as raised:
        image.show(app, image=name)
    assert raised.value.hint == f"see: {hint}"
