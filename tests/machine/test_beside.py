"""The server already has a busy Docker of its own."""

import pytest

from .product import BUSYBOX, IN_BOX, SLOW, Product

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]

# QEMU's name server is outside of the machine; setup has already needed this name.
OUTSIDE = "busybox nslookup -type=a deb.debian.org 10.0.2.3"


def _hosts_docker(product: Product) -> dict[str, set[str]]:
    """Return what the host's own Docker has, and every rule of iptables."""
    asked = {
        "containers": "docker ps --format '{{.ID}} {{.Names}} {{.Ports}}'",
        # Docker makes `bridge` anew whenever it starts, with another id.
        "networks": "docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'; "
        "docker network inspect --format '{{.Id}} {{.IPAM}}' busy",
        "config": "cat /etc/docker/daemon.json; systemctl is-enabled docker",
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


def test_beside_a_busy_docker(installed: Product) -> None:
    machine = installed.machine
    machine.run(
        'mkdir -p /etc/docker; echo \'{"bip": "172.20.0.1/16"}\' >/etc/docker/daemon.json\n'
        "apt-get update -qq; export DEBIAN_FRONTEND=noninteractive\n"
        "apt-get install -y -qq --no-install-recommends docker.io docker-cli\n"
        + BUSYBOX.format(busybox="/usr/bin/busybox")
        + "\ndocker network create busy\n"
        "docker run --detach --name web --restart always --network busy --publish 8080:80 busybox "
        "sh -c 'echo hello >/hello; exec busybox httpd -f -p 80 -h /'",
        timeout=SLOW,
    )
    before = _hosts_docker(installed)
    assert before["rules"]
    installed.set_up()
    installed.sh(IN_BOX)
    assert _hosts_docker(installed) == before
    _both_work(installed)
    for action, unit, box, web in (
        ("restart", "docker", True, True),
        ("restart", "containai-docker", True, True),
        ("stop", "docker.socket docker", True, False),
        ("start", "docker", True, True),
        ("stop", "containai-docker", False, True),
    ):
        machine.run(f"systemctl {action} {unit}", timeout=SLOW)
        _both_work(installed, box=box, web=web)
    assert _hosts_docker(installed) == before
