"""Fixtures on one ContainAI of the tests' own, which is gone at the end.

With CONTAINAI_TEST_ROOT set to a directory, that root is used and kept: no image is built twice.
"""

import os
from collections.abc import Iterator

import pytest

from harness.installing import Home, Releases, make_release
from harness.runtimes import install_sysbox, keep_sysbox
from harness.site import Site, end, make_root, prepare
from harness.space import MakeSpace, Space, making, remove


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "system: real boxes on an engine of the tests' own")
    config.addinivalue_line("markers", "unified: what a box has of cgroups, which is version 2")


#: Sysbox has a way of its own with version 1, which docs/explanation/sysbox.md tells of.
LEGACY = pytest.mark.skip(reason="with cgroup v1, root of a box on Sysbox has its own controllers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    is_unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    is_legacy = config.getoption("--runtime") == "sysbox" and not is_unified
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.system)
        if is_legacy and item.get_closest_marker("unified") is not None:
            item.add_marker(LEGACY)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("the tests' own engine needs root")
    kept = os.environ.get("CONTAINAI_TEST_ROOT")
    root = kept or make_root()
    site = prepare(root)
    if request.config.getoption("--runtime") == "sysbox":
        install_sysbox(site)
    yield site
    end(site, keep=bool(kept))


@pytest.fixture(autouse=True)
def runtime_of_new_boxes(request: pytest.FixtureRequest) -> None:
    """Have new boxes started by what was asked for, whatever a test before has chosen."""
    if request.config.getoption("--runtime") == "sysbox" and "site" in request.fixturenames:
        keep_sysbox(request.getfixturevalue("site"))


@pytest.fixture
def make_space(site: Site) -> Iterator[MakeSpace]:
    """Make workspaces: a function of the last part of the path and the owner."""
    yield from making(site)


@pytest.fixture(scope="module")
def make_lasting(site: Site) -> Iterator[MakeSpace]:
    """As make_space, for workspaces that a whole module shares."""
    yield from making(site)


@pytest.fixture
def space(make_space: MakeSpace) -> Space:
    """A workspace without a box."""
    return make_space()


@pytest.fixture(scope="session")
def shared_space(site: Site) -> Iterator[Space]:
    path = os.path.join(site.root, "ws", "shared")
    os.makedirs(path, exist_ok=True)
    space = Space(site, path)
    yield space
    remove([space])


@pytest.fixture
def shared(shared_space: Space) -> Space:
    """A workspace with a running box, for tests that change nothing that matters to others."""
    shared_space.run("true")
    return shared_space


@pytest.fixture(scope="module")
def full(site: Site) -> Iterator[Space]:
    """A workspace with a running box of the image `full`, which is built once for all tests.

    Other modules' tests see none: it is of another image than new boxes there, and has an id range.
    """
    site.cai("image", "build", "full")
    path = os.path.join(site.root, "ws", "full")
    os.makedirs(path, exist_ok=True)
    space = Space(site, path)
    space.run("true", env={"CONTAINAI_IMAGE_NAME": "full"})
    yield space
    remove([space])


@pytest.fixture
def home(tmp_path):
    """A home that install.sh is run in: one that needs quoting, which the machine tests' do not."""
    path = tmp_path / "a home"
    path.mkdir()
    return Home(str(path), str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """The files of a release, made as the workflow makes them; they are served from anywhere."""
    directory = str(tmp_path_factory.mktemp("release"))
    make_release(directory)
    return directory


@pytest.fixture
def releases(release):
    """A server of them."""
    server = Releases(release)
    yield server
    server.stop()
