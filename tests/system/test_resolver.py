"""Boxes resolve names as this machine does: wherever its resolver listens, and when it changes."""

import contextlib
import os
import signal
import subprocess

import pytest

from containai.engine import daemon, resolver
from containai.engine import network as networks
from containai.host import services
from containai.host.machine import Machine
from harness.waiting import until

#: Name servers of this machine on loopback addresses, and what each says of a name.
SERVERS = {"127.0.0.77": "192.0.2.77", "127.0.0.78": "192.0.2.78"}
NAME = "name.of.a.vpn.test"


@pytest.fixture(scope="module")
def servers():
    with contextlib.ExitStack() as undo:
        for address, answer in SERVERS.items():
            argv = [
                resolver.PROGRAM, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=",
                f"--listen-address={address}", "--bind-interfaces", "--no-resolv", "--no-hosts",
                f"--host-record={NAME},{answer}",
            ]  # fmt: skip
            server = undo.enter_context(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            undo.callback(server.kill)
        yield


@pytest.fixture
def follow(site, servers):
    """Have the site's resolver read a file of the test's in place of /etc/resolv.conf."""
    path = os.path.join(site.root, "etc/resolv.conf")

    def write(address):
        with open(path, "w", encoding="ascii") as file:
            file.write(f"nameserver {address}\n")

    def restart():
        services.manager(Machine(site.layout)).stop(resolver.service(site.layout, None))
        site.cai("engine", "start")

    write("127.0.0.77")
    restart()
    yield write
    os.unlink(path)
    restart()


def network_of(site):
    return networks.of(
        site.docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    )


def test_a_box_follows_the_machines_resolver(follow, shared):
    ask = f"getent ahostsv4 {NAME} | cut -d ' ' -f 1 | sort -u"
    assert shared.sh(ask) == "192.0.2.77"
    follow("127.0.0.78")
    until(lambda: shared.sh(ask) == "192.0.2.78")


def test_a_box_knows_the_machine_by_name_and_its_own_names_not(site, shared):
    host = network_of(site).host
    names = (networks.HOST_NAME, "host.docker.internal")
    # Not by /etc/hosts: nested containers have one of their own.
    asked = [f"host -t A {name} {host} | sed -n 's/.*has address //p'" for name in names]
    assert shared.sh("; ".join(asked)).split() == [host, host]
    with open("/etc/hostname", encoding="ascii") as file:
        own = file.read().strip()
    assert "not found" in shared.sh(f"host -t A {own}.{networks.HOST_NAME} {host} || true")


def test_killed_it_is_back_and_leaves_nothing(site, shared):
    network = network_of(site)
    assert resolver.answers(site.layout, network)
    [keeper] = resolver.processes_of(site.layout)
    with open(f"/proc/{keeper.pid}/task/{keeper.pid}/children", encoding="ascii") as file:
        [child] = map(int, file.read().split())
    os.kill(child, signal.SIGKILL)
    until(lambda: resolver.answers(site.layout, network))
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not resolver.answers(site.layout, network))
    site.cai("engine", "start")
    assert resolver.answers(site.layout, network)
    assert len(resolver.processes_of(site.layout)) == 1


def test_it_has_no_rights_of_roots(site):
    [keeper] = resolver.processes_of(site.layout)
    with open(f"/proc/{keeper.pid}/task/{keeper.pid}/children", encoding="ascii") as file:
        child = file.read().strip()
    with open(f"/proc/{child}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert "0" not in status["Uid"].split()
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_a_bridge_that_somebody_removed_is_made_again_under_its_boxes(site, shared):
    network = network_of(site)

    def names():
        return shared.sh(f"host -t A {networks.HOST_NAME}").split()[-1]

    def alive():
        connection = os.stat(site.layout.control_socket(shared.box)).st_ino
        return daemon.running_pid(site.layout), shared.inspect()["State"]["Pid"], connection

    assert names() == network.host
    before = alive()
    subprocess.run(["ip", "link", "delete", site.layout.bridge], check=True)
    # It lives on, and has nowhere to answer.
    [keeper] = resolver.processes_of(site.layout)
    assert site.cai("doctor", check=False).returncode == 1
    site.cai("setup", "--yes")
    site.cai("doctor")
    assert resolver.processes_of(site.layout) == [keeper]
    assert names() == network.host
    assert alive() == before
