import gzip
import io
import os
import tarfile

import pytest

from containai.config.settings import Settings
from containai.engine.container import Image
from containai.engine.fake import FakeEngine
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.images import archive, recipe
from containai.images.archive import Archived
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness.archives import LAYERS, config, digest, image, packed

BASE = recipe.wanted(Settings().over({"image.name": "base"}))
CONFIG = config({LABEL_RECIPE: BASE.digest})
ID = f"sha256:{digest(CONFIG)}"
GOOD = image(BASE.digest, "example.com/it:latest")


@pytest.fixture
def engine(host):
    host.free = 1 << 40
    engine = FakeEngine(host)
    engine.outputs["load"] = "Loaded image: example.com/it:latest\n"
    engine.by_reference["example.com/it:latest"] = Image(ID)
    return engine


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "image.tar"
        path.write_bytes(content)
        return str(path)

    return write


def test_what_an_archive_holds(write):
    other = image("", "a:1", "b:2", layers=[LAYERS[0]])
    contents = archive.examine(write(packed(GOOD, other)))
    assert contents.images[0] == Archived(
        ID, ("example.com/it:latest",), {LABEL_RECIPE: BASE.digest}
    )
    assert (contents.images[1].tags, contents.images[1].recipe) == (("a:1", "b:2"), "")
    assert contents.size > sum(map(len, LAYERS))


def test_one_that_is_compressed(write):
    assert archive.examine(write(gzip.compress(packed(GOOD)))).images[0].id == ID


def test_one_of_newer_dockers_whose_layers_are_compressed(write):
    blob = gzip.compress(LAYERS[0])
    paths = [f"blobs/sha256/{digest(blob)}", f"blobs/sha256/{digest(LAYERS[1])}"]
    name = f"blobs/sha256/{digest(CONFIG)}"
    entry = {"Config": name, "RepoTags": ["i:t"], "Layers": paths}
    files = {paths[0]: blob, paths[1]: LAYERS[1], name: CONFIG}
    found = archive.examine(write(packed({"files": files, "entry": entry})))
    assert found.images == [Archived(ID, ("i:t",), {LABEL_RECIPE: BASE.digest})]


def test_a_layer_that_is_a_link_to_anothers(write):
    first, second = (f"{digest(each)}/layer.tar" for each in LAYERS)
    out = io.BytesIO(packed(GOOD, files={second: None}))
    with tarfile.open(fileobj=out, mode="a") as added:
        for name, content in ((f"{first}x", LAYERS[1]),):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            added.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo(second)
        link.type, link.linkname = tarfile.SYMTYPE, f"../{first}x"
        added.addfile(link)
    assert archive.examine(write(out.getvalue())).images[0].id == ID


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no whole archive"),
        (b"nonsense", "no whole archive"),
        (packed(GOOD)[:600], "no whole archive"),
        (gzip.compress(packed(GOOD))[:200], "no whole archive"),
        (packed(GOOD, files={"manifest.json": None}), "it has no manifest.json"),
        (packed(GOOD, files={"manifest.json": b"{"}), "is not JSON"),
        (packed(GOOD, files={"manifest.json": b"[" * 100_000}), "is not JSON"),
        (packed(GOOD, files={"manifest.json": b"{}"}), "is no list"),
        (packed(GOOD, files={"manifest.json": b"[1]"}), "not described"),
        (packed(GOOD, files={f"{digest(CONFIG)}.json": b"{}"}), "not described"),
        (packed(GOOD, files={f"{digest(CONFIG)}.json": CONFIG + b" "}), "has the checksum"),
        (packed(GOOD, files={f"{digest(LAYERS[1])}/layer.tar": b"other"}), "has the checksum"),
        (packed(GOOD, files={f"{digest(LAYERS[1])}/layer.tar": None}), "is missing"),
        (
            packed({"files": GOOD["files"], "entry": GOOD["entry"] | {"Layers": []}}),
            "0 layers of 2",
        ),
    ],
)
def test_one_that_is_damaged(write, engine, content, why):
    with pytest.raises(ImageError, match=why) as raised:
        archive.load(engine, [BASE], write(content))
    assert "sha256sum" in raised.value.hint
    assert engine.requests == []


