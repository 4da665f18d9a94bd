"""The layers of images: what is in none of them, how large they are, what a bad one says."""

import json
import shutil
import subprocess

import pytest

from containai.config.settings import Settings
from containai.errors import ImageError, UsageError
from containai.images import recipe
from harness import layers
from harness.site import refused

#: The most that an image may have, in bytes.
SIZES = {"base": 800_000_000, "sdks": 2_500_000_000, "full": 4_500_000_000}


@pytest.fixture(scope="module")
def made(site):
    """The images of this version that the site has, and where each is saved."""
    found = {}
    for name in recipe.PARENTS:
        reference = recipe.find(name, Settings()).reference
        if site.docker("images", "--quiet", reference):
            found[name] = reference
    assert "base" in found
    return found


def test_no_layer_has_what_is_of_one_machine_or_a_cache(site, made):
    # The largest has the layers of all.
    largest = made[max(made, key=list(SIZES).index)]
    said = site.docker("image", "inspect", "--format", "{{json .GraphDriver.Data}}", largest)
    data = json.loads(said)
    seen = layers.look([*reversed(data["LowerDir"].split(":")), data["UpperDir"]])
    assert seen.forbidden == []
    assert seen.twice == []


def test_sizes(site, made):
    for name, reference in made.items():
        size = int(site.docker("inspect", "--format", "{{.Size}}", reference))
        assert size < SIZES[name], (name, size)


def test_what_is_there_is_not_built_again(site):
    before = sorted(site.docker("images", "--all", "--quiet").split())
    site.cai("image", "build", "base")
    assert sorted(site.docker("images", "--all", "--quiet").split()) == before


def test_an_image_says_what_it_is_made_of(site, made):
    said = site.cai("image", "show", "base").stdout.decode()
    for word in ("htop", "docker.io", "sqlite3"):
        assert word in said


def test_two_boxes_have_nothing_of_who_they_are_in_common(shared, make_space):
    other = make_space()
    other.run("true")
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        mine, theirs = (each.sh(f"sudo cat {path}") for each in (shared, other))
        assert len(mine) >= 32
        assert mine != theirs


@pytest.fixture
def strange_root(site, tmp_path):
    """A root file system with a shell and neither apt nor systemd, as an image of the engine."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    libraries = subprocess.run(
        ["ldd", "/bin/sh", "/usr/bin/dirname"], capture_output=True, text=True, check=True
    ).stdout
    for path in ["/bin/sh", "/usr/bin/dirname"] + [
        word for word in libraries.split() if word.startswith("/lib")
    ]:
        at = root / path.rstrip(":").removeprefix("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.rstrip(":"), at)
    (root / "etc").mkdir()
    (root / "etc" / "os-release").write_text('ID=strange\nPRETTY_NAME="Strange Linux 1"\n', "utf-8")
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "root.tar", "."], check=True)
    site.docker("import", str(tmp_path / "root.tar"), "localhost/strange:1")
    yield "localhost/strange:1"
    site.docker("rmi", "--force", "localhost/strange:1")


def test_a_root_without_apt_is_refused_and_nothing_is_tagged(site, strange_root):
    words = ("images", "--filter", "dangling=false", "--format", "{{.Repository}}:{{.Tag}}")
    before = sorted(site.docker(*words).split())
    done = site.cai(
        "image", "build", "base", check=False, env={"CONTAINAI_IMAGE_ROOT": strange_root}
    )
    assert "Strange Linux 1, without apt" in "".join(refused(done, ImageError))
    assert sorted(site.docker(*words).split()) == before


def test_an_unknown_image_is_refused(site):
    done = site.cai("image", "build", "nope", check=False)
    assert done.returncode in (UsageError.exit_code, ImageError.exit_code)
    assert b"base" in done.stderr
