import pytest

from containai.engine import kept_ports


def container(*ports, everything=False):
    rows = [{"HostIp": "127.0.0.1", "HostPort": port} for port in ports]
    return {"HostConfig": {"PortBindings": {"22/tcp": rows}, "PublishAllPorts": everything}}


@pytest.mark.parametrize(
    ("found", "may"),
    [
        (None, False),
        (container(), False),
        (container("2301"), False),
        ({"HostConfig": {"PortBindings": None}}, False),
        ({"HostConfig": {"PortBindings": {"22/tcp": None}}}, False),
        (container("2300"), True),
        (container("2301", "2300"), True),
        # Docker chooses.
        (container(""), True),
        (container("0"), True),
        (container("2290-2310"), True),
        (container(everything=True), True),
        # It has gone since.
        ({}, True),
    ],
)
def test_whether_a_container_may_have_a_port(found, may):
    assert kept_ports.may_have(found, "2300") is may
