"""The machine: versions of the engine's programs, files, pinned ports."""

import pytest

from containai.attack import report
from containai.attack.outside import machine
from containai.attack.probe import Unverified
from harness.attack_facts import BOX_MAP, known, process


@pytest.mark.parametrize(
    ("text", "cve", "root_outside", "bad"),
    [
        ("runc version 1.0.0-rc6", "CVE-2019-5736", False, True),
        ("runc version 1.0.0-rc7", "CVE-2019-5736", True, False),
        ("runc version 1.0.0-rc94", "CVE-2021-30465", False, True),
        ("runc version 1.0.0~rc95", "CVE-2021-30465", False, False),
        ("runc version 1.0.0", "CVE-2021-30465", False, False),
        ("runc version 1.1.11", "CVE-2024-21626", False, True),
        ("runc version 1.1.12", "CVE-2024-21626", False, False),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+b1", "CVE-2024-21626", False, True),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1", "CVE-2024-21626", False, False),
        ("runc version 1.2.7", "CVE-2025-31133", True, True),
        ("runc version 1.2.7", "CVE-2025-31133", False, False),
        ("runc version 1.2.8", "CVE-2025-52565", True, False),
        ("runc version 1.3.2", "CVE-2025-52881", True, True),
        ("runc version 1.3.3", "CVE-2025-52881", True, False),
        ("runc version 1.4.0-rc.2", "CVE-2025-52881", True, True),
        ("runc version 1.4.0-rc.3", "CVE-2025-52881", True, False),
        ("runc version 1.5.0", "CVE-2025-52881", True, False),
    ],
)
def test_runc_versions(text, cve, root_outside, bad):
    chosen = next(each for each in report.OUTSIDE if each.name == cve.lower())
    box = process([[0, 0, 4294967295]] if root_outside else BOX_MAP)
    assert chosen.check(known(runc=text, box=box)).found is bad


def test_runc_that_does_not_say_is_not_fine():
    with pytest.raises(Unverified):
        machine.runc_version("crun 1.8")


def test_files_that_others_write():
    own = {"path": "/x", "uid": 0, "mode": 0o100755}
    assert machine.runtime_files(known(files=[own])).found is False
    for changed in ({"uid": 1000}, {"mode": 0o100775}, {"mode": 0o040777}):
        assert machine.runtime_files(known(files=[own | changed])).found is True
    assert machine.runtime_files(known(files=[own | {"mode": 0o041777}])).found is False


PIN = ["veth1", "02:42:0a:cb:00:02", "10.203.0.2"]


@pytest.mark.parametrize(
    ("ports", "pins", "bad"),
    [
        ({"veth1": True}, [PIN], False),
        ({"veth1": True, "veth2": False}, [PIN], False),
        ({"veth1": False}, [PIN], True),
        ({"veth1": True}, [], True),
        ({"veth1": True}, [[*PIN[:2], "10.203.0.3"]], True),
        # Of a port that has gone, and another box has its address now.
        ({"veth2": True}, [PIN], True),
    ],
)
def test_a_pinned_port(ports, pins, bad):
    networks = {"bridge": {"MacAddress": PIN[1], "IPAddress": PIN[2]}}
    made = {"NetworkSettings": {"Networks": networks}}
    assert machine.pinned_port(known(container=made, ports=ports, pins=pins)).found is bad


@pytest.mark.parametrize(("network", "bad"), [("none", False), ("host", True)])
def test_without_an_address_nothing_is_pinned(network, bad):
    networks = {network: {"MacAddress": "", "IPAddress": ""}}
    made = {"NetworkSettings": {"Networks": networks}}
    assert machine.pinned_port(known(container=made)).found is bad
