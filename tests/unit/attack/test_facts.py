"""Facts are read from what the host says."""

import json

from containai.attack import facts
from containai.attack.outside import isolation
from harness.attack_facts import known, process


def test_ids_of_the_host():
    assert isolation.host_ids(known()).found is False
    assert isolation.host_ids(known(taken=[(1879048192 + 5, 1)])).found is True
    assert isolation.host_ids(known(taken=[(2146959360 + 262143, 1)])).found is True
    assert isolation.host_ids(known(box=process([[0, 100000, 65536]]))).found is True
    passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n"
    assert facts.taken_ids(passwd, "me:100000:65536\nbroken\n") == [
        (0, 1),
        (1000, 1),
        (100000, 65536),
    ]


PIN = ["veth1", "02:42:0a:cb:00:02", "10.203.0.2"]


def test_pins_are_read_from_nft():
    def table(ports):
        sets = [{"name": "ports", "elem": ports}, {"name": "boxes", "elem": [{"concat": PIN}]}]
        return json.dumps({"nftables": [{"metainfo": {}}, *({"set": each} for each in sets)]})

    assert facts.pins(table(["veth1"])) == [PIN]
    assert facts.pins(table(["veth2"])) == []
    assert facts.pins('{"nftables": [{"set": {"name": "ports"}}]}') == []
