import json
import os
import subprocess

import pytest

from containai.boxes.archives import tar
from containai.engine.container import Container, Image
from containai.engine.fake import FakeEngine
from containai.errors import ImageError
from containai.images import manifest
from containai.images.labels import LABEL_LOOK
from containai.images.manifest import Manifest

BASE = {"name": "base", "source": "distro", "versions": {"dockerd": "26.1.5"}, "left_out": []}
SDKS = {"name": "sdks", "root": "debian", "left_out": {"dotnet": "no package"}}


def archive(files):
    return tar({f"image/{name}": (text, 0o644) for name, text in files.items()})


def test_all_layers_by_name():
    files = {"sdks.json": json.dumps(SDKS), "base.json": json.dumps(BASE), "other": "x"}
    assert manifest.parsed(archive(files)) == [
        Manifest("base", "distro", "", {"dockerd": "26.1.5"}, [], BASE),
        Manifest("sdks", "", "debian", {}, {"dotnet": "no package"}, SDKS),
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '"x"', "null", "[" * 100_000, "\ufffd"], ids=lambda text: text[:9]
)
def test_what_is_none(text):
    assert manifest.parsed(archive({"base.json": text})) == []


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"\0" * 2048])
def test_no_archive(raw):
    assert manifest.parsed(raw) == []


def test_fields_that_are_something_else():
    odd = {"name": 1, "versions": [], "left_out": "x"}
    assert manifest.parsed(archive({"a.json": json.dumps(odd)})) == [
        Manifest("1", "", "", {}, [], odd)
    ]


def test_it_is_read_through_a_container_that_goes_again(host):
    engine = FakeEngine(host)
    text = archive({"base.json": json.dumps(BASE)}).decode()
    host.answer(*engine.argv("cp"), out=text)
    assert [each.content for each in manifest.read(engine, Image("sha256:1"))] == [BASE]
    create, rm = engine.requests
    label = f"{LABEL_LOOK}={os.getpid()}"
    assert create == ("create", "--label", label, "--network", "none", "sha256:1", "look")
    assert rm == ("rm", "--force", "--volumes", f"{1:064x}")
    copied = [argv for argv in host.ran if "cp" in argv]
    assert copied == [tuple(engine.argv("cp", f"{1:064x}:{manifest.DIRECTORY}", "-"))]


def test_containers_of_those_who_were_killed_go_at_the_next_look(host):
    engine = FakeEngine(host)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name, who in (("gone", ended.pid), ("older", "true"), ("large", "9" * 30), ("here", 1)):
        engine.add(Container(name, labels=((LABEL_LOOK, str(who)),)))
    engine.add(Container("a-box"))
    host.answer(*engine.argv("cp"), code=1, err="no such")
    manifest.read(engine, Image("sha256:1"))
    assert engine.by_id.keys() == {"here", "a-box"}


def test_an_image_without_one(host):
    engine = FakeEngine(host)
    said = "Error response from daemon: Could not find the file /usr/share in container"
    host.answer(*engine.argv("cp"), code=1, err=said)
    assert manifest.read(engine, Image("sha256:1")) == []


def test_what_cannot_be_read_is_said_and_the_container_goes(host):
    engine = FakeEngine(host)
    host.answer(*engine.argv("cp"), code=1, err="permission denied")
    with pytest.raises(ImageError, match="cannot be read: permission denied"):
        manifest.read(engine, Image("sha256:123"))
    assert engine.requests[-1][0] == "rm"
