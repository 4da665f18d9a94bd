import base64
import hashlib
import itertools
import os
import re

import pytest

from containai.config import values
from containai.config.settings import Settings
from containai.errors import ImageError
from containai.images import recipe
from containai.images.recipe import Recipe

BASE = recipe.find("base", Settings())


def on(root, name="base"):
    return recipe.find(name, Settings().over({"image.root": root}))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "recipe" / "etc").mkdir(parents=True)
    (tmp_path / "recipe" / "Dockerfile").write_text("FROM x\n", encoding="utf-8")
    (tmp_path / "recipe" / "etc" / "a").write_text("1", encoding="utf-8")
    return tmp_path / "recipe"


def test_hash_is_stable(files):
    assert recipe.digest_of_files(str(files)) == recipe.digest_of_files(str(files) + "/")
    assert re.fullmatch("[0-9a-f]{64}", recipe.digest_of_files(str(files)))


@pytest.mark.parametrize(
    "change",
    [
        lambda files: (files / "etc" / "a").write_text("2", encoding="utf-8"),
        lambda files: (files / "etc" / "a").rename(files / "etc" / "b"),
        lambda files: (files / "etc" / "a").rename(files / "a"),
        lambda files: (files / "etc" / "a").chmod(0o755),
        lambda files: (files / "etc" / "a").unlink(),
        lambda files: (files / "new").touch(),
        lambda files: (files / "link").symlink_to("etc/a"),
    ],
    ids=["content", "name", "directory", "executable", "removed", "added", "link"],
)
def test_hash_changes(files, change):
    before = recipe.digest_of_files(str(files))
    change(files)
    assert recipe.digest_of_files(str(files)) != before


def test_hash_ignores_what_python_leaves(files):
    before = recipe.digest_of_files(str(files))
    (files / "etc" / "__pycache__").mkdir()
    (files / "etc" / "__pycache__" / "x.pyc").touch()
    assert recipe.digest_of_files(str(files)) == before


def test_hash_does_not_follow_links(files, tmp_path):
    (tmp_path / "outside").write_text("1", encoding="utf-8")
    (files / "link").symlink_to("../outside")
    before = recipe.digest_of_files(str(files))
    (tmp_path / "outside").write_text("2", encoding="utf-8")
    assert recipe.digest_of_files(str(files)) == before


def test_reference():
    # What is so by default is in the files: an image of before there were arguments stays good.
    assert BASE.digest == recipe.digest_of_files(BASE.directory)
    assert re.fullmatch(r"ghcr\.io/containai/base:recipe-[0-9a-f]{16}", BASE.reference)


@pytest.mark.parametrize("name", ["nope", "", "..", ".", "../images", "__pycache__", "base/"])
def test_no_such_image(name):
    with pytest.raises(ImageError, match="there is no image"):
        recipe.find(name, Settings())


def test_another_root_is_another_image():
    other = recipe.find("base", Settings().over({"image.root": "example.com/debian"}))
    assert other.reference != BASE.reference
    assert other.reference != on("example.com/ubuntu").reference
    assert other.reference == on("example.com/debian").reference


def test_another_parent_is_another_image(files):
    def child(parent, *arguments):
        return Recipe("sdks", str(files), parent, arguments).digest

    other = on("example.com/debian")
    seen = [
        child(None),
        child(BASE),
        child(other),
        child(BASE, ("A", "1")),
        child(BASE, ("A", "2")),
        child(BASE, ("A", "1"), ("B", "2")),
        child(BASE._replace(directory=str(files))),
    ]
    assert len(set(seen)) == len(seen)
    assert child(BASE, ("A", "1"), ("B", "2")) == child(BASE, ("B", "2"), ("A", "1"))
    before = child(BASE._replace(directory=str(files)))
    (files / "etc" / "a").write_text("2", encoding="utf-8")
    assert child(BASE._replace(directory=str(files))) != before


def test_every_recipe_has_its_files():
    for name in recipe.PARENTS:
        assert os.path.isfile(os.path.join(recipe.find(name, Settings()).directory, "Dockerfile"))


