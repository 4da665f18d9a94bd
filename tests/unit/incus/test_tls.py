import socket
import threading

import pytest

from containai.errors import UsageError
from containai.incus import tls
from containai.incus.client import Incus
from containai.incus.errors import OtherCertificateError, UnreachableError
from containai.incus.server import about
from containai.incus.tls import Address, Dialler, Server


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("host", 8443)),
        ("host:1", ("host", 1)),
        ("https://host:8444/", ("host", 8444)),
        (" https://10.0.0.1 ", ("10.0.0.1", 8443)),
        ("[fd42::1]:99", ("fd42::1", 99)),
        ("https://[fd42::1]", ("fd42::1", 8443)),
        ("fd42::1", ("fd42::1", 8443)),
    ],
)
def test_addresses(text, expected):
    found = tls.address(text)
    assert found == expected
    assert tls.address(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", "http://host", "host:", "host:0", "host:65536", "host:a", "host:٣", "https://",
     "[fd42::1", "[fd42::1]8", "ho st", "host/path", "user@host", "a\r\nb", "unix:///x"],
)  # fmt: skip
def test_what_is_no_address(text):
    with pytest.raises(UsageError, match="no address"):
        tls.address(text)


def test_another_certificate_is_named_and_nothing_is_sent(server, identity, certificates):
    old = server.pin
    server.show(certificates["other"])
    where = Address("127.0.0.1", server.port)
    with pytest.raises(OtherCertificateError) as caught:
        about(Incus(Server((where,), old, identity)))
    assert (caught.value.pin, caught.value.shown) == (old, server.pin)
    assert old in str(caught.value)
    assert server.pin in str(caught.value)
    assert not server.asked
    assert caught.value.exit_code == 32


def test_it_is_looked_at_with_every_connection(server, incus, certificates):
    assert about(incus).is_trusted
    server.show(certificates["other"])
    # The one that is kept is the server's still.
    assert about(incus).is_trusted
    incus.wire.close()
    asked = len(server.asked)
    with pytest.raises(OtherCertificateError):
        about(incus)
    assert len(server.asked) == asked


def test_the_address_with_the_pinned_certificate_is_found(server, identity, certificates):
    from harness.incus_server import incus_server

    with incus_server(certificates["other"]) as wrong, socket.create_server(("127.0.0.1", 0)) as no:
        no.close()
        nobody = Address("127.0.0.1", 1)
        other, right = (Address("127.0.0.1", each.port) for each in (wrong, server))
        dialler = Dialler(Server((nobody, other, right), server.pin, identity))
        dialler.connect().close()
        assert dialler.where == str(right)
        before = wrong.connections
        dialler.connect().close()
        assert wrong.connections == before
        assert not wrong.asked


def test_nobody_there(identity):
    addresses = (Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    with pytest.raises(UnreachableError, match=r"127.0.0.1:1: .*refused; 127.0.0.1:2") as caught:
        Dialler(Server(addresses, "a" * 64, identity)).connect()
    assert caught.value.exit_code == 31


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_10.0\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"])
def test_somebody_else_is_there(says, identity):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        where = Address("127.0.0.1", listening.getsockname()[1])
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:"):
            Dialler(Server((where,), "a" * 64, identity)).connect()


def test_somebody_who_says_nothing(identity, monkeypatch):
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        where = Address("127.0.0.1", listening.getsockname()[1])
        with pytest.raises(UnreachableError, match="no answer in time"):
            Dialler(Server((where,), "a" * 64, identity)).connect(0.1)


def test_what_a_server_shows(server):
    assert tls.shown(Address("127.0.0.1", server.port)) == server.pin
