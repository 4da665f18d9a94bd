"""A user's places, and the servers that their administrator has, from one server to a cluster."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.site import Done, Site
from harness.space import Space
from harness.waiting import until

from .nodes import PORT, Network, Node, download, left

#: What the user calls the servers, and how the administrator has them prepared.
PLACE = "work"
PROJECT = "boxes"
SIZE = "12GiB"
WANTED = ("--user", "fleet", "--size", SIZE, "--subnet", "10.77.0.1/24")
#: Parts of `cai remote prepare` that are for a server which is to join a cluster, before that.
OF_A_MEMBER = 2


class Fleet:
    """`one` and `two` are servers; a cluster once `enable` and `join` have made them one."""

    def __init__(self, site: Site, directory: str, tag: str) -> None:
        self.site, self.directory = site, directory
        self.network = Network(tag)
        self.one, self.two = (
            Node(self.network, name, number, directory)
            for number, name in enumerate(("one", "two"), 2)
        )
        #: What took how long, in seconds, and what else is worth a note.
        self.figures: list[str] = []
        self._spaces: list[Space] = []

    def make(self) -> None:
        """Have the servers run, with nothing in them."""
        download(self.directory)
        self.network.make()
        for node in (self.one, self.two):
            node.make()
            node.switch_on()

    def end(self) -> list[str]:
        """Have nothing of it; return what is left all the same."""
        for space in self._spaces:
            space.close_connection()
        for node in (self.one, self.two):
            node.end()
        self.network.end()
        return left(self.network.tag, self.directory, [self.one, self.two])

    def note(self, what: str) -> None:
        """Have something among the figures."""
        self.figures.append(what)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Have among the figures how long something took."""
        begun = time.monotonic()
        yield
        self.note(f"{what}: {time.monotonic() - begun:.1f} s")

    def prepare(self, node: Node, parts: slice = slice(None)) -> str:
        """Have the product prepare a server, or do parts of that; return the last line."""
        said = json.loads(self.site.cai("remote", "prepare", "--json", *WANTED).stdout)
        scripts = [f"(\n{each['script']})\n" for each in said["parts"][parts]]
        return node.run("sh", "-euc", "".join(scripts)).strip().rpartition("\n")[2]

    def enable(self) -> None:
        """Make a cluster of the first server, as docs/how-to/incus-server.md says."""
        where = f"{self.one.address}:{PORT}"
        addresses = (f"core.https_address={where}", f"cluster.https_address={where}")
        self.one.run("incus", "config", "set", *addresses)
        self.one.run("incus", "cluster", "enable", self.one.name)

    def join(self) -> None:
        """Have the second server in the cluster of the first."""
        self.prepare(self.two, slice(OF_A_MEMBER))
        added = self.one.run("incus", "cluster", "add", self.two.name)
        pool = {"entity": "storage-pool", "name": "default"}
        cluster = {
            "enabled": True,
            "server_address": f"{self.two.address}:{PORT}",
            "cluster_token": added.strip().rpartition("\n")[2],
            "member_config": [
                {**pool, "key": "size", "value": SIZE},
                {**pool, "key": "source", "value": ""},
            ],
        }
        seed = shlex.quote(json.dumps({"cluster": cluster}))
        self.two.run("sh", "-c", f"echo {seed} | incus admin init --preseed")
        self.prepare(self.two, slice(OF_A_MEMBER, None))

    def incus(self, *words: str) -> str:
        """Ask the first server something about the project, as its root."""
        return self.one.run("incus", "--project", PROJECT, *words)

    def fingerprint(self) -> str:
        """Return that of the certificate that the servers show, as their administrator sees it."""
        lines = self.one.run("incus", "info").splitlines()
        (line,) = (each for each in lines if "certificate_fingerprint:" in each)
        return line.split()[-1]

    def space(self, name: str) -> Space:
        """Return a workspace, which has a file that says its name."""
        path = os.path.join(self.site.root, "ws", name)
        os.mkdir(path)
        with open(os.path.join(path, "name"), "w", encoding="ascii") as file:
            file.write(name)
        self._spaces.append(Space(self.site, path))
        return self._spaces[-1]

    def boxes(self) -> dict[str, dict[str, Any]]:
        """Return what `cai ls` says, by the names of boxes."""
        said = json.loads(self.site.cai("ls", "--json").stdout)
        return {each["name"]: each for each in said}

    def node_of(self, space: Space) -> str:
        """Return where `cai ls` says that a box is."""
        return str(self.boxes()[space.box]["node"])

    def becomes(self, space: Space, status: str, seconds: float = 120) -> None:
        """Wait until `cai ls` says a status of a box."""
        until(lambda: self.boxes()[space.box]["status"] == status, seconds)

    def move(self, space: Space, node: str, **options: Any) -> Done:
        """Have the product move a box."""
        return self.site.cai("move", space.box, "--to", node, "--yes", **options)

    def ssh(self, space: Space, command: str) -> str:
        """Run a command in a box with plain ssh, as its user has it."""
        config = os.path.join(self.site.home, ".ssh", "config")
        argv = ["ssh", "-F", config, space.box, command]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            env=self.site.environment, timeout=120,
        )  # fmt: skip
        assert not done.returncode, done.stderr
        return done.stdout.strip()