def test_a_source_that_is_chosen_is_another_image():
    def of(source, root="x"):
        return recipe.find("base", Settings().over({"image.source": source, "image.root": root}))

    assert len({of(each).digest for each in ("auto", "upstream", "distro")}) == 3
    # Nothing is pulled then.
    assert of("distro", "y") == of("distro")
    assert of("upstream", "y").digest != of("upstream").digest


def test_what_is_generated_counts(files):
    def of(*generated):
        return Recipe("x", str(files), None, (), generated).digest

    assert (
        len({of(), of(("a", "1")), of(("a", "2")), of(("b", "1")), of(("a", "1"), ("b", ""))}) == 5
    )


def test_a_chain_begins_with_what_is_built_first(files):
    child = Recipe("sdks", str(files), BASE)
    assert Recipe("full", str(files), child).chain == (
        BASE,
        child,
        Recipe("full", str(files), child),
    )


def test_versions_are_by_image(tmp_path, monkeypatch):
    (tmp_path / "versions.env").write_text("# all\n## a\nX=1\n\n## b\n# why\nY=2\n", "utf-8")
    monkeypatch.setattr(recipe, "__file__", str(tmp_path / "recipe.py"))
    assert recipe.versions_of("a") == "X=1"
    assert recipe.versions_of("b") == "# why\nY=2"
    assert recipe.versions_of("c") == ""


def test_arguments_of_the_tool_chains_are_theirs_alone():
    usual = recipe.find("sdks", Settings())
    other = recipe.find("sdks", Settings().over({"image.without": "rust  dotnet"}))
    assert other.arguments == (("WITHOUT", "dotnet rust"),)
    assert other.digest != usual.digest
    assert other.parent == usual.parent
    newer = recipe.find("sdks", Settings().over({"image.versions": "GO=1.26.7"}))
    assert newer.arguments == (("VERSIONS", "GO=1.26.7"),)


def steps():
    directory = os.path.join(recipe.find("sdks", Settings()).directory, "steps")
    return {name.removesuffix(".sh") for name in os.listdir(directory)}


def test_every_step_can_be_left_out_and_is_made():
    assert set(values.STEPS) == steps()
    with open(
        os.path.join(recipe.find("sdks", Settings()).directory, "Dockerfile"), encoding="utf-8"
    ) as file:
        assert set(re.findall(r"^RUN sh /build/step (\w+)", file.read(), re.MULTILINE)) == steps()


def test_what_nobody_signs_has_a_checksum_for_each_architecture():
    said = dict(re.findall(r"^(\w+)=\"?([^\n\"]*)", recipe.versions_of("sdks"), re.MULTILINE))
    versions = said["NODE"].replace(".", "_").split()
    names = ["GO_SHA256", "RUSTUP_SHA256", "DOTNET_SHA512"]
    names += [f"NODE_SHA512_{version}" for version in versions]
    lengths = {"SHA256": 64, "SHA512": 128}
    for name in names:
        for architecture in ("amd64", "arm64"):
            value = said[f"{name}_{architecture}"]
            if name.startswith("NODE"):
                assert len(base64.b64decode(value, validate=True)) == 64
            else:
                assert re.fullmatch(f"[0-9a-f]{{{lengths[name.partition('_')[2]]}}}", value), name
    pinned = recipe.versions_of("sdks").split("PYTHON_TOOLS=")[1].split()
    for before, after in itertools.pairwise(pinned):
        assert "==" not in before or after.startswith("--hash=sha256:")


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("nvm.sh", "baad94563757afa5147950e3dfa272f06b6307e1a7d92c553f8438959b5165fe"),
        ("nvm-exec", "f3b7c71ac96ca4f2f75871af20070c3063d1e3fcdc44019af0635c95112e9e76"),
    ],
)
def test_nvm_is_unchanged(name, checksum):
    directory = recipe.find("sdks", Settings()).directory
    with open(os.path.join(directory, "nvm", name), "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == checksum
