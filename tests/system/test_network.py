"""What a box reaches and is taken for on the network: tried by root of a box, which has all rights
over its own end of it. A neighbour of the host stands in a network namespace.
"""

import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from containai.engine import configuration

#: Answers whoever connects, or sends a datagram, with the address that it sees.
SERVER = """
import socket, sys, threading
address = sys.argv[1]
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((address, 7))
def streams(server):
    while True:
        with server.accept()[0] as client:
            client.sendall(client.getpeername()[0].encode())
for port in (53, 80):
    server = socket.create_server((address, port))
    threading.Thread(target=streams, args=[server], daemon=True).start()
print("ready", flush=True)
while True:
    data, sender = datagrams.recvfrom(100)
    print(sender[0], data.decode(), flush=True)
"""
CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as connection:
        print(connection.recv(100).decode())
except OSError as failed:
    print("no:", failed)
"""


def sh(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def connect(space, address, port):
    return space.run("python3", "-c", CONNECT, address, str(port)).stdout.decode().strip()


def root(space, script):
    return space.run("sudo", "sh", "-c", script).stdout.decode().strip()


class Lan:
    """A neighbour of the host, in a network namespace: its addresses, and what reached it."""

    def __init__(self, site):
        self.number = site.layout.number % 250
        self.name = f"cai-t-lan{self.number}"
        self.host_end = f"cail{self.number}"
        self.address = f"198.18.{self.number}.2"
        self.link_local = f"169.254.{self.number}.9"

    @contextlib.contextmanager
    def up(self):
        on_host, inside = f"198.18.{self.number}.1/24", ["ip", "-n", self.name]
        with contextlib.ExitStack() as undo:
            sh("ip", "netns", "add", self.name)
            undo.callback(sh, "ip", "netns", "delete", self.name)
            peer = ["type", "veth", "peer", "eth0", "netns", self.name]
            sh("ip", "link", "add", self.host_end, *peer)
            sh("ip", "address", "add", on_host, "dev", self.host_end)
            sh("ip", "link", "set", self.host_end, "up")
            sh("ip", "route", "add", self.link_local, "dev", self.host_end)
            for address in (self.address + "/24", self.link_local + "/32"):
                sh(*inside, "address", "add", address, "dev", "eth0")
            sh(*inside, "link", "set", "eth0", "up")
            sh(*inside, "route", "add", "default", "via", on_host[:-3])
            argv = ["ip", "netns", "exec", self.name, sys.executable, "-c", SERVER, "0.0.0.0"]
            server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            undo.callback(server.wait)
            undo.callback(server.kill)
            assert server.stdout.readline() == "ready\n"
            self.server = server
            yield self

    @contextlib.contextmanager
    def routed(self, *networks):
        """Have more networks behind the neighbour, which has the first address of each."""
        with contextlib.ExitStack() as undo:
            for each in networks:
                route = [each, "dev", self.host_end, "metric", str(self.number + 1)]
                sh("ip", "route", "add", *route)
                undo.callback(sh, "ip", "route", "delete", *route)
                first = f"{ipaddress.ip_network(each)[0]}/32"
                sh("ip", "-n", self.name, "address", "add", first, "dev", "eth0")
                undo.callback(sh, "ip", "-n", self.name, "address", "delete", first, "dev", "eth0")
            yield

    def heard(self):
        """Return the next datagram: who sent it, what it says."""
        return self.server.stdout.readline().split()


@pytest.fixture(scope="module")
def lan(site):
    with Lan(site).up() as lan:
        yield lan


@pytest.fixture(scope="module")
def pair(make_lasting):
    """Two boxes: an attacker and a victim."""
    spaces = make_lasting("attacker"), make_lasting("victim")
    for space in spaces:
        space.run("true")
    return spaces


@contextlib.contextmanager
def listening(family, address):
    """Serve "here" on a port of the host; yield its number."""
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.sendall(b"here")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def own(space):
    """Return a box's address and that of the host on the bridge."""
    found = space.inspect()["NetworkSettings"]
    return found["IPAddress"], found["Gateway"]


def test_link_local_addresses_are_closed(pair, lan):
    assert connect(pair[0], lan.address, 80) == f"198.18.{lan.number}.1"
    assert connect(pair[0], lan.link_local, 80).startswith("no:")


