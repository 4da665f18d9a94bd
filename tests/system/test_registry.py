"""`cai image push` and `pull` against a real registry, and against what bad ones answer."""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading

import pytest

from containai.errors import ImageError
from containai.host import files
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness import registry as registries
from harness.registry import Answer
from harness.site import refused, text

#: How large the one layer of the image is, in bytes: more than what is sent at once.
SIZE = 4 << 20
NAME = "team/base"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with registries.registry(str(tmp_path_factory.mktemp("registry"))) as port:
        yield port


@pytest.fixture
def front(port):
    with registries.front(port) as front:
        yield front


def push(site, port, directory):
    """Push an image with a recipe's label, like no other; return what cai says. It is not here."""
    (directory / "file").write_bytes(os.urandom(SIZE))
    (directory / "Dockerfile").write_text(f"FROM scratch\nCOPY file /\nLABEL {LABEL_RECIPE}=f\n")
    socket = f"unix://{site.layout.engine_socket}"
    subprocess.run(
        ["docker", "--host", socket, "build", "--quiet", "--tag", "pushed:1", str(directory)],
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
        check=True,
        capture_output=True,
    )
    target = f"127.0.0.1:{port}/{NAME}:1"
    done = site.cai("image", "push", target, "--image", "pushed:1", "--json")
    assert site.docker("image", "ls", "--quiet", target) == ""
    site.docker("rmi", "pushed:1")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def pushed(site, port, tmp_path_factory):
    """An image in the registry: what cai says of the push."""
    return push(site, port, tmp_path_factory.mktemp("context"))


@pytest.fixture
def unknown(site, port, tmp_path):
    """The digest of one that was never pulled: for a while, containerd keeps what was."""
    return push(site, port, tmp_path)["digest"]


@pytest.fixture
def pull(site, front, pushed):
    """Return a function that pulls by a tag or a digest, through the front; nothing stays here."""

    def pull(suffix=":1", **options):
        return site.cai("image", "pull", f"127.0.0.1:{front.port}/{NAME}{suffix}", **options)

    yield pull
    for image in site.docker("image", "ls", "--quiet", f"127.0.0.1:{front.port}/{NAME}").split():
        site.docker("rmi", "--force", image, check=False)


def here(site, front):
    return site.docker("image", "ls", "--all", "--quiet", f"127.0.0.1:{front.port}/{NAME}")


def test_by_a_tag_and_by_the_digest_that_was_pushed(site, pull, front, pushed):
    assert re.fullmatch("sha256:[0-9a-f]{64}", pushed["digest"])
    for suffix in (":1", f"@{pushed['digest']}"):
        assert pushed["digest"].encode() in pull(suffix).stdout
        assert here(site, front)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(site, pull, front):
    cut = []

    def change(path, wanted, answer):
        if "/blobs/" in path and len(answer.body) > SIZE / 2 and not cut:
            cut.append(path)
            return answer._replace(cut=SIZE // 2)
        return answer

    front.change = change
    pull()
    ranges = [wanted for path, wanted in front.requests if path in cut and wanted]
    assert len(cut) == 1
    assert ranges
    assert 0 < int(ranges[0].removeprefix("bytes=").removesuffix("-")) <= SIZE // 2
    assert here(site, front)


def manifest(answer):
    return "manifest" in answer.headers.get("Content-Type", "")


def altered(path, wanted, answer):
    """Have another manifest than the digest says."""
    if not manifest(answer) or not answer.body:
        return answer
    # Whatever it looks like, which depends on who wrote it.
    body = answer.body + b"\n"
    return Answer(200, answer.headers | {"Content-Length": str(len(body))}, body)


def layer(path, wanted, answer):
    """Have another layer than its digest says."""
    if "/blobs/" not in path or len(answer.body) < SIZE / 2:
        return answer
    return answer._replace(body=answer.body[:-100] + b"0" * 100)


def status(number):
    def change(path, wanted, answer):
        if "/manifests/" not in path:
            return answer
        return Answer(number, {"Content-Type": "text/plain"}, b"no")

    return change


def truncated(path, wanted, answer):
    """End in the middle of a manifest."""
    return answer._replace(cut=len(answer.body) // 2) if manifest(answer) else answer


def page(path, wanted, answer):
    """Be no registry: what a portal of a hotel answers."""
    return Answer(200, {"Content-Type": "text/html"}, b"<html>log in here</html>")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (altered, "something else than what its digest says"),
        (layer, "something else than what its digest says"),
        (status(500), "the registry failed"),
        (status(503), "the registry failed"),
        (status(429), "too many requests"),
        (status(401), "does not let you"),
        (truncated, "breaks off"),
        (page, "breaks off"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_what_a_bad_registry_answers_is_refused_and_nothing_is_kept(
    site, pull, front, unknown, change, said
):
    front.change = change
    done = pull(f"@{unknown}", check=False)
    refused(done, ImageError)
    assert said in text(done)
    assert here(site, front) == ""


@pytest.mark.parametrize("suffix", [":none", f"@sha256:{'0' * 64}"])
def test_what_the_registry_has_not(pull, suffix):
    done = pull(suffix, check=False)
    refused(done, ImageError)
    assert "has no such image" in text(done)


def test_a_registry_that_does_not_answer(site):
    done = site.cai("image", "pull", "127.0.0.1:1/a/b:1", check=False)
    refused(done, ImageError)
    assert "does not answer" in text(done)


def test_the_engine_asks_by_the_proxy_of_this_machine(site):
    """By one on a loopback address, that gives nothing. It is in no environment of cai's own."""
    asked = []
    client = os.path.join(site.home, ".docker/config.json")
    before = files.read(client)
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = proxy.accept()
                    with connection:
                        asked.append(connection.recv(4096).split(b"\r\n")[0])
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        told = {"proxies": {"default": {"httpsProxy": url}}}
        files.write(client, json.dumps(json.loads(before or "{}") | told))
        try:
            site.cai("setup", "--yes")
        finally:
            files.write(client, before or "{}")
        done = site.cai("image", "pull", "registry.invalid/a/b:1", check=False)
    site.cai("setup", "--yes", env={"CONTAINAI_NETWORK_PROXIES": "false"})
    refused(done, ImageError)
    assert asked[0] == b"CONNECT registry.invalid:443 HTTP/1.1"
    done = site.cai("image", "pull", "registry.invalid/a/b:1", check=False)
    assert "does not answer" in text(done)


def test_a_layer_of_another_recipe_is_not_kept(site, front, pushed):
    config = site.layout.config_file
    os.makedirs(os.path.dirname(config), exist_ok=True)
    before = site.docker("image", "ls", "--quiet", f"{IMAGE_REPOSITORY}/base")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'image.registry = "127.0.0.1:{front.port}/team"\n')
    try:
        done = site.cai("image", "pull", f"base@{pushed['digest']}", check=False)
    finally:
        os.unlink(config)
    refused(done, ImageError)
    assert "is not base as this version of cai makes it" in text(done)
    assert site.docker("image", "ls", "--quiet", f"{IMAGE_REPOSITORY}/base") == before
    assert here(site, front) == ""
