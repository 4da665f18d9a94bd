import itertools
import os
import subprocess
from typing import Any

import pytest

from containai.config.settings import Settings
from containai.engine.container import Image
from containai.errors import ImageError, NoSpaceError
from containai.host.fake import FakeMachine
from containai.host.proc import Done
from containai.images import build, recipe
from containai.images.build import BuildProgress
from containai.images.recipe import Recipe
from containai.layout import LABEL_RECIPE, Layout

BASE = recipe.wanted(Settings())


def lines(packages, steps=12, install_at=4):
    """Return what a build prints: `apt-get update` and an installation in one of its steps."""
    yield "Sending build context to Docker daemon  14.3kB"
    for step in range(1, steps + 1):
        yield f"Step {step}/{steps} : RUN something"
        yield " ---> Running in 0123456789ab"
        if step == install_at:
            for index in range(5):
                yield f"Get:{index} http://deb.debian.org/debian trixie InRelease [140 kB]"
            yield "Reading package lists..."
            yield f"0 upgraded, {packages} newly installed, 0 to remove and 0 not upgraded."
            for word in (
                "Get:{0} http://x p{0} [1 kB]",
                "Unpacking p{0} (1) ...",
                "Setting up p{0}",
            ):
                for index in range(packages):
                    yield word.format(index)
                    yield "debconf: delaying package configuration"
        yield f" ---> {step:012x}"
    yield "Successfully built 0123456789ab"


@pytest.mark.parametrize("install_at", [1, 2, 4, 12])
@pytest.mark.parametrize("packages", [1, 30, 400])
def test_progress(packages, install_at):
    reader = BuildProgress()
    seen = [reader.line(line) for line in lines(packages, install_at=install_at)]
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert 0.95 <= seen[-1] <= 1.0
    assert all(0.0 <= each <= 1.0 for each in seen)


def test_progress_of_a_second_installation():
    reader = BuildProgress()
    many = [*lines(400), *lines(3), *lines(900)]
    seen = [reader.line(line) for line in many]
    assert seen == sorted(seen)
    assert seen[-1] <= 1.0


@pytest.mark.parametrize("line", ["", "Step x/y", "newly installed", "Step 9/3 : X"])
def test_progress_of_odd_lines(line):
    assert 0.0 <= BuildProgress().line(line) <= 1.0


