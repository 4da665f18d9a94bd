"""Servers of Incus on this machine: each in namespaces of its own (mount, pid, net, uts, cgroup).

They are Debian's packages, unpacked below a directory of the tests over an overlay of this
machine's root, so that nothing is installed here. They are real servers of one kernel, which is not
theirs alone: hybrid cgroups where this machine has them (tried only so), no AppArmor, no systemd,
limits of the kernel as they are, boxes without a way to the internet, and users of boxes of both
servers that the kernel counts together.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence

from containai.incus import prepare
from harness.waiting import eventually, until

SCRIPT = os.path.join(os.path.dirname(__file__), "node.sh")
#: Where cgroups are mounted, and networks have names (ip-netns(8)).
CGROUPS, NAMES = "/sys/fs/cgroup", "/run/netns"
PORT = 8443
_PATH = "/usr/libexec/incus:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Where Debian's releases have a version of Incus that boxes can be on.
_SUITES = {"bookworm": "bookworm-backports"}


class Network:
    """A bridge in a network of its own, which nothing of this machine filters, and a way to it."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.hub = f"{tag}-hub"
        self._link = f"{tag}h"
        self._subnet = _free_subnet()

    def address(self, number: int) -> str:
        """Return an address: 1 is this machine's, servers have others."""
        return str(self._subnet[number])

    def make(self) -> None:
        """Have the bridge, and this machine at it."""
        do("ip", "netns", "add", self.hub)
        do("ip", "-n", self.hub, "link", "add", "hub", "type", "bridge")
        do("ip", "-n", self.hub, "link", "set", "hub", "up")
        do("ip", "link", "add", self._link, "type", "veth", "peer", "p1", "netns", self.hub)
        do("ip", "address", "add", f"{self.address(1)}/24", "dev", self._link)
        do("ip", "link", "set", self._link, "up")
        self._plug(1)

    def join(self, netns: str, number: int) -> None:
        """Have a network at the bridge, with an address."""
        do("ip", "netns", "add", netns)
        peer = ("peer", f"p{number}", "netns", self.hub)
        do("ip", "-n", netns, "link", "add", "eth0", "type", "veth", *peer)
        do("ip", "-n", netns, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            do("ip", "-n", netns, "link", "set", link, "up")
        do("ip", "-n", netns, "route", "add", "default", "via", self.address(1))
        self._plug(number)

    def _plug(self, number: int) -> None:
        do("ip", "-n", self.hub, "link", "set", f"p{number}", "master", "hub", "up")

    def switch(self, number: int, to: str) -> None:
        """Have the cable of a server `up` or `down`."""
        do("ip", "-n", self.hub, "link", "set", f"p{number}", to)

    def end(self) -> None:
        """Have nothing of it, nor of what servers at it have."""
        remove_cgroups(self.tag)
        do("ip", "netns", "delete", self.hub, check=False)
        do("ip", "link", "delete", self._link, check=False)


class Node:
    """A server: `number` is of its address, `directory` keeps what it has on disk."""

    def __init__(self, network: Network, name: str, number: int, directory: str) -> None:
        self.name = name
        self.address = network.address(number)
        self.url = f"https://{self.address}:{PORT}"
        self.directory = os.path.join(directory, name)
        self._network, self._number = network, number
        self._netns = f"{network.tag}-{name}"
        self._cgroup = f"{network.tag}/{name}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._first = 0

    def make(self) -> None:
        """Have its directory, and its network at the bridge."""
        for each in ("incus", "log", "root"):
            os.makedirs(os.path.join(self.directory, each))
        os.symlink("../debs", os.path.join(self.directory, "debs"))
        self._network.join(self._netns, self._number)

    def switch_on(self) -> None:
        """Have it run, with what it has on disk."""
        remove_cgroups(self._cgroup)
        self._network.switch(self._number, "up")
        words = [SCRIPT, self.directory, self._netns, self._cgroup]
        with open(os.path.join(self.directory, "log", "node"), "ab") as log:
            # It ends with the tests, however those end.
            self._outer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"}, cwd="/",
            )  # fmt: skip
        self._first = until(self._ready, 120)
        self.run("incusd", "waitready", "--timeout=120")

    def switch_off(self) -> None:
        """Cut its power: all that runs there ends at once, and nobody answers at its address."""
        if self._outer is None:
            return
        self._network.switch(self._number, "down")
        self._outer.kill()
        self._outer.wait()
        self._outer = None
        until(lambda: not os.path.exists(f"/proc/{self._first}"))

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command there, as root; return its output."""
        inside = ("--mount", "--net", "--pid", "--uts", "--cgroup", "--root")
        argv = ["nsenter", "--target", str(self._first), *inside, "--", "env", "-C", "/root", "-i"]
        argv += [f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8"]
        return do(*argv, *words, check=check)

    def end(self) -> None:
        """Have nothing of it but its directory."""
        self.switch_off()
        remove_cgroups(self._cgroup)
        do("ip", "netns", "delete", self._netns, check=False)
        for loop in self.loops():
            do("losetup", "--detach", loop, check=False)

    def loops(self) -> list[str]:
        """Return the loop devices of its pools."""
        disks = os.path.join(self.directory, "incus", "disks")
        own = {
            os.stat(os.path.join(disks, each)).st_ino
            for each in (os.listdir(disks) if os.path.isdir(disks) else ())
        }
        seen = do("losetup", "--noheadings", "--output", "NAME,BACK-INO").splitlines()
        pairs = (line.split() for line in seen)
        return [name for name, inode in pairs if int(inode) in own]

    def _ready(self) -> int:
        """Return the id of its first process, once that has begun to serve."""
        assert self._outer is not None
        outer = self._outer.pid
        assert self._outer.poll() is None, f"{self.name} has ended: see its log"
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{outer}/task/{outer}/children", encoding="ascii") as file:
                first = int(file.read())
            return first if os.path.exists(f"/proc/{first}/root/run/ready") else 0
        return 0


def do(*argv: str, check: bool = True) -> str:
    """Run a program of this machine; return its output."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert not check or not done.returncode, f"{argv}: {done.returncode}\n{done.stderr}"
    return done.stdout


