"""One fleet for all tests, which are one story; nothing of it is left at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from harness.site import Site, end, make_root

from .fleet import Fleet

#: What was measured, for who runs the tests.
FIGURES: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fleet: two servers of Incus as a cluster; takes minutes")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for each in FIGURES:
            terminalreporter.line(each)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A ContainAI of the tests' own, whose engine has the image of boxes.

    It is built, or CONTAINAI_TEST_IMAGE names an archive of it.
    """
    if os.geteuid() != 0:
        pytest.skip("servers of the tests' own need root")
    site = Site(make_root())
    archive = os.environ.get("CONTAINAI_TEST_IMAGE", "")
    site.cai("setup", "--yes", *(("--image-archive", archive) if archive else ()))
    yield site
    end(site, keep=False)


@pytest.fixture(scope="session")
def fleet(site: Site) -> Iterator[Fleet]:
    """Two servers that run, with nothing in them; their disks are below a directory in /var/tmp."""
    directory = tempfile.mkdtemp(prefix="fleet", dir="/var/tmp")
    fleet = Fleet(site, directory, f"fl{site.layout.number % 1000}")
    try:
        fleet.make()
        yield fleet
    finally:
        FIGURES.extend(fleet.figures)
        left = fleet.end()
        if not left:
            shutil.rmtree(directory)
    assert left == []