def test_a_loaded_image_gets_the_name_that_is_looked_for(write, engine):
    path = write(packed(GOOD))
    assert archive.load(engine, [BASE], path) == [BASE]
    assert engine.requests == [("load", "--input", path), ("tag", ID, BASE.reference)]


@pytest.mark.parametrize(
    ("images", "seen"),
    [
        ([image("other", "example.com/it:latest")], "holds example.com/it:latest, but not base"),
        ([image("", "a:1"), image("x")], r"holds a:1, \w{12}, but not base"),
        ([], "holds no image, but not base"),
    ],
)
def test_another_image_is_refused(write, engine, images, seen):
    with pytest.raises(ImageError, match=seen):
        archive.load(engine, [BASE], write(packed(*images)))
    assert engine.requests == []


def test_one_that_takes_the_name_of_another_recipe(write, engine):
    evil = image("f" * 64, f"{IMAGE_REPOSITORY}/full:recipe-{'a' * 16}")
    with pytest.raises(ImageError, match="of another recipe"):
        archive.load(engine, [BASE], write(packed(GOOD, evil)))
    assert engine.requests == []


def test_what_was_not_looked_at_is_taken_away_again(write, engine):
    engine.outputs["load"] += "Loaded image: evil:1\n"
    with pytest.raises(ImageError, match="changed while it was read: evil:1"):
        archive.load(engine, [BASE], write(packed(GOOD)))
    assert engine.requests[1:] == [("rmi", "evil:1")]


def test_it_needs_twice_its_size(write, engine, host):
    path = write(packed(GOOD))
    host.free = 2 * os.path.getsize(path) - 1
    with pytest.raises(NoSpaceError, match="loading"):
        archive.load(engine, [BASE], path)
    assert engine.requests == []


def test_a_compressed_one_needs_twice_what_is_in_it(write, engine, host):
    large = image(BASE.digest, "example.com/it:latest", layers=[b"0" * 100_000])
    path = write(gzip.compress(packed(large)))
    host.free = 2 * os.path.getsize(path)
    with pytest.raises(NoSpaceError, match="loading"):
        archive.load(engine, [BASE], path)
    assert engine.requests == []


@pytest.fixture
def out(tmp_path):
    """A directory with nothing in it."""
    path = tmp_path / "out"
    path.mkdir()
    return path


def test_a_file_that_is_written_whole(engine, host, out):
    path = out / "out.tar"
    path.write_text("earlier", encoding="utf-8")
    host.answer(*engine.argv("save"), out="the images")
    assert archive.save(engine, ["a:1", "b:2"], 100, str(path), lambda *_: None) == 10
    assert path.read_text(encoding="utf-8") == "the images"
    assert os.listdir(out) == ["out.tar"]
    assert host.ran == [tuple(engine.argv("save", "a:1", "b:2"))]


def test_a_failure_leaves_what_was_there(engine, host, out):
    path = out / "out.tar"
    path.write_text("earlier", encoding="utf-8")
    host.answer(*engine.argv("save"), code=1, err="no")
    with pytest.raises(ImageError, match="could not be written"):
        archive.save(engine, ["a:1"], 100, str(path), lambda *_: None)
    assert path.read_text(encoding="utf-8") == "earlier"
    assert os.listdir(out) == ["out.tar"]


def test_a_disk_that_gets_full(engine, host, out):
    host.answer(*engine.argv("save"), code=1, err="write /dev/stdout: no space left on device")
    with pytest.raises(NoSpaceError, match=r"out\.tar"):
        archive.save(engine, ["a:1"], 100, str(out / "out.tar"), lambda *_: None)
    assert os.listdir(out) == []


def test_no_room_for_a_file(engine, host, out):
    host.free = 99
    with pytest.raises(NoSpaceError, match=r"writing out\.tar"):
        archive.save(engine, ["a:1"], 100, str(out / "out.tar"), lambda *_: None)
    assert os.listdir(out) == []


def test_no_ordinary_file(engine):
    with pytest.raises(ImageError, match="no ordinary file"):
        archive.save(engine, ["a:1"], 1, "/dev/null", lambda *_: None)


def test_what_the_engine_refuses_is_said(write, engine):
    engine.fail("load", EngineError("invalid diffID"))
    with pytest.raises(ImageError, match="could not be loaded: invalid diffID"):
        archive.load(engine, [BASE], write(packed(GOOD)))
