"""Images that the Docker of new boxes begins with (`cai image preload`)."""

import json
import os
import tarfile

import pytest

from containai.errors import ImageError
from harness.site import refused

from .semantics import image

NAME = "test-preloaded:latest"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An image as `docker save` writes it, whose second layer hides parts of the first."""
    work = tmp_path_factory.mktemp("archive")
    below = [
        image.entry("gone", b"x"),
        image.entry("hidden", kind=tarfile.DIRTYPE),
        image.entry("hidden/old", b"x"),
    ]
    above = [
        image.entry(".wh.gone"),
        image.entry("hidden", kind=tarfile.DIRTYPE),
        image.entry("hidden/.wh..wh..opq"),
        image.entry("hidden/new", b"new\n", uid=1000, gid=2000, mode=0o4750),
    ]
    layers = [image.layer([*image.busybox_files(work), *below]), image.layer(above)]
    path = str(work / "image.tar")
    with open(path, "wb") as file:
        file.write(image.archive_of(layers, NAME.removesuffix(":latest")))
    return path


def preload(site, *words, **options):
    return site.cai("image", "preload", *words, "--json", **options)


def names(done):
    return [name for each in json.loads(done.stdout) for name in each["names"]]


@pytest.fixture(autouse=True)
def none(site):
    yield
    preload(site, "--remove")
    assert volumes(site) == ""


def volumes(site):
    return site.docker("volume", "ls", "--quiet", "--filter", "label=containai.preloaded")


SHOW = f"""
docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | tr '\\n' ' '
docker run --rm {NAME} sh -c 'ls -d /gone 2>/dev/null; ls /hidden; stat -c "%u %g %a" /hidden/new'
"""


def test_new_boxes_begin_with_them(site, make_space, archive):
    before, one, two = map(make_space, ("before", "one", "two"))
    before.run("true")
    assert names(preload(site, "--archive", archive)) == [NAME]

    expected = f"{NAME} new\n1000 2000 4750"
    assert one.sh(SHOW) == expected
    # Each has its own: one may do with them what it likes.
    where = "sudo find /var/lib/docker/overlay2 -name new -printf '%D:%i '"
    seen = one.sh(where)
    assert one.sh(f"docker rmi -f {NAME} >/dev/null; sudo find /var/lib/docker -name new") == ""
    assert two.sh(SHOW) == expected
    assert seen != two.sh(where)
    who = "docker info --format '{{.ID}}'"
    assert one.sh(who) != two.sh(who)
    # What a child is built on them is as anywhere.
    build = "docker build -q -t child - >/dev/null && docker run --rm child ls /hidden"
    child = f"printf 'FROM {NAME}\nRUN echo hi >/hidden/more\n' | {build}"
    assert two.sh(child) == "more\nnew"
    away = f"docker save {NAME} >/tmp/saved && docker rmi -f child {NAME} >/dev/null"
    assert NAME in two.sh(f"{away} && docker load --quiet </tmp/saved")
    assert two.sh(SHOW) == expected
    # Boxes that were there are as they were.
    assert before.sh("docker image ls --quiet") == ""


def test_images_of_the_engine_added_and_removed(site, space, archive):
    site.docker("load", "--input", archive)
    site.docker("tag", NAME, "test-preloaded:second")
    try:
        assert names(preload(site, "test-preloaded")) == [NAME]
        both = [NAME, "test-preloaded:second"]
        assert sorted(names(preload(site, "test-preloaded:second"))) == both
        assert sorted(names(preload(site, "--list"))) == both
        # It was there before: it stays.
        assert site.docker("image", "ls", "--quiet", NAME) != ""
    finally:
        site.docker("rmi", *both)
    assert (
        "not preloaded: nothing:1"
        in refused(preload(site, "--remove", "nothing:1", check=False), ImageError)[-2]
    )
    assert names(preload(site, "--remove", "test-preloaded:second")) == [NAME]
    listed = space.sh("docker image ls --format '{{.Repository}}:{{.Tag}}'")
    assert listed == NAME
    assert json.loads(preload(site, "--remove", NAME).stdout) == []
    assert volumes(site) == ""
    assert space.sh("docker image ls --format '{{.Repository}}:{{.Tag}}'") == NAME


def test_what_is_no_image_leaves_nothing_behind(site, tmp_path, archive):
    broken = tmp_path / "broken.tar"
    with open(archive, "rb") as file:
        broken.write_bytes(file.read()[:-200_000])
    empty = tmp_path / "empty.tar"
    empty.touch()
    for path in (broken, empty, tmp_path, tmp_path / "none"):
        assert (
            str(path) in refused(preload(site, "--archive", str(path), check=False), ImageError)[-2]
        )
        assert volumes(site) == ""
    # Nor does it harm those that are there.
    preload(site, "--archive", archive)
    assert (
        str(broken) in refused(preload(site, "--archive", str(broken), check=False), ImageError)[-2]
    )
    assert names(preload(site, "--list")) == [NAME]


def test_a_name_that_cannot_be_had(site):
    gone = "127.0.0.1:9/none:1"
    assert (
        f"{gone} could not be pulled" in refused(preload(site, gone, check=False), ImageError)[-2]
    )
    assert (
        "'Not A Name' is no name of an image"
        in refused(preload(site, "Not A Name", check=False), ImageError)[-2]
    )
    assert volumes(site) == ""


def test_a_change_that_was_interrupted_is_not_copied(site, space, archive):
    preload(site, "--archive", archive)
    volume = volumes(site)
    os.unlink(f"{site.layout.engine_data}/volumes/{volume}/_data/preloaded")
    done = space.run("docker", "image", "ls", "--quiet")
    assert done.stdout == b""
    assert b"repeat cai image preload" in done.stderr
    # Repeated, it is whole again.
    assert names(preload(site, "--archive", archive)) == [NAME]
