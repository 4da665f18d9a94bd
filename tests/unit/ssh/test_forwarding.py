import os
import socket

import pytest

from containai.config.forwards import Forward
from containai.host.fake import FakeMachine
from containai.ssh import forwarding


@pytest.fixture
def host(layout):
    layout.uid = os.getuid()
    os.makedirs(layout.control_dir, mode=0o700)
    return FakeMachine(layout)


def asked(host, request):
    return [argv[argv.index(request) + 1 : -2] for argv in host.ran if request in argv]


def test_only_loopback_is_listened_on():
    assert forwarding.local(Forward(8080, 80)) == ("-L", "localhost:8080:localhost:80")
    assert forwarding.remote(Forward(1, 2, "[::1]")) == ("-R", "localhost:1:[::1]:2")


def test_what_is_forwarded_is_withdrawn(host):
    wanted = [("-R", "localhost:1:localhost:2"), ("-R", "localhost:3:db:4")]
    assert forwarding.have(host, "api", wanted) == []
    assert asked(host, "forward") == wanted
    forwarding.withdraw(host, "api")
    assert asked(host, "cancel") == []
    assert not os.path.exists(host.layout.forwarded("api"))
    # As the connection lives on, it is told.
    forwarding.have(host, "api", wanted)
    with open(host.layout.control_socket("api"), "w", encoding="ascii"):
        forwarding.withdraw(host, "api")
    assert asked(host, "cancel") == wanted
    forwarding.withdraw(host, "api")
    assert len(asked(host, "cancel")) == 2


def test_without_forwards_nothing_is_asked(host):
    assert forwarding.have(host, "api", []) == []
    forwarding.withdraw(host, "api")
    assert host.ran == []


def test_a_port_that_is_taken_is_said(host):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert forwarding.why_not(port) == "somebody listens on it"
        words = forwarding.local(Forward(port, 80))
        [failed] = forwarding.have(host, "api", [words])
    assert host.ran == []
    assert f"port {port} is not forwarded (ssh.local_forward): somebody" in failed.described()
    assert forwarding.why_not(port) == ""


def test_what_ssh_says_is_said(host):
    host.answer("ssh", code=255, err="mux_client_forward: forwarding request failed: no\n")
    [failed] = forwarding.have(host, "api", [("-R", "localhost:1:localhost:2")])
    assert failed.described().startswith(
        "port 1 of the box is not forwarded (ssh.remote_forward): forwarding request failed: no\n"
    )


def test_what_somebody_else_noted_is_not_read(host):
    with open(host.layout.control_socket("api"), "w", encoding="ascii"):
        pass
    with open(host.layout.forwarded("api"), "w", encoding="ascii") as file:
        file.write("-L localhost:1:localhost:2\n")
    os.chmod(host.layout.control_dir, 0o755)
    forwarding.withdraw(host, "api")
    assert host.ran == []
