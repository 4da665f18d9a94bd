"""Two dockerds on one host, in a network namespace of their own, with a world outside of it.

The host's own Docker is a second dockerd with Docker's defaults. Containers stand for boxes: a box
differs in what runs in it, not in its network.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from containai.layout import Layout
from harness.site import make_root
from harness.waiting import until

HOST, WORLD = "cai-t-host", "cai-t-world"
ON_HOST = ["nsenter", f"--net=/run/netns/{HOST}"]
WORLD_ADDRESS, HOST_ADDRESS = "198.51.100.2", "198.51.100.1"
OURS_PORT, THEIRS_PORT = "2300", "8080"
#: An image without files: its programs are the host's.
IMAGE = "empty"
FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=2).read().decode())"
#: What `cai setup` does for the engine.
SET_UP = """
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision import apply, steps
from containai.config.settings import Settings
from containai.provision.step import Choices
host = Machine(Layout.from_environment())
every = steps.steps(host, Choices(Settings().over({"image.root": "none"})))
names = ("runtime cai-runc", "engine configuration", "network", "engine")
wanted = [step for step in every if step.title in names]
apply.apply(host, wanted, lambda *_: lambda *_: None)
"""
#: What `cai setup` does where the configuration has changed.
RENEW = """
from containai.engine import daemon
from containai.host.machine import Machine
from containai.layout import Layout
daemon.renew(Machine(Layout.from_environment()))
"""


def sh(*argv, check=True, **options):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if check:
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.strip() if check else done.returncode


def fetching(address):
    return ["/usr/bin/python3", "-c", FETCH, f"http://{address}/"]


class Dockerd:
    """What both have in common: a socket, and containers that serve their name on port 80."""

    def __init__(self, socket):
        self.socket = socket

    def docker(self, *words, check=True):
        return sh("docker", "--host", f"unix://{self.socket}", *words, check=check)

    def serve(self, name, *options):
        script = f"mkdir /w; cd /w; echo {name} >index.html; exec python3 -m http.server 80"
        usr = "type=bind,source=/usr,target=/usr,readonly"
        # A Python that is PID 1 does not end by SIGTERM.
        stop = ["--stop-signal", "KILL"]
        argv = ["run", "-d", "--name", name, "--mount", usr, *stop, *options, IMAGE]
        self.docker(*argv, "sh", "-c", script)
        until(lambda: self.reaches(name, "127.0.0.1"))

    def reaches(self, name, address):
        return self.docker("exec", name, *fetching(address), check=False) == 0

    def address(self, name):
        return self.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)


class Theirs(Dockerd):
    """The host's own dockerd, as Docker sets it up."""

    def __init__(self, root):
        super().__init__(f"{root}/docker.sock")
        self.argv = [
            *ON_HOST, "dockerd", "--data-root", f"{root}/data", "--exec-root", f"{root}/exec",
            "--pidfile", f"{root}/pid", "--host", f"unix://{self.socket}", "--live-restore",
            "--storage-driver", "overlay2",
        ]  # fmt: skip
        self.log = f"{root}/log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log)
        until(lambda: self.docker("info", check=False) == 0)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Ours(Dockerd):
    """ContainAI's engine."""

    def __init__(self, root):
        self.layout = Layout(root, f"{root}/home", 0, f"{root}/run")
        super().__init__(self.layout.engine_socket)
        for path in (self.layout.home, f"{root}/run"):
            os.makedirs(path, mode=0o700)
        self.environment = os.environ | {
            "CONTAINAI_ROOT": root, "HOME": self.layout.home, "XDG_RUNTIME_DIR": f"{root}/run",
        }  # fmt: skip

    def python(self, *words):
        return sh(*ON_HOST, sys.executable, *words, env=self.environment)

    def cai(self, *words):
        return self.python("-m", "containai", *words)

    def network(self, action, check=True):
        with open(self.layout.engine_config, encoding="utf-8") as file:
            config = json.load(file)
        pool = config["fixed-cidr"].replace("/21", "/20")
        address = config["fixed-cidr"].replace(".0/21", ".1/21")
        files = [self.layout.opened_ports, self.layout.engine_pins, self.layout.host_resolver]
        program = [self.layout.network_program, action, self.layout.bridge, address, pool, *files]
        return sh(*ON_HOST, *program, check=check)