def test_bootstrap_argv():
    argv = build.bootstrap_argv("/t", "image:tag", "unix:///s")
    assert argv[4:] == [
        "/t",
        "image:tag",
        "unix:///s",
        "mmdebstrap",
        "--variant=minbase",
        "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
        "--include=ca-certificates",
        '--aptopt=Acquire::Languages "none"',
        "trixie",
        "/t/root.tar",
        "http://deb.debian.org/debian",
    ]


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """Return a function that starts the real script around a pretended mmdebstrap and docker."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (
        ("docker", 'echo "$@"; cat "$4"'),
        ("mmdebstrap", 'mktemp -d >&2; echo started; eval "$BEFORE"; echo root >"$6"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    argv = build.bootstrap_argv(str(tmp_path / "build"), "image:tag", "unix:///s")

    def start(before):
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.DEVNULL,
            "text": True,
        }
        return subprocess.Popen(argv, env=os.environ | {"BEFORE": before}, **pipes)

    yield start
    assert os.listdir(tmp_path / "build") == []


def test_a_root_file_system_is_handed_to_the_engine(bootstrap, tmp_path):
    said = bootstrap(":").communicate()[0].splitlines()
    assert said[-2:] == [f"--host unix:///s import {tmp_path}/build/root.tar image:tag", "root"]


def test_a_bootstrap_that_fails_leaves_nothing(bootstrap):
    build = bootstrap("exit 7")
    build.communicate()
    assert build.returncode == 7


def test_a_bootstrap_that_is_ended_leaves_nothing(bootstrap):
    build = bootstrap("exec sleep 60")
    build.stdout.readline()
    build.terminate()
    assert build.wait(10) == 143


def test_what_a_killed_bootstrap_left_is_removed_when_its_last_process_has_ended(
    bootstrap, tmp_path
):
    killed = bootstrap("sleep 1; echo late >>$TMPDIR/late; exit 1")
    killed.stdout.readline()
    killed.kill()
    killed.wait()
    assert len(os.listdir(tmp_path / "build")) == 1
    assert bootstrap(":").communicate()[0].endswith("\nroot\n")


class LoadingEngine:
    """An engine that prints `said` for a load; what it loads has the label `recipe`."""

    layout = Layout("/nowhere", "/nowhere/home", 0)

    def __init__(self, recipe, said="Loaded image: example.com/it:latest\n", free=8):
        self.host = FakeMachine(self.layout)
        self.host.free = free
        self.recipe, self.said = recipe, said
        self.tagged = {}

    def docker(self, verb, *words, timeout=0):
        if verb == "tag":
            self.tagged[words[1]] = words[0]
        return Done(0, self.said, "")

    def image(self, reference):
        return Image("1", ((LABEL_RECIPE, self.recipe),))


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "image.tar").write_bytes(b"1234")
    return str(tmp_path / "image.tar")


def test_loaded_image_gets_the_name_that_is_looked_for(archive):
    engine: Any = LoadingEngine(BASE.digest)
    assert build.load(engine, BASE, archive) == BASE.reference
    assert engine.tagged == {BASE.reference: "example.com/it:latest"}


@pytest.mark.parametrize(
    ("engine", "seen"),
    [
        (LoadingEngine("other"), "holds example.com/it:latest, but not base"),
        (LoadingEngine("other", said=""), "holds no image, but not base"),
    ],
)
def test_archive_of_another_image_is_refused(archive, engine, seen):
    with pytest.raises(ImageError, match=seen):
        build.load(engine, BASE, archive)
    assert engine.tagged == {}


def test_archive_needs_twice_its_size(archive):
    engine: Any = LoadingEngine("", free=7)
    with pytest.raises(NoSpaceError, match="loading"):
        build.load(engine, BASE, archive)


class BuildingEngine:
    """An engine that has some images, and takes note of what it is told to build."""

    layout = Layout("/nowhere", "/nowhere/home", 0)

    def __init__(self, *images, free=1 << 40):
        self.host = FakeMachine(self.layout)
        self.host.free = free
        self.images, self.built = set(images), []

    def image(self, reference):
        return Image("1") if reference in self.images else None

    def stream(self, verb, *words, on_line):
        on_line("Step 1/1 : FROM ${ROOT}")
        tags = [word for before, word in itertools.pairwise(words) if before == "--tag"]
        self.images |= set(tags)
        self.built.append((tags[0], words[words.index("--build-arg") + 1]))


def nothing(said, done):
    pass


def test_what_is_there_is_not_built():
    engine: Any = BuildingEngine(BASE.reference)
    assert build.ensure(engine, BASE, nothing) == BASE.reference
    assert engine.built == []


def test_another_root_builds_anew():
    other = recipe.find("base", "example.com/debian")
    engine: Any = BuildingEngine(BASE.reference, "example.com/debian")
    assert build.ensure(engine, other, nothing) == other.reference
    assert engine.built == [(other.reference, "ROOT=example.com/debian")]


def test_an_image_is_built_on_its_parent(tmp_path):
    child = Recipe("sdks", str(tmp_path), BASE, (("VERSION", "1"),))
    engine: Any = BuildingEngine(Settings().image_root)
    assert build.ensure(engine, child, nothing) == child.reference
    assert engine.built == [
        (BASE.reference, f"ROOT={Settings().image_root}"),
        (child.reference, f"ROOT={BASE.reference}"),
    ]
    words = build.build_words(child, {"ROOT": "x", "VERSION": "1"})
    assert words[2:6] == ["--build-arg", "ROOT=x", "--build-arg", "VERSION=1"]
    assert f"{LABEL_RECIPE}={child.digest}" in words


def test_no_room_is_said_before_anything_is_written():
    engine: Any = BuildingEngine(free=1 << 30)
    with pytest.raises(NoSpaceError, match=r"1024 MiB left, 4096 .* building image base"):
        build.ensure(engine, BASE, nothing)
    assert engine.built == []
