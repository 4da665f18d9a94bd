"""The escape self-test: a box passes it, and every probe bites where its fault is.

The weakened containers are on this machine's own kernel. They are looked at, never used: nothing is
written but files of the test's own.
"""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import zlib
from typing import Any

import pytest

from containai.attack import facts, gather, report, send
from containai.attack.inside import addresses
from containai.attack.outside import kernel, machine
from containai.engine.client import Engine
from containai.host.machine import Machine
from harness.attack_cases import CASES
from harness.host import HOST
from harness.waiting import until

#: Capabilities by number (capabilities(7)), up to the last that Docker 20.10 knows.
CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
"""
#: In the unconfined container: fakes of what a fault of the runtime would leave.
FAKES = r"""
set -e
touch /dev/console; mount --bind /proc/version /dev/console
mount --bind /proc/uptime /proc/loadavg
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
mkdir -p /mnt/lxcfs; mount -t tmpfs lxcfs /mnt/lxcfs
rm /dev/full; touch /dev/full
echo 0 >/proc/sys/net/ipv6/conf/lo/disable_ipv6
for address in 169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254; do
    ip address add $address dev lo
done
"""
METADATA = """
import socket
with socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    while True:
        with server.accept()[0] as client:
            client.recv(100)
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
"""
#: Waits for it without a connection, by the table of the kernel's.
METADATA_IS_THERE = "until grep -q ': 0*:0050 0*:0000 0A' /proc/net/tcp6; do sleep 0.1; done"


class Weak:
    """The weakened containers, and what surrounds them on this host."""

    def __init__(self, site, image):
        self.site, self.image = site, image
        self.engine = Engine(Machine(site.layout))
        self.mark = f"weak{zlib.crc32(site.root.encode()):08x}"
        self.undo = contextlib.ExitStack()
        self.top = tempfile.mkdtemp(prefix="w", dir=site.root)
        self.undo.callback(subprocess.run, ["rm", "-rf", self.top], check=True)

    def listen(self, address):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        server = self.undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(50)

    def start(self, kind, *options):
        name = f"{self.mark}-{kind}"
        self.undo.callback(self.site.docker, "rm", "--force", "--volumes", name)
        words = ["run", "--detach", "--name", name, "--runtime", "runc", *options]
        self.site.docker(*words, "--entrypoint", "sleep", self.image, "infinity")

    def created(self):
        """Return a container that was made with --privileged; not every machine can start it."""
        name = f"{self.mark}-created"
        self.undo.callback(self.site.docker, "rm", name)
        self.site.docker("create", "--name", name, "--privileged", self.image)
        return self.site.inspect(name)

    def probe(self, kind):
        """Return the status of every probe in and around a container."""
        name = f"{self.mark}-{kind}"
        answers = send.run(HOST, self.engine.argv("exec", "-i", name, *send.PYTHON))
        rows = report.from_host(facts.gather(self.engine, name))
        return {each.probe: each for each in answers} | {row.probe.name: row for row in rows}

    def all_privileges(self):
        """Return --privileged, or its parts where root itself lacks a capability; and these."""
        with open("/proc/self/status") as file:
            bounding = next(line for line in file if line.startswith("CapBnd")).split()[1]
        held = {
            name for bit, name in enumerate(CAPABILITIES.split()) if int(bounding, 16) >> bit & 1
        }
        caps = [word for name in sorted(held) for word in ("--cap-add", name)]
        if len(held) == len(CAPABILITIES.split()):
            return ["--privileged"], ["--cap-add", "ALL"]
        options = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
        unconfined = [word for each in options for word in ("--security-opt", each)]
        disk = ["--device-cgroup-rule", "b *:* rwm", "--volume", "/sys:/sys"]
        return [*caps, *unconfined, *disk], caps

    def start_privileged(self):
        shared = os.path.join(self.top, "shared")
        os.mkdir(shared)
        subprocess.run(["mount", "-t", "tmpfs", "weak", shared], check=True)
        self.undo.callback(subprocess.run, ["umount", "-l", shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        service = os.path.join(self.top, "service.sock")
        self.listen(service)
        self.start(
            "privileged",
            *self.all_privileges()[0],
            *("--pid", "host", "--network", "host", "--ipc", "host"),
            *("--uts", "host", "--cgroupns", "host", "--volume", "/:/host"),
            *("--volume", "/dev:/hostdev", "--volume", f"{shared}:/shared:shared"),
            *("--volume", f"{self.site.layout.engine_socket}:/var/run/docker.sock"),
            *("--volume", f"{service}:/service.sock"),
        )

    def start_unconfined(self):
        for name in ("service.sock", "docker.sock"):
            os.makedirs(os.path.join(self.top, "run"), exist_ok=True)
            self.listen(os.path.join(self.top, "run", name))
        subnet = f"10.254.{zlib.crc32(self.mark.encode()) % 250}"
        self.site.docker("network", "create", "--subnet", f"{subnet}.0/24", self.mark)
        self.undo.callback(self.site.docker, "network", "rm", self.mark)
        bridge = "br-" + json.loads(self.site.docker("network", "inspect", self.mark))[0]["Id"][:12]
        with open(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet", "w") as file:
            file.write("1")
        self.listen((f"{subnet}.1", 2375))
        self.listen((f"{subnet}.1", 8080))
        token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
        self.undo.callback(self.remove_cgroups)
        self.start(
            "unconfined",
            *self.all_privileges()[1],
            *("--security-opt", "seccomp=unconfined"),
            *("--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined"),
            *("--device", "/dev/kmsg", "--cgroup-parent", f"{self.mark}.slice"),
            *("--network", self.mark, "--publish", f"{self.site.ports[1]}:22"),
            *("--env", "DOCKER_HOST=tcp://host", "--volume", f"{self.top}/run:/run/host"),
            *("--volume", f"{self.top}/run:{token}", "--volume", "/run/host/inner"),
        )
        name = f"{self.mark}-unconfined"
        self.site.docker("exec", name, "sh", "-c", FAKES)
        self.site.docker("exec", "--detach", name, "python3", "-c", METADATA)
        self.site.docker("exec", name, "timeout", "60", "sh", "-c", METADATA_IS_THERE)
        until(lambda: speaks_ipv6(bridge))
        self.undo.enter_context(leak(self.site.inspect(name)["State"]["Pid"], self.top))

    def remove_cgroups(self):
        for parent, children, _ in os.walk("/sys/fs/cgroup", topdown=False):
            for child in children:
                if child == f"{self.mark}.slice":
                    with contextlib.suppress(FileNotFoundError):
                        os.rmdir(os.path.join(parent, child))


def speaks_ipv6(link):
    """Whether the host's end of a link has an address, and knows that it is nobody else's.

    Until then, a second or two, it answers nobody (RFC 4862, 5.4).
    """
    tentative = 0x40  # IFA_F_TENTATIVE of linux/if_addr.h
    with open("/proc/net/if_inet6", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return any(row[5] == link and not int(row[4], 16) & tentative for row in rows)


@contextlib.contextmanager
def leak(pid, directory, *options):
    """Run a program of the host's in a container, with a directory of the host's open."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    program = os.open("/usr/bin/sleep", os.O_RDONLY)
    argv = ["nsenter", "-t", str(pid), "-m", "-p", *options, f"/proc/self/fd/{program}", "600"]
    child = subprocess.Popen(argv, pass_fds=[descriptor, program])
    os.close(descriptor)
    os.close(program)
    try:
        # The child of nsenter, which is the one inside, gets its name when it becomes the program.
        while not (inner := _children(child.pid)) or _name(inner[0]) == "nsenter":
            assert child.poll() is None
            time.sleep(0.01)
        yield
    finally:
        for each in [*_children(child.pid), child.pid]:
            os.kill(each, signal.SIGKILL)
        child.wait()


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(each) for each in file.read().split()]


