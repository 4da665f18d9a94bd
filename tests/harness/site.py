"""A ContainAI of the tests' own: root, home, engine, bridge, ports. Everything goes at the end."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from containai.config.settings import Settings
from containai.engine import configuration
from containai.engine import network as networks
from containai.errors import ContainAIError
from containai.images import recipe
from containai.layout import Layout

from .waiting import eventually

#: Ports of a site: a block of its own below the ephemeral ones, by its root, so that two runs on
#: one machine do not take each other's processes for leftovers.
PORTS_FIRST, PORTS_BLOCK, PORTS_BLOCKS = 20000, 200, 60
Word = str | bytes
Done = subprocess.CompletedProcess[bytes]


#: The quickest image to make: what the others have is tried where it matters.
IMAGE = "base"


class Site:
    """ContainAI under a root of its own, through its command line."""

    #: All there were in this run.
    made: ClassVar[list["Site"]] = []

    def __init__(self, root: str) -> None:
        self.made.append(self)
        self.root = root
        self.home = os.path.join(root, "home")
        run = os.path.join(root, "run")
        for path, mode in ((root, 0o755), (self.home, 0o755), (run, 0o700)):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
        os.makedirs(os.path.join(root, "ws"), exist_ok=True)
        self.layout = Layout(root, self.home, os.getuid(), run)
        self.ports = ports_of(self.layout)
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("CONTAINAI_") and key != "CAI_YES"
        } | {
            "CONTAINAI_ROOT": root,
            "HOME": self.home,
            "XDG_RUNTIME_DIR": run,
            "CONTAINAI_SSH_PORT_RANGE": "{}-{}".format(*self.ports),
            "CONTAINAI_IMAGE_NAME": IMAGE,
            # Of a machine that does much else.
            "CONTAINAI_SSH_TIMEOUT": "120",
            # Half of two processors doubles the time of all; what is so by default has its tests.
            "CONTAINAI_BOX_MEMORY": "none",
            "CONTAINAI_BOX_CPUS": "none",
            # Who wants some says so: they are boxes, which boot beside whatever is tried.
            "CONTAINAI_BOX_SPARES": "0",
        }
        #: Every container that a test looked at, so that nothing of it may be left.
        self.containers: set[str] = set()

    def start(self, *words: Word, env: dict[str, str] | None = None, **popen: Any) -> Any:
        """Start cai and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "containai", *words],
            env=self.environment | (env or {}),
            **popen,
        )

    def cai(
        self,
        *words: Word,
        check: bool = True,
        input: bytes | None = None,  # noqa: A002 - as subprocess calls it
        env: dict[str, str] | None = None,
        cwd: str | None = None,
    ) -> Done:
        """Run cai. Without input, stdin is empty."""
        done = subprocess.run(
            [sys.executable, "-m", "containai", *words],
            input=input if input is not None else b"",
            capture_output=True,
            env=self.environment | (env or {}),
            cwd=cwd,
            check=False,
            # Without the terminal of whoever runs the tests: nobody is asked.
            start_new_session=True,
        )
        if check and done.returncode != 0:
            pytest.fail(f"cai {words!r}: code {done.returncode}\n{done.stdout!r}\n{text(done)}")
        return done

    def docker(self, *words: str, check: bool = True) -> str:
        """Ask the site's own engine."""
        socket = f"unix://{self.layout.engine_socket}"
        done = subprocess.run(
            ["docker", "--host", socket, *words], capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            pytest.fail(f"docker {words!r}: {done.stderr}")
        return done.stdout.strip()

    @contextlib.contextmanager
    def opened(self, port: int) -> Iterator[None]:
        """Open a port of the host to boxes, as the setting network.host_ports does."""
        config = configuration.read(self.layout) or {}
        up = networks.argv(self.layout, networks.of(config["fixed-cidr"]), "up")
        with open(self.layout.opened_ports, "w", encoding="ascii") as file:
            file.write(f"tcp {port}\n")
        subprocess.run(up, check=True)
        try:
            yield
        finally:
            os.unlink(self.layout.opened_ports)
            subprocess.run(up, check=True)

    @contextlib.contextmanager
    def without(self, chain: str) -> Iterator[None]:
        """Have no rules in a chain of the network's own."""
        network = configuration.network(self.layout)
        assert network is not None
        flush = ["nft", "flush", "chain", "ip", self.layout.bridge, chain]
        subprocess.run(flush, check=True)
        try:
            yield
        finally:
            subprocess.run(networks.argv(self.layout, network, "up"), check=True)

    def save_image(self, archive: str) -> None:
        """Write the image of boxes to a file, as `docker save` does: all of it, or no file."""
        self.docker("save", "--output", f"{archive}.part", recipe.find(IMAGE, Settings()).reference)
        os.rename(f"{archive}.part", archive)

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.docker("container", "inspect", container))[0]
        self.containers.add(found["Id"])
        return found

    def container_names(self) -> set[str]:
        """Return the names of all containers of the engine."""
        return set(self.docker("ps", "--all", "--format", "{{.Names}}").split())

    def ranges(self) -> list[str]:
        """Return the records of id ranges in use."""
        return sorted(os.listdir(os.path.join(self.layout.runtime_state, "ranges")))

    def prune(self) -> None:
        """Give back the ranges that `docker rm` left: else that happens at the next need."""
        subprocess.run([self.layout.runtime_program, "ranges", "--prune"], check=True)

    def leftovers(self) -> list[str]:
        """Return what of this site stays on the machine while its engine is stopped."""
        gone = eventually(lambda: not self._left())
        return [] if gone else self._left()

    def _left(self) -> list[str]:
        left = [f"process {line}" for line in self._processes()]
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            left += [f"mount {line}" for line in file if self.root + "/" in line]
        if os.path.exists(f"/sys/class/net/{self.layout.bridge}"):
            left.append(f"bridge {self.layout.bridge}")
        netns = os.path.join(self.layout.engine_exec, "netns")
        if os.path.isdir(netns):
            left += [f"network {each}" for each in os.listdir(netns)]
        return left + [f"cgroup {path}" for path in self.cgroups(self.containers)]

    @classmethod
    def left_cgroups(cls, containers: set[str]) -> list[str]:
        """Return the cgroups that stay of containers that have ended, in any hierarchy."""
        gone = eventually(lambda: not cls.cgroups(containers))
        return [] if gone else cls.cgroups(containers)

    @staticmethod
    def cgroups(containers: set[str]) -> list[str]:
        """Return the cgroups of these containers, in any hierarchy."""
        if not containers:
            return []
        found = []
        for parent, children, _ in os.walk("/sys/fs/cgroup"):
            if parent.count("/") > 6:
                children.clear()
            found += [os.path.join(parent, c) for c in children if any(i in c for i in containers)]
        return found

    def _processes(self) -> Iterator[str]:
        root = re.compile(re.escape(self.root.encode()) + rb"(?![\w-])")
        variable = f"CONTAINAI_ROOT={self.root}".encode()
        port = re.compile(rb"docker-proxy\0.*-host-port\0(\d+)")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
                with open(f"/proc/{pid}/environ", "rb") as file:
                    environment = file.read()
            except OSError:
                continue
            proxy = port.search(command)
            ours = proxy is not None and self.ports[0] <= int(proxy[1]) <= self.ports[1]
            if ours or root.search(command) or variable in environment.split(b"\0"):
                yield f"{pid} {command!r}"


