"""What a box is told of the network."""

from containai.boxes import around
from containai.engine import forward
from containai.engine.network import Network
from containai.host.certificates import Certificate
from containai.host.proxies import Proxies
from containai.host.surroundings import Surroundings
from containai.layout import Layout

NETWORK = Network("10.203.0.0/20")
LOCAL = "http://u:p@127.0.0.1:3128"
OWN = "localhost,127.0.0.1,::1,api,host.docker.internal,host.containai.internal"


def told(proxies=Proxies(), certificates=(), forwarded=0):  # noqa: B008 - a tuple
    return around.text(Surroundings(certificates, proxies), NETWORK, "api", forwarded)


def test_nothing():
    assert told() == ""
    assert around.mark("") == "none"
    assert around.mark("a") != around.mark("b")


def test_certificates():
    assert told(certificates=(Certificate("a.crt", "A\n"), Certificate("b.crt", "B\n"))) == "A\nB\n"


def test_proxies_and_what_goes_without():
    proxies = Proxies("http://p", "http://q", "socks5://s", ("localhost", ".corp"), "http://apt")
    assert told(proxies, (Certificate("a.crt", "A\n"),)).splitlines() == [
        "http_proxy=http://p",
        "https_proxy=http://q",
        "all_proxy=socks5://s",
        "apt_http_proxy=http://apt",
        f"no_proxy={OWN},10.203.0.1,10.203.0.0/20,.corp",
        "A",
    ]


def test_a_proxy_on_loopback_is_the_forwarded_one():
    lines = told(Proxies(https=LOCAL), forwarded=3128).splitlines()
    assert lines[0] == "https_proxy=http://u:p@10.203.0.1:10054"


def test_another_one_is_nobodys():
    assert told(Proxies(LOCAL, LOCAL), forwarded=3129) == ""
    assert told(Proxies(every="socks5://localhost:3128"), forwarded=3128) == ""
    found = forward.from_boxes(Proxies(LOCAL, "http://q"), NETWORK, 0)
    assert found == (Proxies("", "http://q"), (LOCAL,))


def test_passwords_are_not_shown():
    text = told(Proxies(LOCAL), (Certificate("a.crt", "-----BEGIN CERTIFICATE-----\n="),), 3128)
    assert around.shown(text).splitlines() == [
        "http_proxy=http://u:…@10.203.0.1:10054",
        f"no_proxy={OWN},10.203.0.1,10.203.0.0/20",
        "(1 certificates)",
    ]


def test_which_one_is_to_be_forwarded():
    assert forward.wanted(Proxies("http://localhost:1", LOCAL)) == 3128
    assert forward.wanted(Proxies("http://q", every="socks5://127.0.0.1:1")) == 0


def test_the_file_that_says_what_is_forwarded(tmp_path):
    layout = Layout(str(tmp_path), str(tmp_path), 0)
    assert forward.forwarded(layout) == 0
    (tmp_path / "etc/containai").mkdir(parents=True)
    for text, port in (("3128\n", 3128), ("", 0), ("x\n", 0)):
        (tmp_path / "etc/containai/proxy-port").write_text(text, encoding="ascii")
        assert forward.forwarded(layout) == port
