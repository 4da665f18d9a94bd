"""What is handed over to a proxy on a loopback address, and what is not."""

import socket
import threading

import pytest

from containai.runtime import forward
from containai.runtime.forward import Refused

NONE = frozenset()


def head(first, *lines):
    return "\r\n".join([first, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "fe80::1%eth0",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.0.1",
        "here",
    ],
)
def test_this_machine_and_link_local_are_closed(host):
    assert forward.is_closed(host, frozenset({"here"}))


@pytest.mark.parametrize("host", ["example.com", "93.184.216.34", "10.1.2.3", "localhost.example"])
def test_others_are_not(host):
    assert not forward.is_closed(host, NONE)


def test_names_of_this_machine(tmp_path, monkeypatch):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 a B # c\n\n192.0.2.1 d\n127.0.1.1 e\n::1 f\n", encoding="ascii")
    monkeypatch.setattr(forward, "HOSTS", str(hosts))
    assert forward.own_names() == {"a", "b", "e", "f", socket.gethostname().lower()}


@pytest.mark.parametrize(
    "first",
    [
        "GET / HTTP/1.1",
        "GET /squid-internal-mgr/menu HTTP/1.1",
        "GET cache_object://localhost/info HTTP/1.0",
        "GET http:///x HTTP/1.1",
        "CONNECT http://a/ HTTP/1.1",
        "CONNECT  HTTP/1.1",
        "nonsense",
        "GET http://a/ HTTP/2",
    ],
)
def test_what_is_for_no_proxy_is_refused(first):
    with pytest.raises(Refused, match="400"):
        forward.handed_over(head(first), NONE)


@pytest.mark.parametrize(
    "first",
    [
        "CONNECT localhost:22 HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "GET http://127.0.0.1:5432/ HTTP/1.1",
        "GET http://a@[::1]/ HTTP/1.1",
        "GET http://example.com@127.0.0.1/ HTTP/1.1",
        "POST ftp://0/ HTTP/1.0",
    ],
)
def test_what_is_for_this_machine_is_refused(first):
    with pytest.raises(Refused, match="403"):
        forward.handed_over(head(first), NONE)


def test_a_tunnel_is_handed_over_as_it_is():
    asked = head("CONNECT pypi.org:443 HTTP/1.1", "Proxy-Authorization: Basic eA==")
    assert forward.handed_over(asked, NONE) == asked


def test_any_other_request_is_the_last_of_its_connection():
    asked = head("GET http://a/ HTTP/1.1", "Host: a", "proxy-connection: keep-alive", "Upgrade: x")
    kept = head("GET http://a/ HTTP/1.1", "Host: a", "Connection: close")
    assert forward.handed_over(asked, NONE) == kept


@pytest.fixture
def proxy():
    """A proxy that says what it was asked; a function that asks it through the way to it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as target,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):

        def answer():
            while True:
                try:
                    connection, _ = target.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"got: " + connection.recv(1000))

        threading.Thread(target=answer, daemon=True).start()
        words = (listener, target.getsockname()[1], forward.Shares())
        threading.Thread(target=forward.serve, args=words, daemon=True).start()

        def ask(request):
            with socket.create_connection(listener.getsockname(), timeout=10) as asking:
                asking.sendall(request)
                got = b""
                while part := asking.recv(1000):
                    got += part
                return got

        yield ask
        target.shutdown(socket.SHUT_RDWR)


def test_it_is_handed_over(proxy):
    asked = head("CONNECT pypi.org:443 HTTP/1.1") + b"early"
    assert proxy(asked) == b"got: " + asked
    assert proxy(head("GET http://localhost/ HTTP/1.1")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"'localhost' is closed to boxes" in proxy(head("GET http://localhost/ HTTP/1.1"))
    assert proxy(b"x" * forward.HEAD + b"xx").startswith(b"HTTP/1.1 400 ")


def test_it_says_where_it_leads(proxy):
    answer = proxy(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"; this leads to 127.0.0.1:" in answer


def test_a_box_has_its_share_of_all_together(monkeypatch):
    monkeypatch.setattr(forward, "MOST_OF_ONE", 2)
    monkeypatch.setattr(forward, "MOST", 3)
    shares = forward.Shares()
    assert [shares.take("a") for _ in range(3)] == [True, True, False]
    assert [shares.take("b") for _ in range(2)] == [True, False]
    shares.give_back("a")
    assert shares.take("b")


def test_a_box_that_has_its_share_is_refused(proxy, monkeypatch):
    monkeypatch.setattr(forward, "MOST_OF_ONE", 0)
    assert proxy(b"") == b""
