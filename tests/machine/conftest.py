"""One machine for all tests of a session: each starts from its first idle moment."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containai.config.settings import Settings
from containai.images import recipe
from harness.site import IMAGE, Site, end, make_root

from . import manifest, packed
from .build import DEFAULT_CACHE, locked
from .machine import Machine
from .product import PROJECT, Product
from .served import Served

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("CONTAINAI_TEST_CACHE", DEFAULT_CACHE))
# python3-venv: Debian's Python makes no virtual environment without it; ContainAI comes in one.
# busybox-static: one file makes a container. git: what is in a repository goes to a server.
EXTRA_PACKAGES = ("busybox-static", "git", "python3-pip", "python3-venv")


# Names the directory of the states that scenarios start from. Who works on a scenario can keep one:
# nothing in it is made anew, whatever has changed.
STATES = "CONTAINAI_TEST_STATES"
#: The fixtures that tests start from, in the order in which these come. Each state is made of the
#: one before, but `set_up`: one worker makes that of `installed`, while the other makes `served`.
STARTS = ("machine", "installed", "served", "set_up", "running")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "machine: a whole computer, booted in QEMU; takes minutes")
    config.addinivalue_line("markers", "reads: leaves a machine so that the next one can go on")
    if STATES not in os.environ:
        # One for all workers, who inherit the environment. Gigabytes, so not in a tmpfs.
        directory = tempfile.TemporaryDirectory(prefix="containai-states-", dir="/var/tmp")
        os.environ[STATES] = directory.name
        config.add_cleanup(directory.cleanup)


#: What takes longest, by name, the longest first. A worker takes the next test when it has ended
#: one, so these come early; the first of them makes all the states on its way.
LONGEST = (
    "test_beside_a_busy_docker",
    "test_faults",
    "test_reboot_brings_boxes_back",
    "test_upgrade_with_a_box_running",
    "test_a_disabled_unit_and_a_clock_that_is_a_year_ahead",
    "test_power_cut",
    "test_power_cut_during_a_start",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have no worker wait for a state that another is making while there is other work.

    Each is given two tests to begin with (xdist): behind the longest waits a short one.
    """
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    here.sort(key=_rank)
    if len(here) > 2 and _rank(here[0])[0] < 0:
        here.insert(1, here.pop())
    own = iter(here)
    items[:] = [next(own) if item in here else item for item in items]


