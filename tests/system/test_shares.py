"""A box has its share of what the host keeps for all of them; without the rule it has all of it."""

import contextlib
import re
import subprocess

from containai.engine import configuration
from containai.engine import network as networks

#: The first fragments of packets that never come whole; as frames, since the box's own network
#: would wait for the rest.
FRAGMENTS = """
import fcntl, socket, struct, sys
with open("/proc/net/arp") as file:
    host = next(line.split() for line in file if line.startswith(sys.argv[1] + " "))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
    link.bind(("eth0", 0x0800))
    own = fcntl.ioctl(link, 0x8915, struct.pack("256s", b"eth0"))[20:24]  # SIOCGIFADDR
    ends = bytes.fromhex(host[3].replace(":", "")) + link.getsockname()[4]
    for number in range(1, 1001):
        words = [0x45, 0, 84, number, 0x2000, 64, socket.IPPROTO_UDP, 0]
        words += [own, socket.inet_aton(sys.argv[1])]
        header = struct.pack("!BBHHHBBH4s4s", *words)
        total = sum(struct.unpack("!10H", header))
        words[7] = ~((total & 0xffff) + (total >> 16)) & 0xffff
        link.send(ends + b"\\x08\\0" + struct.pack("!BBHHHBBH4s4s", *words) + bytes(64))
"""
#: Questions for the address of a name that it knows (RFC 1035, 4.1).
QUESTIONS = """
import socket, sys
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[2].split("."))
question = bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + name + bytes([0, 0, 1, 0, 1])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    for _ in range(5000):
        asking.sendto(question, (sys.argv[1], 53))
"""
STREAMS = """
import contextlib, socket, sys
held = []
for _ in range(20):
    with contextlib.suppress(OSError):
        held.append(socket.create_connection((sys.argv[1], 53), timeout=5))
print(len(held))
"""


def nft(*words):
    return subprocess.run(["nft", *words], check=True, capture_output=True, text=True).stdout


def from_root(space, script):
    gateway = space.inspect()["NetworkSettings"]["Gateway"]
    words = ("sudo", "python3", "-c", script, gateway, networks.HOST_NAME)
    return space.run(*words).stdout.decode().strip()


def test_fragments_of_a_box_are_bounded(site, shared):
    """The kernel has 4 MiB for those of the whole machine."""

    def kept():
        def held():
            with open("/proc/net/sockstat", encoding="ascii") as file:
                return int(re.findall(r"FRAG: inuse (\d+)", file.read())[0])

        before = held()
        from_root(shared, FRAGMENTS)
        return held() - before

    shared.run("true")
    assert kept() < 500
    with site.without("fragments"):
        assert kept() > 800


@contextlib.contextmanager
def seen(site):
    """Yield what says how many questions of boxes have come through to the resolver."""
    table = f"{site.layout.bridge}-seen"
    match = f'iifname "{site.layout.bridge}" udp dport {networks.RESOLVER_PORT} counter'
    nft(f"table ip {table} {{ chain seen {{ type filter hook input priority 10; {match}; }}; }}")
    try:
        yield lambda: int(re.findall(r"packets (\d+)", nft("list", "table", "ip", table))[0])
    finally:
        nft("delete", "table", "ip", table)


def test_questions_of_a_box_are_bounded(site, shared):
    shared.run("true")
    with seen(site) as come:
        from_root(shared, QUESTIONS)
        assert 100 < come() < 3000
    with site.without("input"), seen(site) as come:
        from_root(shared, QUESTIONS)
        assert come() > 4000


def test_streams_to_the_resolver_are_bounded(site, shared):
    shared.run("true")
    assert 0 < int(from_root(shared, STREAMS)) <= 8
    with site.without("input"):
        assert int(from_root(shared, STREAMS)) == 20


def test_setup_puts_its_own_rules_in_place_of_another_versions(site, tmp_path):
    network = configuration.network(site.layout)
    assert network is not None
    other = tmp_path / "network"
    without = [line for line in networks.script().splitlines() if "@queries" not in line]
    other.write_text("\n".join(without) + "\n", encoding="utf-8")
    _, *words = networks.argv(site.layout, network, "up")
    subprocess.run(["sh", str(other), *words], check=True)

    def rules():
        return nft("list", "chain", "ip", site.layout.bridge, "input")

    assert "@queries" not in rules()
    assert site.cai("doctor", check=False).returncode == 1
    site.cai("setup", "--yes")
    assert "@queries" in rules()
    site.cai("doctor")
