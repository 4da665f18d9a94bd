"""What answers on the network: the host, a cloud's metadata, and whoever speaks IPv6."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from containai.attack.inside import look
from containai.attack.probe import HOST_PORTS, Seen, Unverified, fine, found, inside, verdict

#: Docker, etcd, Kubernetes and kubelet without a socket file.
API_PORTS = (2375, 2376, 2379, 6443, 10250, 10255)
#: What often listens on every address of a machine: files, SSH, mail, the web, shares, printing,
#: proxies, databases, queues, desktops, development servers. Names (port 53) are what boxes need.
# fmt: off
SERVICE_PORTS = (
    21, 22, 23, 25, 80, 111, 139, 443, 445, 631, 1433, 2049, 3000, 3128, 3306, 3389, 5000, 5432,
    5672, 5900, 6379, 8000, 8080, 8443, 8888, 9000, 9090, 9200, 11211, 11434, 27017,
)
# fmt: on
#: Where clouds tell a machine who it is: most of them, Alibaba, Azure's WireServer, Oracle's former
#: one, and Amazon's over IPv6 (each in the provider's documentation of instance metadata).
METADATA = (
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
)
#: An address that belongs to nobody (RFC 5737).
NOWHERE = "203.0.113.9"
TIMEOUT = 0.7
#: Protocol numbers: IPv6 in Ethernet and ICMP in IPv6 (RFC 2464, RFC 4443).
IPV6, ICMPV6 = 0x86DD, 58
#: Kinds of ICMPv6 messages (RFC 4443, RFC 4861).
ECHO_REQUEST, ECHO_REPLY, ROUTER_ADVERTISEMENT, NEIGHBOR_SOLICITATION = 128, 129, 134, 135
#: All nodes of a link (RFC 4291), and their address in Ethernet (RFC 2464).
EVERYBODY, EVERYBODY_MAC = socket.inet_pton(socket.AF_INET6, "ff02::1"), b"\x33\x33\0\0\0\1"


def _uplink() -> tuple[str, str] | None:
    """Return the interface of the default route, and the gateway's address, which is the host."""
    for line in look.read("/proc/net/route").splitlines()[1:]:
        words = line.split()
        if words[1] == "00000000" and words[2] != "00000000":
            return words[0], socket.inet_ntoa(struct.pack("<L", int(words[2], 16)))
    return None


def _at_once(ask: Callable[[str, int], str], targets: Iterable[tuple[str, int]]) -> list[str]:
    """Ask everyone at the same time; return what was answered."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [said for said in pool.map(lambda target: ask(*target), targets) if said]


def _accepts(address: str, port: int) -> str:
    try:
        socket.create_connection((address, port), timeout=TIMEOUT).close()
    except OSError:
        return ""
    return f"{address}:{port} answers"


@inside(
    "engine-ports",
    stands_for="SandboxEscapeBench Docker daemon; CDK docker-api-pwn, K8s API server, kubelet",
    looks_at=f"TCP ports {', '.join(map(str, API_PORTS))} of the gateway, which is the host",
    remedy="let the host's Docker listen on no network; firewall these ports",
)
def engine_ports() -> Seen:
    """The host offers no engine or cluster to its boxes."""
    return _of_the_gateway(API_PORTS)


def _of_the_gateway(ports: Iterable[int]) -> Seen:
    uplink = _uplink()
    if uplink is None:
        return fine("no gateway")
    bad = _at_once(_accepts, [(uplink[1], port) for port in ports])
    return verdict(bad, f"{uplink[1]}: none answers")


@inside(
    "host-services",
    stands_for="services of the host that listen on every address: databases, proxies, shares",
    looks_at=f"TCP ports {', '.join(map(str, SERVICE_PORTS))} of the gateway, which is the host, "
    "but for those that network.host_ports opens",
    remedy="run: cai doctor --fix",
)
def host_services() -> Seen:
    """Of the host's own services a box reaches those that its user opened, and no other."""
    return _of_the_gateway(port for port in SERVICE_PORTS if port not in HOST_PORTS)


