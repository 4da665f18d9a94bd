import socket

import pytest

from containai.boxes.ports import choose, is_free
from containai.config.values import PortRange
from containai.errors import PortsExhaustedError


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
