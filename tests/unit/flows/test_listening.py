from containai.flows import listening
from containai.flows.listening import Listener

#: As ss(8) of Debian 13 says it.
SAID = """\
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=57,fd=6))
LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*
LISTEN 0      5          127.0.0.1:8000      0.0.0.0:*    users:(("python3",pid=275,fd=3))
LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=57,fd=7))
LISTEN 0      511                *:3000            *:*    users:(("MainThread",pid=9,fd=18))
LISTEN 0      511            [::1]:5173         [::]:*    users:(("node",pid=10,fd=18))
LISTEN 0      4096      172.17.0.1:9000      0.0.0.0:*
"""


def test_what_listens():
    assert listening.parsed(SAID.splitlines()) == [
        Listener(22, ("0.0.0.0", "[::]"), "sshd", 57),
        Listener(53, ("127.0.0.53",)),
        Listener(3000, ("*",), "MainThread", 9),
        Listener(5173, ("[::1]",), "node", 10),
        Listener(8000, ("127.0.0.1",), "python3", 275),
        Listener(9000, ("172.17.0.1",)),
    ]


def test_how_it_is_reached_from_inside():
    hosts = {each.port: each.host for each in listening.parsed(SAID.splitlines())}
    assert hosts[53] == "127.0.0.53"
    assert hosts[9000] == "172.17.0.1"
    assert {hosts[port] for port in (22, 3000, 5173, 8000)} == {"localhost"}


def test_what_a_hostile_box_says():
    lines = [
        "LISTEN 0 5 -oProxyCommand=x:80 *:*",
        "LISTEN 0 5 $(id):80 *:*",
        "LISTEN 0 5 *:0 *:*",
        "LISTEN 0 5 *:99999 *:*",
        "LISTEN 0 5 evil.example:80 *:*",
        "",
        "x" * 100_000,
    ]
    assert listening.parsed(lines) == []
    many = [f"LISTEN 0 5 10.0.0.1:{port} *:*" for port in range(1, 3000)]
    assert len(listening.parsed(many)) == listening.MOST
    one = [f"LISTEN 0 5 10.0.{at // 250}.{at % 250}:80 *:*" for at in range(5000)]
    assert len(listening.parsed(one)[0].addresses) == 32
