"""`cai image` on a real engine."""

import json
import os
import subprocess

import pytest

from containai.config.settings import Settings
from containai.errors import ImageError
from containai.images import recipe
from containai.images.labels import LABEL_LOOK
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness.site import Site, refused, text

BASE = recipe.wanted(Settings().over({"image.name": "base"}))


def of(site: Site, *words: str):
    """Return what `cai image` says for machines."""
    return json.loads(site.cai("image", *words, "--json").stdout)


@pytest.fixture
def small(site, tmp_path):
    """Return a function that makes a small image of ours, with these labels and one file."""
    made = []

    def make(tag, label="f" * 64, content='{"name": "base"}'):
        directory = tmp_path / f"{len(made)}"
        directory.mkdir()
        (directory / "base.json").write_text(content, encoding="utf-8")
        (directory / "Dockerfile").write_text(
            "FROM scratch\nCOPY base.json /usr/share/containai/image/base.json\n"
            f"LABEL {LABEL_RECIPE}={label}\n",
            encoding="utf-8",
        )
        reference = f"{IMAGE_REPOSITORY}/base:{tag}"
        made.append(reference)
        subprocess.run(
            [
                "docker",
                "--host",
                f"unix://{site.layout.engine_socket}",
                "build",
                "--quiet",
                "--tag",
                reference,
                str(directory),
            ],
            env=os.environ | {"DOCKER_BUILDKIT": "0"},
            check=True,
            capture_output=True,
        )
        return reference

    yield make
    for reference in made:
        site.docker("rmi", "--force", reference, check=False)


def test_the_image_of_a_box_is_listed_as_in_use(site, shared):
    row = next(each for each in of(site, "ls") if each["status"] == "current")
    assert BASE.reference in row["tags"]
    assert shared.box in row["boxes"]
    assert row["recipe"] == BASE.digest[:16]
    assert row["size"] > 100_000_000


def test_what_is_there_is_not_built_again(site):
    before = site.docker("image", "inspect", "--format", "{{.Id}}", BASE.reference)
    assert of(site, "build", "base") == [
        {"name": "base", "reference": BASE.reference, "built": False}
    ]
    assert site.docker("image", "inspect", "--format", "{{.Id}}", BASE.reference) == before


def test_another_recipe_is_older_and_its_manifest_is_shown(site, small):
    content = {"name": "base", "source": "distro", "left_out": ["a: b"], "versions": {"x": "1"}}
    reference = small("older", content=json.dumps(content))
    (row,) = [each for each in of(site, "ls") if reference in each["tags"]]
    assert (row["status"], row["name"], row["boxes"]) == ("older", "base", [])
    assert of(site, "show", reference)["manifests"] == [content]
    said = site.cai("image", "show", reference).stdout.decode()
    assert "versions: x" in said
    assert site.docker("ps", "--all", "--quiet", "--filter", f"label={LABEL_LOOK}") == ""


def test_a_layer_that_there_is_none_of(site):
    done = site.cai("image", "build", "bas", check=False)
    assert done.returncode == 22
    assert b"there is no image 'bas'" in done.stderr


def test_a_file_for_a_machine_without_a_network(site, tmp_path):
    path = tmp_path / "image.tar"
    made = json.loads(site.cai("image", "export", str(path), "--json").stdout)
    assert (made["references"][-1], made["size"]) == (BASE.reference, path.stat().st_size)
    before = of(site, "ls")
    middle = made["size"] // 2
    with open(path, "r+b") as file:
        file.seek(middle)
        byte = file.read(1)
        file.seek(middle)
        file.write(bytes([byte[0] ^ 1]))
        file.flush()
        done = site.cai("image", "import", str(path), check=False)
        refused(done, ImageError)
        assert "checksum" in text(done)
        file.seek(middle)
        file.write(byte)
    site.docker("rmi", "--no-prune", BASE.reference)
    assert json.loads(site.cai("image", "import", str(path), "--json").stdout) == [
        {"name": "base", "reference": BASE.reference}
    ]
    assert of(site, "ls") == before


def test_what_is_older_and_unused_is_pruned(site, small, shared):
    older = small("recipe-" + "f" * 16)
    (box,) = [each for each in of(site, "ls") if shared.box in each["boxes"]]
    would = json.loads(site.cai("image", "prune", "--dry-run", "--json").stdout)
    assert [older] in [each["tags"] for each in would["removed"]]
    assert box["id"] not in [each["id"] for each in would["removed"]]
    done = site.cai("image", "prune", check=False)
    assert (done.returncode, b"nothing was removed" in done.stderr) == (1, True)
    site.cai("image", "prune", "--yes")
    rows = of(site, "ls")
    assert not [row for row in rows if older in row["tags"]]
    assert [row for row in rows if row["id"] == box["id"]]


def test_a_box_is_moved_on_and_stays_where_that_fails(site, make_space, small):
    space = make_space()
    space.sh("touch kept && sudo touch /gone")
    before = space.inspect()
    assert not of_box(site, space)["is_older"]
    broken = site.docker("image", "inspect", "--format", "{{.Id}}", small("broken"))
    good = site.docker("image", "inspect", "--format", "{{.Id}}", BASE.reference)
    site.docker("tag", broken, BASE.reference)
    try:
        assert of_box(site, space)["is_older"]
        done = site.cai("run", "--fresh", "--yes", space.path, "--", "true", check=False)
        assert done.returncode != 0
    finally:
        site.docker("tag", good, BASE.reference)
    assert space.inspect()["Id"] == before["Id"]
    assert space.sh("ls /gone kept") == "/gone\nkept"
    done = site.cai("run", "--fresh", space.path, "--", "true", check=False)
    assert b"nothing was changed" in done.stderr
    assert space.inspect()["Id"] == before["Id"]
    site.cai("run", "--fresh", "--yes", space.path, "--", "true")
    assert space.inspect()["Id"] != before["Id"]
    assert space.sh("ls /gone kept 2>/dev/null; true") == "kept"
    assert [name for name in site.container_names() if space.box in name] == [space.box]


def of_box(site, space):
    rows = json.loads(site.cai("ls", "--json").stdout)
    return next(row for row in rows if row["name"] == space.box)
