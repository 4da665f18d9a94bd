import errno
import socket

import pytest

from containai.boxes import ports
from containai.boxes.ports import choose, is_free
from containai.config.values import PortRange
from containai.errors import PortsExhaustedError, UnsupportedError


@pytest.fixture
def bound():
    """Return a port of the host that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_first_free():
    assert choose(PortRange(2300, 2310), (), lambda port: True) == 2300


def test_promised_ports_are_skipped():
    assert choose(PortRange(2300, 2310), [2300, 2302, 2301], lambda port: True) == 2303


def test_bound_port_is_skipped(bound):
    assert not is_free(bound)
    seen = choose(PortRange(bound, bound + 50), ())
    assert bound < seen <= bound + 50


def test_port_bound_on_every_address_is_taken():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.2", "::1", "::"])
def test_port_bound_on_another_address_is_taken(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_a_machine_without_ipv6(bound, monkeypatch):
    def only(family, *rest):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, *rest)

    made = socket.socket
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen()
        monkeypatch.setattr(socket, "socket", only)
        assert not is_free(bound)
        assert not is_free(listener.getsockname()[1])
    assert is_free(choose(PortRange(bound, bound + 50), ()))


def test_a_machine_without_an_address_for_them(monkeypatch):
    monkeypatch.setattr(ports, "HOST", "192.0.2.1")
    with pytest.raises(UnsupportedError, match="no 192") as caught:
        choose(PortRange(2300, 2310), ())
    assert "ip address add 192.0.2.1/8 dev lo" in caught.value.hint


def test_whoever_has_the_ports_is_named_where_there_is_none():
    rows = {2300: "api (stopped)", 2301: "", 2302: "web", 9: "elsewhere"}
    with pytest.raises(PortsExhaustedError) as caught:
        choose(PortRange(2300, 2304), rows, lambda port: False)
    assert str(caught.value) == (
        "no free SSH port in 2300-2304: they are of api (stopped), web, 1 of other users' boxes, "
        "2 of other programs"
    )
    assert "cai rm" in caught.value.hint


def test_not_all_of_many_are_named():
    rows = {2300 + number: f"box{number}" for number in range(20)}
    with pytest.raises(PortsExhaustedError, match="box7, 12 more"):
        choose(PortRange(2300, 2319), rows)


def test_asking_leaves_the_port_free(bound):
    port = choose(PortRange(bound, bound + 50), ())
    assert is_free(port)
    assert is_free(port)


def test_exhaustion(bound):
    with pytest.raises(PortsExhaustedError, match=f"{bound}-{bound}") as caught:
        choose(PortRange(bound, bound), ())
    assert caught.value.exit_code == 21
    assert "ssh.port_range" in caught.value.hint


def test_range_includes_its_last_port():
    assert choose(PortRange(2300, 2301), [2300], lambda port: True) == 2301
