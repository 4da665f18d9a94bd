"""The server already has a busy Docker of its own."""

import ipaddress
import json

import pytest

from .machine import Machine
from .product import BUSYBOX, IN_BOX, SETUP, SLOW, Product

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]

# QEMU's name server is outside of the machine; setup has already needed this name.
OUTSIDE = "busybox nslookup -type=a deb.debian.org 10.0.2.3"
DAEMON_JSON = "/etc/docker/daemon.json"
CONFIG = "{{(index .IPAM.Config 0).Subnet}}"


def _hosts_docker(product: Product) -> dict[str, set[str]]:
    """Return what the host's own Docker has, and every rule of iptables but our bridge's."""
    asked = {
        "containers": "docker ps --format '{{.ID}} {{.Names}} {{.Ports}}'",
        # Docker makes `bridge` anew whenever it starts, with another id.
        "networks": "docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'; "
        "docker network inspect --format '{{.Id}} {{.IPAM}}' busy",
        "config": f"cat {DAEMON_JSON}; systemctl is-enabled docker",
        "rules": "iptables-save | grep -v '^[#:]' | grep -vw cai0",
    }
    return {
        key: set(product.machine.run(script).stdout.splitlines()) for key, script in asked.items()
    }


def _both_work(product: Product, *, box: bool = True, web: bool = True) -> None:
    if web:
        get = "busybox wget -q -O- http://10.0.2.15:8080/hello"
        assert product.machine.run(get, timeout=SLOW).stdout == "hello\n"
        product.machine.run(f"docker exec web {OUTSIDE}")
    if box:
        product.sh(f"docker run --rm --network host busybox {OUTSIDE}")


def _make_busy(machine: Machine, subnet: str) -> None:
    """Start a Docker as the owner of the server may have it, on a subnet that we had."""
    bridge = ipaddress.IPv4Network(subnet)
    config = json.dumps({"bip": f"{bridge[1]}/{bridge.prefixlen}"})
    machine.run(
        f"mkdir -p /etc/docker; echo '{config}' >{DAEMON_JSON}\n"
        "systemctl enable --quiet --now docker\n"
        + BUSYBOX.format(busybox="/usr/bin/busybox")
        + "\ndocker network create busy\n"
        "docker run --detach --name web --restart always --network busy --publish 8080:80 busybox "
        "sh -c 'echo hello >/hello; exec busybox httpd -f -p 80 -h /'",
        timeout=SLOW,
    )


def test_beside_a_busy_docker(running: Product) -> None:
    """The server's owner uninstalls ContainAI, uses Docker without it, and sets it up again."""
    machine = running.machine
    running.sh(IN_BOX)
    identity = running.identity()
    subnet = running.docker("network", "inspect", "bridge", "--format", CONFIG)
    running.cai("stop", ".")
    running.cai("uninstall", "--yes")
    assert machine.run("iptables-save | grep -w cai0", check=False).stdout == ""
    # So that setup has a package to install while the other Docker works.
    machine.run("DEBIAN_FRONTEND=noninteractive apt-get purge --yes -qq lxcfs")
    _make_busy(machine, subnet)
    before = _hosts_docker(running)
    assert before["rules"]

    running.cai(*SETUP)
    assert running.identity() == identity
    assert running.docker("network", "inspect", "bridge", "--format", CONFIG) != subnet
    assert _hosts_docker(running) == before
    _both_work(running)
    asked = ("inspect", "--format", "{{.State.StartedAt}}", str(running.boxes()[0]["name"]))
    started = running.docker(*asked)
    for action, unit, web in (
        ("restart", "containai-docker", True),
        ("stop", "docker.socket docker", False),
        ("start", "docker", True),
    ):
        machine.run(f"systemctl {action} {unit}", timeout=SLOW)
        _both_work(running, web=web)
    # Another engine, and no other boxes.
    assert running.docker(*asked) == started
    running.cai("uninstall", "--yes", "--containers")
    _both_work(running, box=False)
    assert _hosts_docker(running) == before
    assert machine.run("iptables-save | grep -w cai0", check=False).stdout == ""
