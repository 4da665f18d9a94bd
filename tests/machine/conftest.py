"""One machine for all tests of a session: each starts from its first idle moment."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .build import DEFAULT_CACHE
from .machine import Machine
from .product import Product

ROOT = Path(__file__).parents[2]
# python3-venv: Debian's Python makes no virtual environment without it; ContainAI comes in one.
EXTRA_PACKAGES = ("python3-pip", "python3-venv")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "machine: a whole computer, booted in QEMU; takes minutes")


def _packages(source: Path, directory: Path) -> Path:
    """Return an archive of ContainAI as it is in `source`, and of all that it imports."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target"]
    subprocess.run([*argv, str(directory / "packages"), str(source)], check=True)
    with tarfile.open(directory / "packages.tar", "w:gz") as archive:
        archive.add(directory / "packages", ".")
    return directory / "packages.tar"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ContainAI as it is in this checkout."""
    return _packages(ROOT, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def image_tarball() -> Path | None:
    """The image that boxes start from, as `docker save` writes it, if CONTAINAI_TEST_IMAGE is set.

    In the machine, `machine.carried(image_tarball.name)` is the command that writes it out.
    """
    name = os.environ.get("CONTAINAI_TEST_IMAGE")
    return Path(name).resolve(strict=True) if name else None


@pytest.fixture(scope="session")
def running_machine(
    tmp_path_factory: pytest.TempPathFactory, image_tarball: Path | None
) -> Iterator[Machine]:
    cache = Path(os.environ.get("CONTAINAI_TEST_CACHE", DEFAULT_CACHE))
    machine = Machine.build(
        extra_packages=EXTRA_PACKAGES,
        cache=cache,
        directory=tmp_path_factory.mktemp("machine"),
        carry=[image_tarball] if image_tarball else [],
    )
    with machine:
        yield machine


@pytest.fixture
def machine(running_machine: Machine) -> Machine:
    """A fresh Debian 13 server that has just booted; whatever is done to it is undone."""
    running_machine.revert()
    return running_machine


@pytest.fixture
def installed(machine: Machine, packages: Path) -> Product:
    """A server on which cai is installed, and nothing set up."""
    product = Product(machine)
    product.install(packages)
    return product