def _name(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


@pytest.fixture(scope="module")
def weak(site, shared_space):
    shared_space.run("true")
    weak = Weak(site, shared_space.inspect()["Image"])
    with weak.undo:
        abstract = f"\0/containerd-shim/{weak.mark}"
        weak.listen(abstract)
        starts = [weak.start_privileged, weak.start_unconfined]
        for each in starts:
            each()
        weak.start("plain", "--network", "host")
        weak.start("bridged")
        yield weak


@pytest.fixture(scope="module")
def seen(weak):
    """What every probe says of every weakened container: by its name, then the probe's."""
    seen = {}

    def probe(kind):
        seen[kind] = weak.probe(kind)

    kinds = ("privileged", "unconfined", "plain")
    threads = [threading.Thread(target=probe, args=(kind,)) for kind in kinds]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(seen) == set(kinds)
    real = facts.gather(weak.engine, f"{weak.mark}-plain")
    seen["created"] = _by_name(report.from_host(real._replace(container=weak.created())))
    bridged = facts.gather(weak.engine, f"{weak.mark}-bridged")
    seen["bridged"] = _by_name(report.from_host(bridged))
    host = facts.gather(weak.engine, f"{weak.mark}-plain", pid=os.getpid())
    seen["host-process"] = _by_name(report.from_host(host))
    opened = os.path.join(weak.top, "open")
    with open(opened, "w") as file:
        os.fchmod(file.fileno(), 0o666)
    seen["open-file"] = _by_name(report.from_host(real._replace(files=[gather.owner(opened)])))
    old: dict[str, Any] = {"runc": "runc version 0.1.1", "engine": "18.9.0", "swarm": "active"}
    seen["old-version"] = {}
    for hole in kernel.HOLES:
        rows = report.from_host(real._replace(**old, kernel=(_release(hole), "#1 SMP", "")))
        seen["old-version"] |= {
            row.probe.name: row
            for row in rows
            if row.probe.name not in {each.name for each in kernel.HOLES} - {hole.name}
        }
    return seen


def _release(hole):
    """Return the release of a kernel that has a hole."""
    return "{}.{}.1".format(*hole.begins)


def _by_name(rows):
    return {row.probe.name: row for row in rows}


@pytest.mark.parametrize("probe", CASES)
def test_probe_bites(seen, probe):
    assert {kind: seen[kind][probe].status for kind in CASES[probe]} == dict.fromkeys(
        CASES[probe], "found"
    ), {kind: seen[kind][probe].seen for kind in CASES[probe]}


def test_every_address_of_metadata_is_looked_at(seen):
    told = seen["unconfined"]["cloud-metadata"].seen
    for address in addresses.METADATA:
        assert address in told


def test_no_probe_fails_to_look(seen):
    unverified = {
        (kind, name): row.seen
        for kind, rows in seen.items()
        for name, row in rows.items()
        if row.status == "unverified"
    }
    assert unverified == {}


@pytest.mark.unified
def test_box_passes_every_probe(site, shared):
    done = site.cai("doctor", "--attack", shared.box, "--json", check=False)
    told = json.loads(done.stdout)
    bad = [each for each in told["probes"] if each["status"] != "ok"]
    assert bad == []
    assert (done.returncode, told["fine"], told["box"]) == (0, True, shared.box)
    assert [each["probe"] for each in told["probes"]] == [each.name for each in report.probes()]


@pytest.mark.unified
def test_finding_ends_with_1(site, shared):
    shared.sh("sudo mkdir -p /root/.kube && sudo touch /root/.kube/config")
    try:
        done = site.cai("doctor", "--attack", cwd=shared.path, check=False)
    finally:
        shared.sh("sudo rm -r /root/.kube")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("found")] == [
        ["found", "cluster-credentials", "[root]"]
    ]
    assert lines[-1].endswith(" 1 found, 0 unverified")