def _rank(item: pytest.Item) -> tuple[int, int]:
    """Return when a test comes: by the state that it starts from, and by how long it takes."""
    name = item.name
    if name == LONGEST[0]:
        return -1, 0
    fixtures = getattr(item, "fixturenames", ())
    state = max((n for n, each in enumerate(STARTS) if each in fixtures), default=0)
    return state, LONGEST.index(name) if name in LONGEST else len(LONGEST)


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
def newer_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as version 99.0, with another runtime."""
    source = tmp_path_factory.mktemp("newer")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "docs"):
        shutil.copytree(ROOT / name, source / name)
    version = source / "src/containai/__init__.py"
    version.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.0"', version.read_text()))
    with (source / "src/containai/runtime/main.py").open("a") as file:
        file.write("# newer\n")
    return _packages(source, tmp_path_factory.mktemp("newer-packages"))


@pytest.fixture(scope="session")
def image_tarball() -> Path:
    """The image that boxes start from, as `docker save` writes it.

    CONTAINAI_TEST_IMAGE names it where the system level has left it; else it is built, and kept
    beside the machine's disk. In the machine, `machine.carried(NAME)` writes it out.
    """
    path = Path(os.environ.get("CONTAINAI_TEST_IMAGE", CACHE / "image.tar"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not _is_current(path):
            _build_image(path)
    return path


def _is_current(archive: Path) -> bool:
    if not archive.exists():
        return False
    with tarfile.open(archive) as members:
        manifest = members.extractfile("manifest.json")
        assert manifest is not None
        tags = [tag for image in json.load(manifest) for tag in image["RepoTags"] or ()]
    return recipe.find(IMAGE, Settings()).reference in tags


def _build_image(archive: Path) -> None:
    """Build the image on an engine of its own, which is gone afterwards."""
    site = Site(make_root())
    try:
        site.cai("setup", "--yes")
        site.save_image(str(archive))
    finally:
        end(site, keep=False)


@pytest.fixture(scope="session")
def running_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, image_tarball: Path
) -> Iterator[Machine]:
    carry = [image_tarball]
    if any("served" in getattr(item, "fixturenames", ()) for item in request.session.items):
        with locked(image_tarball.with_suffix(".lock")):
            carry += packed.packed(image_tarball)
    machine = Machine.build(
        extra_packages=EXTRA_PACKAGES,
        cache=CACHE,
        directory=tmp_path_factory.mktemp("machine"),
        carry=carry,
    )
    with machine:
        yield machine


@pytest.fixture(scope="session")
def untouched(running_machine: Machine) -> list[int]:
    """How often the machine had gone back when it was last known to be as it has booted."""
    return [running_machine.resumed]


@pytest.fixture
def machine(
    request: pytest.FixtureRequest, running_machine: Machine, untouched: list[int]
) -> Machine:
    """A fresh Debian 13 server that has just booted; whatever is done to it is undone.

    Tests that are marked with `reads` find it as the one before left it: to go back takes longer
    than they do.
    """
    reads = request.node.get_closest_marker("reads") is not None
    if not reads or untouched != [running_machine.resumed]:
        running_machine.resume()
    untouched[:] = [running_machine.resumed] if reads else []
    return running_machine


class States:
    """Where scenarios start: each state is made once, by the first worker that needs it."""

    def __init__(self, machine: Machine, packages: Path, image: Path, directory: Path) -> None:
        self.machine, self._packages, self._directory = machine, packages, directory
        self.product = Product(machine, image.name)

    def installed(self) -> Product:
        """Go to a server on which cai is installed, and nothing set up."""
        return self._reach("installed", self.machine.resume, self._install)

    def set_up(self) -> Product:
        """Go to a server that `cai setup` set up, from the archive and with the carried image."""
        return self._reach("set-up", self.installed, self.product.set_up)

    def running(self) -> Product:
        """Go to a server with a running box that has files of the agent's, of root's, of ours."""
        return self._reach("running", self.set_up, self._run)

    def served(self) -> Served:
        """Go to a server of Incus that cai prepared, where its user, who has cai, has a box."""
        served = Served(self.product)

        def make() -> None:
            served.prepare()
            served.make()

        self._reach("served", self.installed, make)
        return served

    def _reach(
        self, name: str, before: Callable[[], object], make: Callable[[], object]
    ) -> Product:
        state = self._directory / name
        with locked(state.with_suffix(".lock")):
            if state.exists():
                self.machine.resume(state)
            else:
                before()
                make()
                self.machine.keep(state)
        return self.product

    def _install(self) -> None:
        self.product.install(self._packages)
        # Next to nothing, and all that a nested container needs.
        self.machine.run(f"install -o admin /usr/bin/busybox {PROJECT}/busybox")
        manifest.write(self.machine)

    def _run(self) -> None:
        self.machine.run(f"echo kept >{PROJECT}/kept", user="admin")
        self.product.sh("echo mine >~/note; echo root | sudo tee /etc/note >/dev/null; sync")


@pytest.fixture(scope="session")
def states(running_machine: Machine, packages: Path, image_tarball: Path) -> States:
    """Where scenarios start."""
    return States(running_machine, packages, image_tarball, Path(os.environ[STATES]))


@pytest.fixture
def installed(states: States) -> Product:
    """A server on which cai is installed, and nothing set up."""
    return states.installed()


@pytest.fixture
def set_up(states: States) -> Product:
    """A server that `cai setup` has set up; no box was made."""
    return states.set_up()


@pytest.fixture
def running(states: States) -> Product:
    """A server with a running box of the project."""
    return states.running()


@pytest.fixture
def served(states: States) -> Served:
    """A server of Incus, and its user, who has a box there."""
    return states.served()
