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


def told(proxies=Proxies(), certificates=(), forwarded=()):  # noqa: B008 - a tuple
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
    lines = told(Proxies(https=LOCAL), forwarded=[3128]).splitlines()
    assert lines[0] == "https_proxy=http://u:p@10.203.0.1:10056"


def test_another_one_is_nobodys():
    assert told(Proxies(LOCAL, LOCAL), forwarded=[3129]) == ""
    assert told(Proxies(every="socks5://localhost:3128"), forwarded=[3128]) == ""
    assert forward.from_boxes(Proxies(LOCAL, "http://q"), NETWORK, ()) == Proxies("", "http://q")


def test_several_are_at_ports_one_after_the_other():
    known = Proxies("http://localhost:8080", LOCAL, apt_http="http://[::1]:3142")
    ports = forward.wanted(known)
    assert ports == (3128, 8080, 3142)
    assert told(known, forwarded=ports).splitlines()[:3] == [
        "http_proxy=http://10.203.0.1:10057",
        "https_proxy=http://u:p@10.203.0.1:10056",
        "apt_http_proxy=http://10.203.0.1:10058",
    ]


def test_what_boxes_go_without_is_said_and_why():
    known = Proxies("http://q", LOCAL, "socks5://localhost:1080")
    assert forward.explained(known, [3128]) == [
        "boxes go without the proxy socks5://localhost:1080, which is on a loopback address: "
        "only HTTP is handed over"
    ]
    assert forward.explained(known, [])[0] == (
        "boxes go without the proxy http://u:…@127.0.0.1:3128, which is on a loopback address, "
        "until `cai setup` has it handed over"
    )


def test_passwords_are_not_shown():
    text = told(Proxies(LOCAL), (Certificate("a.crt", "-----BEGIN CERTIFICATE-----\n="),), [3128])
    assert around.shown(text).splitlines() == [
        "http_proxy=http://u:…@10.203.0.1:10056",
        f"no_proxy={OWN},10.203.0.1,10.203.0.0/20",
        "(1 certificates)",
    ]


def test_which_are_to_be_forwarded():
    assert forward.wanted(Proxies("http://localhost:1", LOCAL)) == (3128, 1)
    assert forward.wanted(Proxies(LOCAL, LOCAL)) == (3128,)
    assert forward.wanted(Proxies("http://q", every="socks5://127.0.0.1:1")) == ()


def test_the_file_that_says_what_is_forwarded(tmp_path):
    layout = Layout(str(tmp_path), str(tmp_path), 0)
    assert forward.forwarded(layout) == ()
    (tmp_path / "etc/containai").mkdir(parents=True)
    for text, ports in (
        ("3128\n", (3128,)),
        ("", ()),
        ("x\n", ()),
        ("none\n", ()),
        ("1\n2\n", (1, 2)),
    ):
        (tmp_path / "etc/containai/proxy-port").write_text(text, encoding="ascii")
        assert forward.forwarded(layout) == ports
    assert forward.text([]) == "none\n"
    assert forward.text([1, 2]) == "1\n2\n"
