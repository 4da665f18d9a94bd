"""What unit tests share: a ContainAI of their own below a temporary directory."""

import os

import pytest

from containai.host.fake import FakeMachine
from containai.host.proc import Programs
from containai.layout import Layout
from containai.provision import steps
from harness.app import FakeApp
from harness.incus_server import make_certificate


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Linters last: what the code does comes before what it looks like."""
    items.sort(key=lambda item: item.get_closest_marker("lint") is not None)


@pytest.fixture
def layout(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Layout(str(tmp_path / "root"), str(home), 1000, str(tmp_path / "run"))


@pytest.fixture
def host(layout):
    return FakeMachine(layout)


@pytest.fixture
def bare(layout):
    """An App on a machine that is not set up, of whoever runs the tests."""
    layout.uid = os.getuid()
    return FakeApp(layout)


@pytest.fixture
def app(bare):
    """An App on a machine that is set up."""
    return bare.set_up()


@pytest.fixture
def have_steps(monkeypatch):
    """Have other steps of setup, and what doctor looks at beside them."""

    def have(*own, beside=()):
        monkeypatch.setattr(steps, "steps", lambda host, choices: list(own))
        monkeypatch.setattr(steps, "checks", lambda host, choices: [*own, *beside])

    return have


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A directory of one's own, which is the current one."""
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def elsewhere(workspace, tmp_path, monkeypatch):
    """Another directory, which is the current one."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No setting of whoever runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("CONTAINAI_", "CAI_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates by name, with their keys: a server's of Incus, another one of it, ours."""
    directory = str(tmp_path_factory.mktemp("certificates"))
    return {name: make_certificate(directory, name) for name in ("server", "other", "client")}


@pytest.fixture
def own_root(monkeypatch):
    """Whoever runs the tests does what root would: below a directory of the test's own."""
    if os.geteuid() != 0:
        monkeypatch.setattr(Programs, "as_root", lambda host, argv: list(argv))