@pytest.fixture(scope="module")
def namespaces():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for name in (HOST, WORLD):
        sh("ip", "netns", "delete", name, check=False)
        sh("ip", "netns", "add", name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
    sh("ip", "-n", HOST, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", WORLD)
    for name, address in ((HOST, HOST_ADDRESS), (WORLD, WORLD_ADDRESS)):
        sh("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
    # As on a host without Docker, whose dockerd then sets the policy of forwarding to "drop".
    sh(*ON_HOST, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    # The host's way to everywhere; a world that knows no way to containers.
    sh("ip", "-n", HOST, "route", "add", "default", "via", WORLD_ADDRESS)
    with tempfile.TemporaryDirectory() as empty:
        argv = [sys.executable, "-m", "http.server", "80", "--directory", empty]
        world = ["ip", "netns", "exec", WORLD, *argv]
        null = subprocess.DEVNULL
        with subprocess.Popen(world, stdout=null, stderr=null) as server:
            yield
            server.kill()
    for name in (HOST, WORLD):
        sh("ip", "netns", "delete", name)


@pytest.fixture(scope="module")
def engines(namespaces, tmp_path_factory):
    root = make_root(below="ours")
    os.chmod(root, 0o755)
    archive = f"{root}/empty.tar"
    tree = tmp_path_factory.mktemp("tree")
    for name in ("bin", "lib", "lib64", "sbin"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "usr").mkdir()
    sh("tar", "--create", "--file", archive, "--directory", str(tree), ".")
    os.makedirs(f"{root}/theirs")
    theirs, ours = Theirs(f"{root}/theirs"), Ours(f"{root}/ours")
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, root)
        # dockerd binds its data to itself where mounts are private, and may leave that behind.
        undo.callback(sh, "umount", f"{root}/theirs/data", check=False)
        theirs.start()
        undo.callback(theirs.stop)
        theirs.docker("import", archive, IMAGE)
        theirs.serve("theirs", "--publish", f"{THEIRS_PORT}:80")
        undo.callback(theirs.docker, "rm", "-f", "theirs", check=False)
        theirs_works(theirs)
        before = rules()

        def unchanged():
            assert rules() ^ before == set()

        undo.callback(unchanged)
        undo.callback(ours.cai, "engine", "stop")
        ours.python("-c", SET_UP)
        ours.docker("import", archive, IMAGE)
        for name, port in (("ours", OURS_PORT), ("other", "2301")):
            ours.serve(name, "--publish", f"127.0.0.1:{port}:80", "--restart", "unless-stopped")
            undo.callback(ours.docker, "rm", "-f", name, check=False)
        yield theirs, ours


def rules():
    """Return all firewall rules of the host, in no order: its Docker changes that at a restart."""
    listed = (["iptables-save"], ["nft", "list", "tables"])
    saved = [line for argv in listed for line in sh(*ON_HOST, *argv).splitlines()]
    return {re.sub(r"\[\d+:\d+\]", "", line) for line in saved if not line.startswith("#")}


def their_table():
    """Return the table of another firewall, without counters."""
    listed = sh(*ON_HOST, "nft", "list", "table", "inet", "filter")
    return re.sub(r"packets \d+ bytes \d+", "", listed)


def fetch(namespace, address):
    argv = ["nsenter", f"--net=/run/netns/{namespace}", *fetching(address)]
    done = subprocess.run(argv, capture_output=True, check=False)
    return done.stdout.decode().strip()


def ours_works(ours):
    # What starts again with its engine takes a moment until it serves.
    until(lambda: ours.reaches("ours", WORLD_ADDRESS))
    until(lambda: fetch(HOST, f"127.0.0.1:{OURS_PORT}") == "ours")


def theirs_works(theirs):
    until(lambda: theirs.reaches("theirs", WORLD_ADDRESS))
    until(lambda: fetch(HOST, f"127.0.0.1:{THEIRS_PORT}") == "theirs")
    until(lambda: fetch(WORLD, f"{HOST_ADDRESS}:{THEIRS_PORT}") == "theirs")


def both_work(theirs, ours):
    theirs_works(theirs)
    ours_works(ours)
    assert ours.network("check") == ""


def test_side_by_side(engines):
    theirs, ours = engines
    both_work(theirs, ours)
    assert not fetch(WORLD, f"{HOST_ADDRESS}:{OURS_PORT}")
    assert sh(*ON_HOST, "iptables", "-S", "FORWARD").startswith("-P FORWARD DROP")


def test_containers_keep_to_themselves(engines):
    theirs, ours = engines
    # What they publish on the host is there for a box, as for everybody; the rest is not.
    until(lambda: ours.reaches("ours", f"{HOST_ADDRESS}:{THEIRS_PORT}"))
    assert not ours.reaches("ours", theirs.address("theirs"))
    assert not theirs.reaches("theirs", ours.address("ours"))
    assert not ours.reaches("ours", ours.address("other"))
    # A route to it does not help the neighbours of the host.
    sh("ip", "-n", WORLD, "route", "replace", "10.203.0.0/16", "via", HOST_ADDRESS)
    assert not fetch(WORLD, ours.address("ours"))
    sh("ip", "-n", WORLD, "route", "delete", "10.203.0.0/16")


def test_a_network_made_on_the_engine(engines):
    _, ours = engines
    ours.docker("network", "create", "made")
    ours.serve("one", "--network", "made")
    ours.serve("two", "--network", "made")
    until(lambda: ours.reaches("one", "two"))
    until(lambda: ours.reaches("one", WORLD_ADDRESS))
    assert not ours.reaches("one", ours.address("ours"))
    ours.docker("rm", "-f", "one", "two")
    ours.docker("network", "rm", "made")


def test_their_restart(engines):
    theirs, ours = engines
    theirs.stop()
    ours_works(ours)
    theirs.start()
    both_work(theirs, ours)


def test_our_restart(engines):
    theirs, ours = engines
    started = ours.docker("inspect", "-f", "{{.State.StartedAt}}", "ours")
    ours.python("-c", RENEW)
    assert ours.docker("inspect", "-f", "{{.State.StartedAt}}", "ours") == started
    both_work(theirs, ours)


def test_our_stop(engines):
    theirs, ours = engines
    ours.cai("engine", "stop")
    assert sh("ip", "-n", HOST, "link", "show", ours.layout.bridge, check=False) != 0
    theirs_works(theirs)
    ours.cai("engine", "start")
    both_work(theirs, ours)


FIREWALLS = (
    "policy drop;",
    "policy drop; ip daddr 203.0.113.0/24 accept;",
    "ip daddr 203.0.113.0/24 accept; counter reject with icmpx admin-prohibited;",
)


def test_firewalls_that_drop_forwarding(engines):
    """Boxes get what they need, and no more than that; afterwards it is gone."""
    _, ours = engines
    for rules in FIREWALLS:
        chain = "type filter hook forward priority 0; " + rules
        text = "table inet filter {\nchain forward {\n" + chain.replace("; ", ";\n") + "\n}\n}\n"
        sh(*ON_HOST, "nft", "--file", "-", input=text)
        loaded = their_table()
        assert not ours.reaches("ours", WORLD_ADDRESS), rules
        assert ours.network("check", check=False) == 1
        for _ in range(2):
            ours.network("up")
            ours_works(ours)
            assert ours.network("check") == ""
        ours.network("down")
        assert their_table() == loaded
        sh(*ON_HOST, "nft", "delete", "table", "inet", "filter")
        # With the bridge, the ports of running containers have gone.
        ours.cai("engine", "stop")
        ours.cai("engine", "start")
    ours_works(ours)


def test_what_the_administrator_forbids_stays_forbidden(engines):
    _, ours = engines
    sh(*ON_HOST, "iptables", "-I", "DOCKER-USER", "-d", WORLD_ADDRESS, "-j", "DROP")
    ours.network("up")
    assert not ours.reaches("ours", WORLD_ADDRESS)
    sh(*ON_HOST, "iptables", "-D", "DOCKER-USER", "-d", WORLD_ADDRESS, "-j", "DROP")
    ours_works(ours)


def test_what_a_flush_took_is_mended(engines):
    theirs, ours = engines
    saved = sh(*ON_HOST, "iptables-save")
    sh(*ON_HOST, "nft", "flush", "ruleset")
    kept = [line for line in saved.splitlines() if ours.layout.bridge not in line]
    sh(*ON_HOST, "iptables-restore", input="\n".join(kept) + "\n")
    theirs_works(theirs)
    assert not ours.reaches("ours", WORLD_ADDRESS)
    assert ours.network("check", check=False) == 1
    ours.network("up")
    both_work(theirs, ours)
