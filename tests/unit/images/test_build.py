import os
import re
import subprocess

import pytest

from containai.errors import ImageError, NoSpaceError
from containai.host.proc import Done
from containai.images import build
from containai.images.build import BuildProgress
from containai.layout import LABEL_RECIPE, Layout


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


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe" / "etc").mkdir(parents=True)
    (tmp_path / "recipe" / "Dockerfile").write_text("FROM x\n", encoding="utf-8")
    (tmp_path / "recipe" / "etc" / "a").write_text("1", encoding="utf-8")
    return tmp_path / "recipe"


def test_hash_is_stable(recipe):
    assert build.recipe_hash(str(recipe)) == build.recipe_hash(str(recipe) + "/")
    assert re.fullmatch("[0-9a-f]{64}", build.recipe_hash(str(recipe)))


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: (recipe / "etc" / "a").write_text("2", encoding="utf-8"),
        lambda recipe: (recipe / "etc" / "a").rename(recipe / "etc" / "b"),
        lambda recipe: (recipe / "etc" / "a").rename(recipe / "a"),
        lambda recipe: (recipe / "etc" / "a").chmod(0o755),
        lambda recipe: (recipe / "etc" / "a").unlink(),
        lambda recipe: (recipe / "new").touch(),
        lambda recipe: (recipe / "link").symlink_to("etc/a"),
    ],
    ids=["content", "name", "directory", "executable", "removed", "added", "link"],
)
def test_hash_changes(recipe, change):
    before = build.recipe_hash(str(recipe))
    change(recipe)
    assert build.recipe_hash(str(recipe)) != before


def test_hash_ignores_what_python_leaves(recipe):
    before = build.recipe_hash(str(recipe))
    (recipe / "etc" / "__pycache__").mkdir()
    (recipe / "etc" / "__pycache__" / "x.pyc").touch()
    assert build.recipe_hash(str(recipe)) == before


def test_hash_does_not_follow_links(recipe, tmp_path):
    (tmp_path / "outside").write_text("1", encoding="utf-8")
    (recipe / "link").symlink_to("../outside")
    before = build.recipe_hash(str(recipe))
    (tmp_path / "outside").write_text("2", encoding="utf-8")
    assert build.recipe_hash(str(recipe)) == before


def test_reference():
    assert re.fullmatch(r"ghcr\.io/containai/base:recipe-[0-9a-f]{16}", build.reference("base"))


@pytest.mark.parametrize("name", ["nope", "", "..", ".", "../images", "__pycache__", "base/"])
def test_no_such_image(name):
    with pytest.raises(ImageError, match="there is no image"):
        build.reference(name)


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
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
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

    def __init__(self, recipe, said="Loaded image: example.com/it:latest\n"):
        self.recipe, self.said = recipe, said
        self.tagged = {}

    def docker(self, verb, *words, timeout=0):
        if verb == "tag":
            self.tagged[words[1]] = words[0]
        return Done(0, self.said, "")

    def inspect(self, kind, name):
        return {"Config": {"Labels": {LABEL_RECIPE: self.recipe}}}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr(build.machine, "free_bytes", lambda path: 8)
    (tmp_path / "image.tar").write_bytes(b"1234")
    return str(tmp_path / "image.tar")


def test_loaded_image_gets_the_name_that_is_looked_for(archive):
    engine = LoadingEngine(build.recipe_hash(build.recipe_directory("base")))
    assert build.load(engine, "base", archive) == build.reference("base")
    assert engine.tagged == {build.reference("base"): "example.com/it:latest"}


@pytest.mark.parametrize(
    ("engine", "seen"),
    [
        (LoadingEngine("other"), "holds example.com/it:latest, but not base"),
        (LoadingEngine("other", said=""), "holds no image, but not base"),
    ],
)
def test_archive_of_another_image_is_refused(archive, engine, seen):
    with pytest.raises(ImageError, match=seen):
        build.load(engine, "base", archive)
    assert engine.tagged == {}


def test_archive_needs_twice_its_size(archive, monkeypatch):
    monkeypatch.setattr(build.machine, "free_bytes", lambda path: 7)
    with pytest.raises(NoSpaceError, match="loading"):
        build.load(LoadingEngine(""), "base", archive)
