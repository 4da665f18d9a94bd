"""A cache between the Docker of boxes and a registry (`image.cache`)."""

import json
import os
import subprocess

import pytest

from containai.engine import cache, configuration
from containai.engine import network as networks
from harness import registry as registries
from harness.waiting import until

NAME = "team/thing"
#: curl(1), "EXIT CODES".
CURL_NOT_CONNECTED = 7


def set_up(site, said):
    os.makedirs(os.path.dirname(site.layout.config_file), exist_ok=True)
    with open(site.layout.config_file, "w", encoding="utf-8") as file:
        file.write(f'image.cache = "{said}"\n')
    try:
        site.cai("setup", "--yes")
    finally:
        os.unlink(site.layout.config_file)


@pytest.fixture
def front(site, tmp_path):
    """A registry with an image, by a front that notes what it is asked for; cached."""
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    with registries.registry(str(tmp_path)) as port, registries.front(port) as front:
        target = f"127.0.0.1:{port}/{NAME}:1"
        socket = f"unix://{site.layout.engine_socket}"
        argv = ["docker", "--host", socket, "build", "--quiet", "--tag", target, str(tmp_path)]
        classic = os.environ | {"DOCKER_BUILDKIT": "0"}
        subprocess.run(argv, env=classic, check=True, capture_output=True)
        site.docker("push", "--quiet", target)
        site.docker("rmi", target)
        set_up(site, f"http://127.0.0.1:{front.port}")
        yield front
        if cache.upstream(site.layout):
            set_up(site, "none")


def blobs(front):
    return [path for path, _ in front.requests if "/blobs/" in path]


PULL = f"docker pull --quiet {NAME}:1"
#: What is pushed there is a manifest that it has, under another tag; and a layer of one's own.
PUSH = f"""
kind=application/vnd.docker.distribution.manifest.v2+json
manifest=$(curl -sSf -H "Accept: $kind" $CACHE/v2/{NAME}/manifests/1)
for tag in 1 2; do
    curl -sS -o /dev/null -w '%{{http_code}} ' -X PUT -H "Content-Type: $kind" \
        --data-binary "$manifest" $CACHE/v2/{NAME}/manifests/$tag
done
curl -sS -o /dev/null -w '%{{http_code}} ' -X POST $CACHE/v2/{NAME}/blobs/uploads/
curl -sS -o /dev/null -w '%{{http_code}} ' -X DELETE $CACHE/v2/{NAME}/manifests/1
curl -sS -o /dev/null -w '%{{http_code}}' -H "Accept: $kind" $CACHE/v2/{NAME}/manifests/2
"""


def test_the_second_box_asks_the_registry_for_no_layer(site, make_space, front):
    one, two = make_space("one"), make_space("two")
    assert one.sh(PULL) == f"docker.io/{NAME}:1"
    assert blobs(front)
    # It is handed out before it is kept.
    kept = f"{cache.data(site.layout)}/data/docker/registry/v2/blobs/sha256"
    until(lambda: {each.rpartition(":")[2] for each in blobs(front)} <= names(kept))
    front.requests.clear()
    assert two.sh(PULL) == f"docker.io/{NAME}:1"
    assert blobs(front) == []
    assert [path for path, _ in front.requests if "/manifests/" in path]

    network = configuration.network(site.layout)
    where = f"http://{network.host}:{networks.CACHE_PORT}"
    assert two.sh(f"CACHE={where}\n{PUSH}") == "405 405 405 405 404"

    findings = json.loads(site.cai("doctor", "--json", check=False).stdout)["checks"]
    assert any(f"{network.host}:{networks.CACHE_PORT}, of http" in str(each) for each in findings)
    owner = os.stat(f"{cache.data(site.layout)}/data").st_uid
    assert owner != 0

    set_up(site, "none")
    until(lambda: not os.path.exists(cache.data(site.layout)))
    refused = two.run("curl", "-sS", "--max-time", "5", where, check=False)
    assert refused.returncode == CURL_NOT_CONNECTED


def names(directory):
    return {name for _, names, _ in os.walk(directory) for name in names}
