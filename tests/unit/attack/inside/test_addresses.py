"""What answers on the network."""

import socket

from containai.attack.inside import addresses
from containai.attack.probe import found


def test_what_the_user_opened_is_no_finding(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(addresses, "_uplink", lambda: ("lo", "127.0.0.1"))
        monkeypatch.setattr(addresses, "SERVICE_PORTS", (port,))
        assert addresses.host_services() == found(f"127.0.0.1:{port} answers")
        monkeypatch.setattr(addresses, "HOST_PORTS", {port})
        assert addresses.host_services().found is False


def icmpv6(kind, target=bytes(16)):
    return bytes(20) + bytes([addresses.ICMPV6]) + bytes(33) + bytes([kind]) + bytes(7) + target


def test_answers_over_ipv6():
    own = addresses._link_local(bytes.fromhex("02420acb0002"))
    assert socket.inet_ntop(socket.AF_INET6, own) == "fe80::42:aff:fecb:2"
    assert addresses._is_answer(icmpv6(addresses.ECHO_REPLY), own)
    assert addresses._is_answer(icmpv6(addresses.ROUTER_ADVERTISEMENT), own)
    assert addresses._is_answer(icmpv6(addresses.NEIGHBOR_SOLICITATION, own), own)
    # The host's end of the link looks whether its own address is free, and for routers.
    assert not addresses._is_answer(icmpv6(addresses.NEIGHBOR_SOLICITATION), own)
    assert not addresses._is_answer(icmpv6(133), own)
    assert not addresses._is_answer(b"", own)
