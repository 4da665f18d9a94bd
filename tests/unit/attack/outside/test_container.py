"""What the engine was asked for."""

import pytest

from containai.attack.outside import container
from harness.attack_facts import known


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("/", True),
        ("/var", True),
        ("/etc/ssl", True),
        ("/root", True),
        ("/root/.ssh", True),
        ("/root/project", False),
        ("/home/me/project", False),
    ],
)
def test_sensitive_directories(source, bad):
    made = {"Mounts": [{"Type": "bind", "Source": source}]}
    assert container.sensitive_directories(known(container=made)).found is bad


def test_published_ports():
    def bound(address, port):
        ports = {"22/tcp": [{"HostIp": address, "HostPort": port}]}
        return known(
            container={
                "HostConfig": {"PortBindings": ports},
                "Config": {"Labels": {"containai.ssh-port": "2300"}},
            }
        )

    assert container.published_ports(bound("127.0.0.1", "2300")).found is False
    assert container.published_ports(bound("", "2300")).found is True
    assert container.published_ports(bound("127.0.0.1", "80")).found is True
    assert container.ssh_service(bound("127.0.0.1", "2300")).found is False
    assert container.ssh_service(bound("127.0.0.1", "2301")).found is True


@pytest.mark.parametrize("limit", [None, 0, -1, 9])
def test_a_limit_on_processes(limit):
    asked = known(container={"HostConfig": {"PidsLimit": limit}})
    assert container.process_limit(asked).found is (limit != 9)