@pytest.mark.unified
def test_leak_into_a_box_is_found_from_inside_and_outside(site, shared, tmp_path):
    # With the ids of the box, as runc's own would have; the directory is the host's root's.
    options = ("-U", "-S", "0", "-G", "0")
    with leak(shared.inspect()["State"]["Pid"], tmp_path, *options):
        done = site.cai("doctor", "--attack", shared.box, "--json", check=False)
    told = json.loads(done.stdout)
    found = {each["probe"]: each["way"] for each in told["probes"] if each["status"] != "ok"}
    assert found == {"leaked-descriptors": "root", "every-process": "host"}
    assert (done.returncode, told["fine"]) == (1, False)


def test_box_that_answers_something_else(site, make_space):
    space = make_space()
    space.sh("printf '#!/bin/sh\necho hello\n' >/tmp/lie; chmod 755 /tmp/lie")
    space.sh("sudo ln -sf /tmp/lie $(which sudo)")
    done = site.cai("doctor", "--attack", space.box, check=False)
    assert (done.returncode, done.stdout) == (25, b"")
    assert b"answers something that is no probe's" in done.stderr
    space.sh("printf '#!/bin/sh\nexec yes\n' >/tmp/lie")
    done = site.cai("doctor", "--attack", space.box, check=False)
    assert (done.returncode, done.stdout) == (25, b"")
    assert b"more than 262144 bytes" in done.stderr


def test_no_such_box(site):
    done = site.cai("doctor", "--attack", "nobody", check=False)
    assert (done.returncode, done.stdout) == (10, b"")


def test_version_of_the_runc_that_is_here_is_understood(weak):
    version, _ = machine.runc_version(facts.gather(weak.engine, f"{weak.mark}-plain").runc)
    assert version > (1, 0, 0, 0)


def test_gathered_owner_is_the_file_s(tmp_path):
    path = tmp_path / "file"
    path.touch(0o640)
    assert stat.S_IMODE(gather.owner(str(path))["mode"]) == 0o640
