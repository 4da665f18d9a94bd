import json
import os
import subprocess

import pytest

from containai.engine import network
from containai.engine.network import Network
from containai.errors import EngineError
from containai.host.machine import Machine
from containai.layout import Layout

MACHINE = Layout("/", "/home/u", 1000)


def routes(*destinations):
    return json.dumps([{"dst": each} for each in destinations])


def test_halves():
    one = Network("10.203.0.0/20")
    assert one.boxes == "10.203.0.0/21"
    assert one.made == "10.203.8.0/21"
    assert one.address == "10.203.0.1/21"
    assert network.of(one.boxes) == one
    assert network.of("10.203.0.0/20") == one


def test_avoids_routes():
    first, second = "10.203.0.0/20", "10.203.16.0/20"
    assert network.free("").pool == network.free("[]").pool == first
    assert network.free(routes("default", "0.0.0.0/0", "192.0.2.7")).pool == first
    assert network.free(routes(first)).pool == second
    assert network.free(routes("10.203.3.1")).pool == second
    assert network.free(routes("10.0.0.0/8")).pool == "172.29.240.0/20"
    assert network.free(routes("10.0.0.0/8", "172.16.0.0/12")).pool == "192.168.240.0/20"
    assert network.free(routes("10.203.17.0/24"), ["10.203.0.0/24"]).pool == "10.203.32.0/20"


def test_another_root_begins_elsewhere():
    assert network.free("", start=1).pool == network.free("", start=51).pool == "10.203.16.0/20"
    assert network.free(routes("10.77.240.0/20"), start=49).pool == "10.203.0.0/20"


def test_who_took_a_subnet():
    taken = json.dumps([{"dst": "default", "dev": "eth0"}, {"dst": "10.203.0.0/24", "dev": "vpn0"}])
    assert network.user_of(taken, "10.203.0.0/21", "cai0") == "vpn0"
    assert network.user_of(taken, "10.203.0.0/21", "vpn0") is None
    assert network.user_of(taken, "10.203.16.0/21", "cai0") is None
    wider = json.dumps([{"dst": "10.0.0.0/8", "dev": "vpn0"}])
    assert network.user_of(wider, "10.203.0.0/21", "cai0") is None


def test_the_bridge_tells_its_subnet():
    own = [
        {"dst": "10.203.0.0/21", "dev": "cai0"},
        {"dst": "10.203.0.1", "dev": "cai0"},
        {"dst": "10.204.0.0/21", "dev": "cai1"},
    ]
    assert network.of_bridge(json.dumps(own), "cai0") == "10.203.0.0/21"
    assert network.of_bridge(json.dumps(own[1:]), "cai0") is None


def pool(*taken):
    (found,) = network.nested(taken)["default-address-pools"]
    assert found["size"] == 24
    return found["base"]


def test_docker_inside_takes_what_is_not_routed():
    first, second = "10.213.0.0/19", "10.213.32.0/19"
    assert pool() == pool("192.0.2.7/32", "172.17.0.0/16") == first
    assert pool("10.213.31.7/32") == pool(first) == second
    assert pool(first, "10.213.40.1/24") == "10.213.64.0/19"
    assert pool("10.0.0.0/8") == "172.20.0.0/19"
    assert pool("10.0.0.0/8", "172.16.0.0/12") == "192.168.128.0/19"
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    assert pool(*private) == "198.18.0.0/19"
    assert network.nested([*private, "198.18.0.0/15"]) == {}


def test_docker_inside_takes_nothing_of_an_engine():
    for each in network.NESTED_POOLS:
        assert pool(*(other for other in network.NESTED_POOLS if other != each))
    assert network.nested([*network.NESTED_POOLS, *network.POOLS]) == {}
    assert pool(*network.POOLS) == pool()


TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.203.160.0/21 2 0 2
        |-- 10.203.160.0
           /32 link BROADCAST
           /21 link UNICAST
Id 51820:
  +-- 10.66.0.0/16 2 0 2
     |-- 10.66.0.0
        /16 link UNICAST
Local:
     |-- 10.203.160.0
        /21 link UNICAST
"""


def test_what_the_kernel_shows_of_its_routes():
    assert network.in_trie(TRIE) == ["10.203.160.0/32", "10.203.160.0/21", "10.66.0.0/16"]
    assert network.in_trie("") == []


def test_the_same_as_ip_says(tmp_path):
    host = Machine(Layout(str(tmp_path), str(tmp_path), os.getuid()))
    if not host.which("ip"):
        pytest.skip("there is no ip")
    said = {each["dst"] for each in json.loads(network.routes(host))} - {"default"}
    assert set(network.routed(host)) == {each if "/" in each else f"{each}/32" for each in said}


def test_none_left():
    with pytest.raises(EngineError) as caught:
        network.free(routes(*network.POOLS))
    assert network.POOLS[0] in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("{", []),
        ("[]", []),
        ('{"log-driver": "local"}', []),
        ('{"bip": "10.203.1.1/24"}', ["10.203.1.0/24"]),
        ('{"default-address-pools": [{"base": "10.203.0.0/16", "size": 24}]}', ["10.203.0.0/16"]),
        ('{"default-address-pools": 7, "bip": "10.203.1.1/24"}', []),
    ],
)
def test_networks_of_another_docker(text, expected):
    assert network.docker_networks(text) == expected


def test_script_is_valid():
    subprocess.run(["sh", "-n", "-c", network.script()], check=True)


def test_argv():
    assert network.argv(MACHINE, Network("10.203.0.0/20"), "up") == [
        "/usr/local/lib/containai/network", "up", "cai0", "10.203.0.1/21", "10.203.0.0/20",
        "/etc/containai/host-ports", "/var/run/containai-docker/pins", "/etc/resolv.conf",
    ]  # fmt: skip