def ports_of(layout: Layout) -> tuple[int, int]:
    first = PORTS_FIRST + layout.number % PORTS_BLOCKS * PORTS_BLOCK
    return first, first + PORTS_BLOCK - 1


def make_root(parent: str = "/tmp", below: str = "") -> str:
    """Make a directory for a site (`below` it) with ports and ids of its own.

    Both follow from a checksum of the path, and so does which lxcfs is whose.
    """
    others = [site.layout for site in Site.made]
    while True:
        # Short, as sockets are below it; not in pytest's directories, which no box may traverse.
        root = tempfile.mkdtemp(prefix="cai", dir=parent)
        mine = Layout(os.path.join(root, below), root, 0)
        if not any(
            ports_of(mine) == ports_of(each) or mine.id_window == each.id_window for each in others
        ):
            return root
        os.rmdir(root)


def prepare(root: str) -> Site:
    """Set a site up below a directory."""
    site = Site(root)
    site.cai("setup", "--yes")
    # For the machine tests, which cannot wait for another build.
    if archive := os.environ.get("CONTAINAI_TEST_IMAGE"):
        site.save_image(archive)
    return site


def end(site: Site, *, keep: bool) -> None:
    """Stop a site's engine; unless it is to be kept, remove all of it, or fail for what stays."""
    site.cai("engine", "start")
    names = site.container_names()
    for name in names:
        site.inspect(name)
        if not keep:
            site.cai("rm", "--name", name, check=False)
            site.docker("rm", "--force", name, check=False)
    site.prune()
    ranges = site.ranges() if not keep else []
    site.cai("engine", "stop")
    left = site.leftovers() + [f"id range {each}" for each in ranges]
    if not keep and not left:
        shutil.rmtree(site.root)
    if left:
        pytest.fail("left on the machine:\n" + "\n".join(left))


def text(done: Done) -> str:
    """Return what was said on stderr."""
    return done.stderr.decode(errors="replace")


def refused(done: Done, error: type[ContainAIError]) -> list[str]:
    """Assert that cai ended with an error's code and said why, and how to go on, in two lines."""
    lines = done.stderr.decode().splitlines()
    assert done.returncode == error.exit_code, lines
    assert lines[-2].startswith("cai: "), lines
    assert lines[-1].startswith("  hint: "), lines
    assert done.stdout == b""
    assert not any("Traceback" in line for line in lines)
    return lines


def tree(root: str) -> dict[str, tuple[str, bytes]]:
    """Return every file below a directory: its mode and content, a link's target."""
    found = {}
    for parent, directories, names in os.walk(root):
        for name in directories + names:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            content = b""
            if os.path.islink(path):
                content = os.fsencode(os.readlink(path))
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, root)] = (oct(mode), content)
    return found
