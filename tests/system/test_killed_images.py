"""`cai image pull`, `push` and `import` killed: whatever has a name is whole, and again works.

What the registry answers waits from some request on, so that the kill is in the middle; and then a
little longer, by a seed that is printed and that CONTAINAI_KILLED_SEED repeats.
"""

import contextlib
import http.client
import json
import os
import random
import subprocess
import threading
import time

import pytest

from containai.config.settings import Settings
from containai.images import recipe
from containai.layout import LABEL_RECIPE
from harness import registry as registries
from harness.waiting import until

SEED = int(os.environ.get("CONTAINAI_KILLED_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
#: How much longer it may take until the kill, in seconds.
A_LITTLE = 0.3
#: How large each of the two layers is, in bytes.
SIZE = 4 << 20
NAME = "team/killed"
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


#: What makes another recipe of a layer.
OTHER = {"CONTAINAI_IMAGE_WITHOUT": "build dotnet go node python rust"}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with registries.registry(str(tmp_path_factory.mktemp("registry"))) as port:
        yield port


@pytest.fixture
def front(port):
    with registries.front(port) as front:
        yield front


def build(site, name, directory):
    socket = f"unix://{site.layout.engine_socket}"
    argv = ["docker", "--host", socket, "build", "--quiet", "--tag", name, directory]
    classic = os.environ | {"DOCKER_BUILDKIT": "0"}
    subprocess.run(argv, env=classic, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(site, tmp_path_factory):
    """An image of two layers with a recipe's label, by a name of its own."""
    directory = tmp_path_factory.mktemp("context")
    for name in "ab":
        (directory / name).write_bytes(os.urandom(SIZE))
    text = f"FROM scratch\nCOPY a /\nCOPY b /\nLABEL {LABEL_RECIPE}=f\n"
    (directory / "Dockerfile").write_text(text)
    build(site, "killed:1", str(directory))
    yield site.docker("image", "inspect", "--format", "{{.Id}}", "killed:1")
    site.docker("rmi", "killed:1", check=False)


def names(site, repository):
    return site.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository)


def killed(site, words, until_then, env=None):
    """Start cai, kill it a little after something is so; return whether it was still there.

    What is so only while it runs may have come and gone between two looks: it is not waited for.
    """
    chance = random.Random(f"{SEED} {words}").random() * A_LITTLE
    print(f"CONTAINAI_KILLED_SEED={SEED}: {chance:.3f} s")
    run = site.start(*words, env=env, **QUIET)
    until(lambda: until_then() or run.poll() is not None)
    time.sleep(chance)
    run.kill()
    return run.wait() < 0


class Held:
    """From a request on that has a word in its path, a front waits with its answers."""

    def __init__(self, front, word, count):
        self.word, self.left = word, count
        self.reached, self.go = threading.Event(), threading.Event()
        front.change = self

    def __call__(self, path, wanted, answer):
        if self.word in path and len(answer.body) > 0:
            self.left -= 1
        if self.left <= 0:
            self.reached.set()
            self.go.wait(60)
        return answer


@pytest.fixture
def pushed(site, built, port):
    """The image in the registry, and no longer here."""
    target = f"127.0.0.1:{port}/{NAME}:1"
    site.cai("image", "push", target, "--image", "killed:1")
    site.docker("rmi", "killed:1")
    yield
    assert site.docker("image", "inspect", "--format", "{{.Id}}", "killed:1") == built


@pytest.mark.parametrize(("word", "count"), [("/manifests/", 1), ("/blobs/", 1), ("/blobs/", 3)])
def test_a_pull(site, pushed, front, word, count):
    reference = f"127.0.0.1:{front.port}/{NAME}:1"
    held = Held(front, word, count)
    assert killed(site, ("image", "pull", reference), held.reached.is_set)
    assert names(site, reference) == ""
    held.go.set()
    site.cai("image", "pull", reference)
    assert names(site, reference) == reference
    site.docker("tag", reference, "killed:1")
    site.docker("rmi", reference)


def manifest(port, tag):
    """Return the status of a tag in the registry, and the digest of what it names."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(connection):
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        connection.request("HEAD", f"/v2/{NAME}/manifests/{tag}", headers={"Accept": kind})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Docker-Content-Digest")


def test_a_push(site, built, port):
    target = f"127.0.0.1:{port}/{NAME}:2"
    killed(site, ("image", "push", target, "--image", "killed:1"), lambda: names(site, target))
    seen = manifest(port, 2)
    done = json.loads(site.cai("image", "push", target, "--image", "killed:1", "--json").stdout)
    assert manifest(port, 2) == (200, done["digest"])
    assert seen in ((404, None), (200, done["digest"]))
    # What was killed had no time to take its name back.
    site.docker("rmi", target, check=False)


@pytest.fixture
def layer(site, tmp_path):
    """An archive of what says that it is a layer, of a recipe that nobody else asks for."""
    made = recipe.find("sdks", Settings.load("", OTHER))
    for name in "ab":
        (tmp_path / name).write_bytes(os.urandom(SIZE))
    text = f"FROM scratch\nCOPY a /\nCOPY b /\nLABEL {LABEL_RECIPE}={made.digest}\n"
    (tmp_path / "Dockerfile").write_text(text)
    build(site, made.reference, str(tmp_path))
    image = site.docker("image", "inspect", "--format", "{{.Id}}", made.reference)
    archive = str(tmp_path / "archive.tar")
    site.docker("save", "--output", archive, made.reference)
    site.docker("rmi", made.reference)
    yield archive, made.reference, image
    site.docker("rmi", made.reference, check=False)


@pytest.mark.parametrize("stage", ["begun", "layers"])
def test_an_import(site, layer, stage):
    archive, reference, image = layer
    layers = f"{site.layout.engine_data}/image/overlay2/layerdb/sha256"
    before = set(os.listdir(layers))
    killed(
        site,
        ("image", "import", archive),
        lambda: stage == "begun" or set(os.listdir(layers)) > before,
        env=OTHER,
    )
    assert names(site, reference) in ("", reference)
    site.cai("image", "import", archive, env=OTHER)
    assert site.docker("image", "inspect", "--format", "{{.Id}}", reference) == image