def download(directory: str) -> None:
    """Have in a directory the packages of a server that this machine does not have.

    With lists of the tests' own: what apt has here stays as it is.
    """
    own = platform.freedesktop_os_release()["VERSION_CODENAME"]
    suite = _SUITES.get(own, own)
    scratch = os.path.join(directory, "apt")
    for each in ("lists/partial", "archives/partial", "parts"):
        os.makedirs(os.path.join(scratch, each))
    with open(os.path.join(scratch, "sources.list"), "w", encoding="ascii") as file:
        for name in dict.fromkeys((own, suite)):
            file.write(f"deb http://deb.debian.org/debian {name} main\n")
    options = {
        "Dir::State": scratch, "Dir::State::lists": f"{scratch}/lists",
        "Dir::State::status": "/var/lib/dpkg/status", "Dir::Cache": scratch,
        "Dir::Cache::archives": f"{scratch}/archives",
        "Dir::Etc::sourcelist": f"{scratch}/sources.list",
        "Dir::Etc::sourceparts": f"{scratch}/parts", "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"--option={key}={value}" for key, value in options.items())]
    do(*apt, "update")
    how = ("--yes", "--download-only", "--no-install-recommends", "--target-release", suite)
    do(*apt, "install", *how, *prepare.PACKAGES)
    os.rename(f"{scratch}/archives", os.path.join(directory, "debs"))
    shutil.rmtree(scratch)


def cgroups(name: str) -> Iterator[str]:
    """Yield a cgroup in each hierarchy that has it."""
    for top in (CGROUPS, *(entry.path for entry in os.scandir(CGROUPS) if entry.is_dir())):
        path = os.path.join(top, name)
        if os.path.isdir(path):
            yield path


def remove_cgroups(name: str) -> None:
    """Have nothing of a cgroup and those below it; one in which something runs stays."""

    def gone() -> bool:
        for top in cgroups(name):
            for path, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        return not list(cgroups(name))

    eventually(gone, 10)


def left(tag: str, directory: str, nodes: Sequence[Node]) -> list[str]:
    """Return what is left on this machine, but for the directory."""
    found = [f"network {each}" for each in os.listdir(NAMES) if each.startswith(tag)]
    found += [f"link {each}" for each in os.listdir("/sys/class/net") if each.startswith(tag)]
    found += [f"cgroup {each}" for each in cgroups(tag)]
    found += [f"loop {loop}" for node in nodes for loop in node.loops()]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        found += [f"mount {line}" for line in file if f"{directory}/" in line]
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as process:
            line = process.read()
            if f"{directory}/".encode() in line and int(pid) != os.getpid():
                found.append(f"process {pid} {line!r}")
    return found


def _free_subnet() -> ipaddress.IPv4Network:
    """Return a network that no route of this machine leads to."""
    routes = [each["dst"] for each in json.loads(do("ip", "-j", "-4", "route", "show"))]
    taken = [ipaddress.IPv4Network(each) for each in routes if each != "default"]
    number = time.time_ns() // 1_000_000
    for at in range(256):
        subnet = ipaddress.IPv4Network(f"10.250.{(number + at) % 256}.0/24")
        if not any(subnet.overlaps(each) for each in taken):
            return subnet
    raise AssertionError("10.250.0.0/16 is in use here")