@pytest.mark.parametrize("address", ["100.100.100.200", "168.63.129.16", "192.0.0.192"])
def test_other_addresses_of_metadata_are_closed_but_for_names(pair, lan, address):
    """Some clouds have their name server there."""
    with lan.routed(f"{address}/32"):
        with socket.create_connection((address, 80), timeout=10) as host:
            assert host.recv(100).decode() == f"198.18.{lan.number}.1"
        assert connect(pair[0], address, 80).startswith("no:")
        assert connect(pair[0], address, 53) == f"198.18.{lan.number}.1"


def test_services_of_the_host_are_closed(pair):
    _, host = own(pair[0])
    with listening(socket.AF_INET, "0.0.0.0") as port:
        assert connect(pair[0], host, port).startswith("no:")
    with listening(socket.AF_INET, host) as port:
        assert connect(pair[0], host, port).startswith("no:")
    # What it needs of the host is there.
    assert "1 received" in root(pair[0], f"ping -c 1 -W 2 {host} || true")


def test_the_host_is_not_reached_by_ipv6(pair, site):
    root(pair[0], "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
    found = json.loads(sh("ip", "-json", "-6", "address", "show", "dev", site.layout.bridge))
    told = [each["local"] for every in found for each in every.get("addr_info", [])]
    with listening(socket.AF_INET6, "::") as port:
        for address in told:
            assert connect(pair[0], f"{address}%eth0", port).startswith("no:")
    assert told == []


def test_ipv6_works_inside(pair):
    serve = "import socket; s = socket.create_server(('::1', 0), family=socket.AF_INET6)"
    assert root(pair[0], f'python3 -c "{serve}; print(s.getsockname()[0])"') == "::1"


SEND = """
import socket, sys
target = (sys.argv[2], int(sys.argv[3]))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.bind((sys.argv[1], 0))
    sender.sendto(sys.argv[4].encode(), target)
"""


def test_only_its_own_source_leaves(pair, lan):
    """Not another box's address, nor one outside of the pool."""
    space, victim = pair[0], own(pair[1])[0]
    for source in (victim, "203.0.113.77"):
        root(space, f"ip address add {source}/32 dev lo")
        space.run("python3", "-c", SEND, source, lan.address, "7", f"spoofed-{source}")
        root(space, f"ip address delete {source}/32 dev lo")
    space.run("python3", "-c", SEND, own(space)[0], lan.address, "7", "own")
    assert lan.heard() == [f"198.18.{lan.number}.1", "own"]


#: Says to everybody on the link that an address is at the box's own MAC (RFC 5227).
ANNOUNCE = """
import fcntl, socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
    link.bind(("eth0", 0x0806))
    mac, address = link.getsockname()[4], socket.inet_aton(sys.argv[1])
    for operation in (b"\\0\\1", b"\\0\\2"):
        body = b"\\0\\1\\x08\\0\\6\\4" + operation + mac + address + b"\\xff" * 6 + address
        link.send(b"\\xff" * 6 + mac + b"\\x08\\6" + body)
"""


@pytest.mark.parametrize("kind", ["address", "address and MAC", "ARP only"])
def test_anothers_address_cannot_be_taken(pair, site, kind):
    """The host goes on talking to its owner."""
    attacker, victim = pair
    mine, host = own(attacker)
    stolen, _ = own(victim)

    def inside(script):
        site.docker("exec", "--user", "root", attacker.box, "sh", "-ec", script)

    def owner():
        scan = ["ssh-keyscan", "-t", "ed25519", "-T", "3", stolen]
        done = subprocess.run(scan, capture_output=True, text=True, check=False)
        return done.stdout.partition(" ")[2].strip()

    def configure(address, mac):
        inside(
            f"ip link set eth0 address {mac}; ip address flush dev eth0;"
            f"ip address add {address}/21 dev eth0; ip route replace default via {host}"
        )

    def mac_of(space):
        return space.inspect()["NetworkSettings"]["MacAddress"]

    key = " ".join(victim.host_key().split()[:2])
    before = mac_of(attacker)
    try:
        if kind != "ARP only":
            configure(stolen, mac_of(victim) if "MAC" in kind else before)
        inside(f"python3 -c '{ANNOUNCE}' {stolen}; ping -c 1 -W 1 {host} || true")
        assert owner() == key
    finally:
        configure(mine, before)
    assert attacker.sh("echo here") == "here"


FLOOD = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    for number in range(30000):
        try:
            one.sendto(b"x", (sys.argv[1], 1024 + number))
        except OSError:
            pass
"""


def test_connections_of_a_box_are_bounded(site, pair, lan):
    """The machine has one table of them: another box and the host still connect."""

    def made(space):
        def held():
            with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
                return int(file.read())

        before = held()
        space.run("python3", "-c", FLOOD, lan.address)
        return held() - before

    assert made(pair[0]) < 12000
    assert connect(pair[1], lan.address, 80) == f"198.18.{lan.number}.1"
    # It is our rule that bounds them.
    with site.without("counted"):
        assert made(pair[1]) > 20000
    assert made(pair[1]) < 12000


NESTED = r"""
set -e
for name in one two; do docker network create $name >&2; done
docker network inspect --format '{{(index .IPAM.Config 0).Subnet}}' bridge one two
tar -ch /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*') 2>/dev/null | docker import - bash >&2
for network in bridge one; do
    for address in "$@"; do
        timeout 10 docker run --rm --network $network bash /bin/bash -c \
            'exec 3<>/dev/tcp/'$address'/80; read -r line <&3; echo "$line"'
    done
done
"""


def test_docker_inside_hides_no_network_of_the_host(make_space, lan):
    """Neither what Docker takes by itself nor where its networks are taken from."""
    number = lan.number
    networks = f"172.17.{number}.0/24", f"172.18.{number}.0/24", f"10.213.{number % 32}.0/24"
    reached = [each.partition("/")[0] for each in networks]
    with lan.routed(*networks):
        space = make_space()
        seen = [connect(space, address, 80) for address in reached]
        said = space.run("sudo", "bash", "-c", NESTED, "bash", *reached).stdout.decode().split()
    own, answers = [ipaddress.ip_network(each) for each in said[:3]], said[3:]
    assert [
        str(each) for each in own for one in networks if each.overlaps(ipaddress.ip_network(one))
    ] == []
    assert seen + answers == [f"198.18.{number}.1"] * 9


OWN = r"""
set -e
echo '{"default-address-pools": ["theirs"], "debug": true}' >/etc/docker/daemon.json
echo '{"default-address-pools": ["ours"]}' >/etc/containai/docker-pools.json
/usr/local/lib/containai/init
cat /etc/docker/daemon.json
"""


def test_docker_inside_keeps_the_pools_that_its_image_says(make_space):
    space = make_space()
    first = json.loads(root(space, "cat /etc/docker/daemon.json"))
    assert [pool["size"] for pool in first["default-address-pools"]] == [24]
    assert first["storage-driver"] == "overlay2"
    root(space, "test ! -e /etc/containai/docker-pools.json")
    assert json.loads(root(space, OWN)) == {"default-address-pools": ["theirs"], "debug": True}


def test_the_hosts_end_of_a_port_has_no_ipv6(site, shared):
    shared.run("true")
    ports = os.listdir(f"/sys/class/net/{site.layout.bridge}/brif")
    assert ports
    for port in ports:
        with open(f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6", encoding="ascii") as file:
            assert file.read() == "1\n"


def test_a_new_port_does_not_change_whom_boxes_speak_to(site, shared):
    # Else a bridge takes the lowest MAC of its ports, and boxes that know the old one send to
    # nobody until they ask again.
    bridge, low = site.layout.bridge, "02:00:00:00:00:01"
    ping = ["ping", "-c", "1", "-W", "2", configuration.network(site.layout).host]
    shared.run("true")
    before = mac(bridge)
    sh("ip", "link", "add", "caitlow", "address", low, "type", "veth", "peer", "name", "caitlow1")
    try:
        sh("ip", "link", "set", "caitlow", "master", bridge, "up")
        assert mac(bridge) == before != low
        assert site.docker("exec", shared.box, *ping)
    finally:
        sh("ip", "link", "delete", "caitlow")


def mac(link):
    with open(f"/sys/class/net/{link}/address", encoding="ascii") as file:
        return file.read().strip()