@inside(
    "cloud-metadata",
    stands_for="CDK cloud metadata API: credentials of the machine",
    looks_at=f"HEAD / of port 80 of {', '.join(METADATA)} is answered, and not as where nobody is "
    f"({NOWHERE})",
    remedy="run: cai doctor --fix",
)
def cloud_metadata() -> Seen:
    """The cloud's credentials of this machine are out of reach."""
    said = _at_once(_head, [(address, 80) for address in (*METADATA, NOWHERE)])
    # A proxy in front of all that the machine reaches answers for every address.
    nobody = [answer.partition(": ")[2] for answer in said if answer.startswith(NOWHERE)]
    bad = [answer for answer in said if answer.partition(": ")[2] not in nobody]
    if bad:
        return found(", ".join(bad))
    return fine("answer as where nobody is: a proxy" if said else "none answers")


def _head(address: str, port: int) -> str:
    """Return the first line of an HTTP answer, or nothing. `/` of a service has no secrets."""
    host = f"[{address}]" if ":" in address else address
    try:
        with socket.create_connection((address, port), timeout=TIMEOUT) as connection:
            connection.sendall(f"HEAD / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = connection.recv(64)
    except OSError:
        return ""
    line = answer.partition(b"\r")[0].decode(errors="replace")
    return f"{host}: {line}" if line.startswith("HTTP/") else ""


@inside(
    "ipv6-outside",
    stands_for="a way past walls that are made for IPv4: the host's services over link-local IPv6",
    looks_at="an echo request over IPv6 to everybody on the box's link (ff02::1), sent as a frame "
    "of its own so that the box needs no address: no reply, no question for the sender's MAC, and "
    "no router that makes itself known",
    remedy="run: cai doctor --fix, then start it with the runtime cai-runc",
)
def ipv6_outside() -> Seen:
    """Nobody outside speaks IPv6 with the box."""
    uplink = _uplink()
    if uplink is None:
        return fine("no gateway")
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
            link.bind((uplink[0], IPV6))
            return verdict(_heard(link), f"{uplink[0]}: nobody answers")
    except PermissionError:
        return fine("only root sends frames of its own")
    except OSError as why:
        raise Unverified(f"{uplink[0]}: {why}") from None


def _heard(link: socket.socket) -> list[str]:
    """Ask everybody, and return who answered until the time is over."""
    mac = link.getsockname()[4]
    senders = set()
    link.send(_echo_request(mac))
    end = time.monotonic() + 2 * TIMEOUT
    while (left := end - time.monotonic()) > 0:
        link.settimeout(left)
        with contextlib.suppress(TimeoutError):
            frame, (_, _, kind, *_) = link.recvfrom(2048)
            if kind != socket.PACKET_OUTGOING and _is_answer(frame, _link_local(mac)):
                senders.add(socket.inet_ntop(socket.AF_INET6, frame[22:38]))
    return [f"{sender} answers" for sender in sorted(senders)]


def _is_answer(frame: bytes, own: bytes) -> bool:
    """Whether a frame is an echo reply, a question for our MAC, or from a router.

    The host's end of the box's link tells of itself in other messages, and hears nothing.
    """
    if len(frame) < 55 or frame[20] != ICMPV6:
        return False
    if frame[54] == NEIGHBOR_SOLICITATION:
        return frame[62:78] == own
    return frame[54] in (ECHO_REPLY, ROUTER_ADVERTISEMENT)


def _link_local(mac: bytes) -> bytes:
    """Return the address that goes with a MAC (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]


def _echo_request(mac: bytes) -> bytes:
    """Return a frame that asks all nodes of the link, from the link-local address of a MAC."""
    own = _link_local(mac)
    body = struct.pack(">BBHHH", ECHO_REQUEST, 0, 0, 1, 1)
    pseudo = own + EVERYBODY + struct.pack(">II", len(body), ICMPV6)
    total = sum(struct.unpack(f">{len(pseudo + body) // 2}H", pseudo + body))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    body = body[:2] + struct.pack(">H", checksum) + body[4:]
    header = struct.pack(">IHBB", 6 << 28, len(body), ICMPV6, 255)
    return EVERYBODY_MAC + mac + struct.pack(">H", IPV6) + header + own + EVERYBODY + body
