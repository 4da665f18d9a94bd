"""Proxies of this machine's programs, wherever they are said."""

import json
import os

import pytest

from containai.errors import ContainAIError
from containai.host import around, proxies
from containai.host.fake import FakeMachine
from containai.host.proxies import Proxies
from containai.layout import Layout

P, Q = "http://p.example:3128", "http://q.example:8080"


@pytest.fixture
def host(tmp_path):
    """A machine without any: none of its files is the real one's."""
    for path in (*around.DOCKER_UNITS, around.APT[1]):
        (tmp_path / path).mkdir(parents=True)
    for path in (around.DOCKER_DAEMON, around.APT[0]):
        put(tmp_path, path, "")
    return FakeMachine(Layout(str(tmp_path), str(tmp_path / "home"), 0))


def put(root, path, text):
    where = os.path.join(root, path)
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where, "w", encoding="utf-8") as file:
        file.write(text)


def test_nothing_is_said(host):
    assert proxies.known(host, {"no_proxy": "localhost"}) == Proxies()
    assert host.ran == []
    assert Proxies().variables() == {}


def test_an_environment(host):
    said = {"HTTP_PROXY": Q, "http_proxy": P, "HTTPS_PROXY": "q.example:8080/", "all_proxy": " "}
    found = proxies.known(host, said | {"NO_PROXY": "localhost, .example.com *.a,10.0.0.0/8"})
    assert found == Proxies(P, Q, "", ("localhost", ".example.com", "*.a", "10.0.0.0/8"))
    direct = "localhost,.example.com,*.a,10.0.0.0/8"
    assert found.variables() == {
        "http_proxy": P,
        "https_proxy": Q,
        "no_proxy": direct,
        "HTTP_PROXY": P,
        "HTTPS_PROXY": Q,
        "NO_PROXY": direct,
    }


def test_dockers_client_daemon_and_units_in_this_order(host):
    root, home = host.layout.root, host.layout.home
    unit = f'[Service]\nEnvironment="HTTP_PROXY={P}" NO_PROXY=a.b X=1\nEnvironment="HTTPS_PROXY=http://u:a%%40@p"\n'
    put(root, f"{around.DOCKER_UNITS[0]}/proxy.conf", unit)
    assert proxies.known(host, {}) == Proxies(P, "http://u:a%40@p", direct=("a.b",))
    daemon = {"proxies": {"http-proxy": Q, "no-proxy": "c", "https-proxy": ""}}
    put(root, around.DOCKER_DAEMON, json.dumps(daemon))
    assert proxies.known(host, {}) == Proxies(Q, direct=("c",))
    client = {"proxies": {"default": {"httpsProxy": Q, "allProxy": "socks5://s:1", "noProxy": "d"}}}
    put(home, around.DOCKER_CLIENT, json.dumps(client))
    assert proxies.known(host, {}) == Proxies("", Q, "socks5://s:1", ("d",))
    assert proxies.known(host, {"https_proxy": P}) == Proxies(https=P)


@pytest.mark.parametrize("text", ["{", "[]", '{"proxies": 1}', '{"proxies": {"http-proxy": 3}}'])
def test_a_damaged_file_of_dockers_is_dockers_affair(host, text):
    put(host.layout.root, around.DOCKER_DAEMON, text)
    put(host.layout.root, f"{around.DOCKER_UNITS[0]}/x.conf", 'Environment="HTTP_PROXY=unclosed\n')
    assert proxies.known(host, {}) == Proxies()


def test_apts_own_is_apts_alone(host):
    put(host.layout.root, f"{around.APT[1]}/01proxy", f'Acquire::http::Proxy "{P}";\n')
    host.answer("apt-config", out=f"http='{P}'\nhttps='DIRECT'\n")
    found = proxies.known(host, {})
    assert found == Proxies(apt_http=P)
    assert found.urls == (P,)
    assert found.variables() == {}


def test_apt_is_not_asked_for_a_comment(host):
    put(host.layout.root, around.APT[0], "// Acquire::http::Proxy here\n")
    assert proxies.known(host, {}) == Proxies()
    assert host.ran == []


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://a b",
        "http://a:99999",
        "http://a:b",
        'http://a"b',
        "http://a/$(x)",
        "http://a\nb",
        "http://u:secret@a b",
        "u:secret@a\\",
        "http://a/path",
    ],
)
def test_what_is_no_proxy_is_named_without_its_password(host, value):
    with pytest.raises(ContainAIError, match="https_proxy is no proxy") as caught:
        proxies.known(host, {"https_proxy": value})
    assert "secret" not in str(caught.value)
    assert "network.proxies" in caught.value.hint


def test_what_is_no_host(host):
    with pytest.raises(ContainAIError, match="NO_PROXY names no host: 'b;c'"):
        proxies.known(host, {"https_proxy": P, "NO_PROXY": "a,b;c"})


@pytest.mark.parametrize(
    ("url", "port"),
    [
        (P, None),
        ("http://127.0.0.1:3128", 3128),
        ("http://localhost", 80),
        ("http://u:p@LOCALHOST:1", 1),
        ("http://[::1]:9", 9),
        ("http://127.1.2.3:4", 4),
        ("socks5://127.0.0.1:1080", 0),
        ("https://localhost:1", 0),
        ("http://127.0.0.1.example:1", None),
    ],
)
def test_loopback(url, port):
    assert proxies.loopback_port(url) == port


def test_moved_and_shown():
    assert proxies.moved("http://u:p@127.0.0.1:3128", "10.0.0.1", 5) == "http://u:p@10.0.0.1:5"
    assert proxies.moved("http://[::1]:3128", "10.0.0.1", 5) == "http://10.0.0.1:5"
    assert proxies.shown("http://u:p@h:1") == "http://u:…@h:1"
    assert proxies.shown("u:p@w@h") == "u:…@h"
    assert proxies.shown("http://u@h") == "http://u@h"
    assert proxies.shown(P) == P


def test_mapped():
    found = Proxies(P, Q, "", ("a",), P, "").mapped({P: "", Q: "http://x"})
    assert found == Proxies("", "http://x", "", ("a",), "", "")
