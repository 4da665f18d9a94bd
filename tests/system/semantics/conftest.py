"""Docker's behaviours, each against plain runc and against cai-runc with one expectation.

The image is a busybox without systemd, made here: nothing is pulled.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .client import IMAGE, Docker
from .image import busybox_files, layer


@pytest.fixture(scope="session")
def busybox(site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, made of Debian's busybox-static."""
    engine = Docker(site.layout.engine_socket, "runc")
    engine("import", "-", IMAGE, data=layer(busybox_files(tmp_path_factory.mktemp("busybox"))))
    yield IMAGE
    names = engine("images", "--format", "{{.Repository}}", "--filter", "reference=test-*")
    engine("rmi", "--force", *names.split())


@pytest.fixture(scope="session")
def base_layer(busybox: str, site: Any) -> bytes:
    """The layer of the image."""
    saved = Docker(site.layout.engine_socket, "runc").raw("save", busybox)
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        return archive.extractfile(manifest[0]["Layers"][0]).read()


@pytest.fixture(scope="session", params=["runc", "cai-runc"])
def runtime(request: pytest.FixtureRequest) -> str:
    """The runtime that all is expected of."""
    return str(request.param)


@pytest.fixture
def docker(site: Any, busybox: str, runtime: str) -> Iterator[Docker]:
    """Docker with each runtime in turn."""
    found = Docker(site.layout.engine_socket, runtime)
    yield found
    found.end()


@pytest.fixture
def ours(site: Any, busybox: str) -> Iterator[Docker]:
    """Docker with cai-runc alone, for what it does otherwise on purpose."""
    found = Docker(site.layout.engine_socket, "cai-runc")
    yield found
    found.end()


@pytest.fixture(scope="module")
def idle(site: Any, busybox: str, runtime: str) -> Iterator[str]:
    """A running container for tests that leave it as it is."""
    engine = Docker(site.layout.engine_socket, runtime)
    yield engine.start("--env", "MADE=yes", "--workdir", "/tmp")
    engine.end()


@pytest.fixture
def volume(docker: Docker) -> Iterator[Callable[[], str]]:
    """Make named volumes that go at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(docker("volume", "create"))
        return made[-1]

    yield make
    docker.end()
    if made:
        docker("volume", "rm", *made)
