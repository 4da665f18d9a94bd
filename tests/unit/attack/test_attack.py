"""The escape self-test where it is pure: tables, decisions, and what a hostile box may answer."""

import errno
import gzip
import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from containai.attack import facts, report, send
from containai.attack.design import BY_DESIGN
from containai.attack.inside import addresses, cgroups, ids, look
from containai.attack.outside import container, isolation, kernel, machine
from containai.attack.probe import Probe, Seen, Unverified, fine, found, verdict
from containai.attack.send import Answer
from containai.errors import SelfTestError
from harness import attack_cases

#: Facts, where none are looked at.
UNUSED: Any = None

NAMES = [probe.name for probe in report.probes()]


def test_every_probe_has_a_case_where_it_bites():
    assert set(attack_cases.CASES) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    for cases in attack_cases.CASES.values():
        assert cases
        assert set(cases) <= set(attack_cases.WEAKENED)


def test_every_module_of_probes_is_run():
    top = os.path.dirname(os.path.abspath(report.__file__))
    files = {
        name.removesuffix(".py")
        for part in ("inside", "outside")
        for name in os.listdir(os.path.join(top, part))
        if name.endswith(".py")
    }
    assert {each.__name__.rpartition(".")[2] for each in report.MODULES} == files - {
        "__init__",
        "look",
        "run",
    }


@pytest.mark.parametrize("probe", report.probes(), ids=NAMES)
def test_probe_says_what_it_is(probe):
    for text in (probe.stands_for, probe.looks_at, probe.remedy):
        assert text
        assert "|" not in text
    assert send.shown(probe.stands_for) == probe.stands_for


def test_documentation_is_of_these_probes():
    with open(attack_cases.DOCUMENT, encoding="utf-8") as page:
        assert page.read() == attack_cases.document(), "run: python tests/attack_cases.py"


def test_scenarios_holes_and_designs_name_probes_that_exist():
    named = [*attack_cases.SCENARIOS.values(), *attack_cases.HOLES.values()]
    named += [each.relies_on for each in BY_DESIGN]
    assert {name for names in named for name in names} <= set(NAMES)
    assert len(attack_cases.SCENARIOS) == 18
    for hole, names in attack_cases.HOLES.items():
        probes = [probe for probe in report.probes() if probe.name in names]
        assert any(hole in probe.stands_for or hole.lower() == probe.name for probe in probes)


def test_benchmark_is_covered_without_a_gap():
    text = " ".join(
        [*(probe.stands_for for probe in report.probes()), *(each.check for each in BY_DESIGN)]
    )
    for number in range(1, 33):
        assert any(f"5.{number}{end}" in text + " " for end in ",; :"), f"CIS 5.{number}"


def test_program_needs_nothing_of_the_box_but_python():
    program = send.program()
    last = 'sys.modules["containai.attack.inside.run"].main()'
    assert program.count(last) == 1
    counting = 'print(len(sys.modules["containai.attack.probe"].INSIDE))'
    done = subprocess.run(
        [sys.executable, "-IS", "-"],
        input=program.replace(last, counting),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout == f"{len(report.INSIDE)}\n"


def test_probes_know_which_ports_are_open():
    program = send.program("tcp 5432\nudp 53\ntcp 8080\n")
    last = 'sys.modules["containai.attack.inside.run"].main()'
    told = 'print(sorted(sys.modules["containai.attack.inside.addresses"].HOST_PORTS))'
    argv = [sys.executable, "-IS", "-"]
    done = subprocess.run(
        argv, input=program.replace(last, told), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[5432, 8080]\n"


def test_what_the_user_opened_is_no_finding(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(addresses, "_uplink", lambda: ("lo", "127.0.0.1"))
        monkeypatch.setattr(addresses, "SERVICE_PORTS", (port,))
        assert addresses.host_services() == found(f"127.0.0.1:{port} answers")
        monkeypatch.setattr(addresses, "HOST_PORTS", {port})
        assert addresses.host_services().found is False


GOOD = {"probe": "seccomp", "status": "ok", "seen": "filtered"}


def test_answers_are_read():
    text = json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"status": "found"}) + "\n"
    assert send.parsed(text) == [
        Answer("seccomp", "ok", "filtered"),
        Answer("seccomp", "found", "filtered"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "",
        "[" * 100_000,
        "[]",
        "null",
        json.dumps(GOOD | {"status": "fine"}),
        json.dumps(GOOD | {"seen": 1}),
        json.dumps(GOOD | {"more": ""}),
        json.dumps({"probe": "seccomp", "status": "ok"}),
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(SelfTestError, match="no probe's"):
        send.parsed(json.dumps(GOOD) + "\n" + line + "\n")


def test_text_of_a_box_cannot_steer_the_terminal():
    assert send.shown("a\x1b]0;x\x07\nb\u202e") == "a?]0;x??b?"
    assert len(send.shown("x" * 9999)) == send.TEXT_LIMIT


def probe(name, check=lambda: fine("")):
    return Probe(name, "x", "x", "x", check)


@pytest.fixture
def one_probe(monkeypatch):
    monkeypatch.setattr(report, "INSIDE", [probe("one")])
    monkeypatch.setattr(report, "OUTSIDE", [])


@pytest.mark.parametrize(
    ("answers", "status", "way"),
    [
        ({"root": ["ok"], "agent": ["ok"]}, "ok", "root"),
        ({"root": ["ok"], "agent": ["found"]}, "found", "agent"),
        ({"root": ["unverified"], "agent": ["found"]}, "found", "agent"),
        ({"root": ["ok"], "agent": []}, "unverified", "agent"),
        ({"root": ["ok", "ok"], "agent": ["ok"]}, "unverified", "root"),
    ],
)
def test_worst_answer_counts(one_probe, answers, status, way):
    ways = {
        name: lambda said=said: [Answer("one", each, "x") for each in said]
        for name, said in answers.items()
    }
    (row,) = report.run(ways, UNUSED)
    assert (row.status, row.way) == (status, way)


def test_probe_on_the_host_that_cannot_look_is_not_fine(monkeypatch):
    def cannot(facts):
        raise Unverified("hidden")

    monkeypatch.setattr(report, "OUTSIDE", [probe("one", cannot)])
    (row,) = report.from_host(UNUSED)
    assert (row.status, row.seen) == ("unverified", "hidden")


def test_verdict_shows_the_first_of_many():
    assert verdict([], "none") == fine("none")
    assert verdict(list("abcdef"), "none") == found("a, b, c, d and 2 more")


# The kernel.

TRIXIE = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)"


HOLES = {each.name: each for each in kernel.HOLES}


@pytest.mark.parametrize(
    ("hole", "release", "version", "bad"),
    [
        ("dirty-cow", "4.4.25", "", True),
        ("dirty-cow", "4.4.26", "", False),
        ("dirty-cow", "4.8.2", "", True),
        ("dirty-cow", "4.9.0", "", False),
        ("dirty-pipe", "5.7.19", "", False),
        ("dirty-pipe", "5.8.1", "", True),
        ("dirty-pipe", "5.15.24", "", True),
        ("dirty-pipe", "5.15.25", "", False),
        ("dirty-pipe", "5.10.0-11-amd64", "#1 SMP Debian 5.10.92-1 (2022-01-18)", True),
        ("dirty-pipe", "5.10.0-12-amd64", "#1 SMP Debian 5.10.103-1 (2022-03-07)", False),
        ("packet-socket", "6.12.41+deb13-amd64", "", True),
        ("packet-socket", "6.12.48+deb13-amd64", TRIXIE, False),
        ("packet-socket", "6.18.44-fc-v782", "#1 SMP @0", False),
        ("nf-tables", "6.1.75", "", True),
        ("nf-tables", "6.8.0-31-generic", "#31-Ubuntu SMP", False),
        ("dirty-frag", "6.12.86", "", True),
        ("dirty-frag", "6.19.14", "", True),
        ("dirty-frag", "6.18.44-fc-v782", "#1 SMP @0", False),
    ],
)
def test_kernel_versions(hole, release, version, bad):
    assert kernel.judged(HOLES[hole], release, version, "").found is bad


@pytest.mark.parametrize("release", ["6.1.0-31-generic", "5.14.0-427.el9.x86_64", "unknown"])
def test_kernel_that_does_not_say_is_not_fine(release):
    with pytest.raises(Unverified):
        kernel.judged(HOLES["nf-tables"], release, "#31-Ubuntu SMP", "CVE-2024-10860")


def test_kernel_whose_distribution_says_it_is_mended(tmp_path):
    release = "6.1.0-31-generic"
    directory = tmp_path / f"linux-modules-{release}"
    directory.mkdir()
    with gzip.open(directory / "changelog.Debian.gz", "wt") as file:
        file.write("linux (6.1.0-31.31)\n\n  * CVE-2024-1086\n    - netfilter: nf_tables: x\n")
    text = facts.changelog(release, str(tmp_path))
    assert kernel.judged(HOLES["nf-tables"], release, "#31-Ubuntu SMP", text).found is False
    assert facts.changelog("other", str(tmp_path)) == ""


# Powers.


@pytest.mark.parametrize(
    ("on_host", "held", "answers", "bad"),
    [
        (True, 1 << 16, {}, True),
        (True, 1 << 17, {}, False),
        (False, 1 << 16, {}, False),
        (False, 0, {"init_module": errno.ENOEXEC}, True),
        (False, 0, {"init_module": 0}, True),
        (False, 0, {"init_module": errno.EPERM, "finit_module": errno.ENOSYS}, False),
        (False, 0, {"init_module": -1}, False),
    ],
)
def test_powers(on_host, held, answers, bad):
    assert ids.judged(16, on_host=on_host, held=held, answers=answers).found is bad


def test_child_that_fails_is_not_fine():
    def killed():
        os.kill(os.getpid(), 9)

    assert look.in_child(lambda: "said") == "said"
    assert look.in_child(killed) == "killed by SIGKILL"
    with pytest.raises(Unverified):
        look.in_child(lambda: str(1 / 0))


def test_mountinfo_is_read():
    line = r"36 35 8:1 /a\040b /mnt\0402 ro,noatime shared:7 master:1 - ext4 /dev/sda1 rw,errors=x"
    (mount,) = look.mounts(line)
    assert (mount.id, mount.root, mount.point, mount.kind) == (36, "/a b", "/mnt 2", "ext4")
    assert (mount.options, mount.peers) == (frozenset({"ro", "noatime"}), ("shared:7", "master:1"))


@pytest.mark.parametrize(
    ("cgroup", "bad"),
    [
        ("0::/init.scope\n", False),
        ("2:cpu:/\n0::/\n", False),
        ("0::/system.slice/docker-0123.scope\n", True),
        ("4:memory:/docker/0123\n", True),
        ("0::/../other\n", True),
    ],
)
def test_cgroup_tree(monkeypatch, cgroup, bad):
    monkeypatch.setattr(look, "own_mounts", list)
    monkeypatch.setattr(look, "read", lambda path: cgroup)
    assert cgroups.cgroup_tree().found is bad


# The host's side.

BOX_MAP = [[0, 1879048192, 262144]]


def process(uid_map=BOX_MAP, **kinds):
    names = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    return facts.Process(
        namespaces={each: f"{each}:[2]" for each in names} | kinds,
        uid_map=uid_map,
        gid_map=uid_map,
        status={"CapEff": "1ff", "CapBnd": "1ff", "Seccomp": "2"},
        mounts=[],
        maker=uid_map[0][1],
    )


def known(**changed):
    values = {
        "container": {},
        "box": process(),
        "hosts": [process([[0, 0, 4294967295]], user="user:[1]")],
        "members": [],
        "others": [],
        "route_localnet": {},
        "bridges": [],
        "ports": {},
        "pins": [],
        "files": [],
        "stored": (2146959360, 262144),
        "taken": [(0, 1), (1000, 1), (100000, 65536)],
        "runc": "",
        "engine": "20.10.24",
        "swarm": "inactive",
        "engine_data": "/var/lib/containai-docker",
        "kernel": ("6.12.48", "", ""),
    }
    return facts.Facts(**values | changed)


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


def test_ids_of_other_boxes():
    assert isolation.ids_of_others(known(others=[[[0, 1879310336, 262144]]])).found is False
    assert isolation.ids_of_others(known(others=[[[0, 1879310335, 262144]]])).found is True
    # One with the host's ids is not the box's fault; its own probe finds it.
    assert isolation.ids_of_others(known(others=[[[0, 0, 4294967295]]])).found is False


def member(**changed):
    return {"name": "sh", "user": "user:[2]", "seccomp": "2", "uid": "1879048192"} | changed


@pytest.mark.parametrize(
    ("changed", "bad"),
    [
        ({}, False),
        ({"uid": "1879048191"}, True),
        ({"user": "user:[1]"}, True),
        ({"user": "user:[3]"}, False),
        ({"seccomp": "0"}, True),
    ],
)
def test_processes_of_a_box(changed, bad):
    assert isolation.every_process(known(members=[member(), member(**changed)])).found is bad


def test_box_without_a_process_is_not_fine():
    with pytest.raises(Unverified):
        isolation.every_process(known())


def test_name_of_a_process_cannot_steer_the_terminal():
    seen = isolation.every_process(known(members=[member(name="\x1b[2J", seccomp="0")]))
    assert seen.text.startswith("?[2J")


HOST_MOUNTS = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /dev rw - devtmpfs none rw\n"


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("30 1 8:1 /home/me/project /home/agent/workspace rw - ext4 /dev/sda1 rw", False),
        ("30 1 8:1 /home/me /mnt rw - ext4 /dev/sda1 rw", True),
        ("30 1 8:1 /var/lib/containai-docker/containers/ID/hosts /etc/hosts rw - ext4 x rw", False),
        ("30 1 8:1 /var/lib/containai-docker/containers/OTHER/hosts /x rw - ext4 x rw", True),
        ("30 1 8:1 /volume/_data /var/lib/docker rw - ext4 x rw", False),
        ("30 1 0:5 /null /dev/null rw - devtmpfs none rw", False),
        ("30 1 0:5 /sda /dev/sda rw - devtmpfs none rw", True),
        ("30 1 0:99 / / rw - overlay overlay rw", False),
    ],
)
def test_paths_of_the_host(line, bad):
    box = process()._replace(mounts=look.mounts(line))
    host = process()._replace(mounts=look.mounts(HOST_MOUNTS))
    made = {
        "Id": "ID",
        # An image's label allows nothing.
        "Config": {"Labels": {"containai.workspace": "/home/me"}},
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": "/home/me/project", "Target": "/home/agent/workspace"}
            ]
        },
        "Mounts": [{"Type": "volume", "Source": "/volume/_data"}],
    }
    assert isolation.host_paths(known(box=box, hosts=[host], container=made)).found is bad


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("/", True),
        ("/var", True),
        ("/etc/ssl", True),
        ("/root", True),
        ("/root/.ssh", True),
        ("/root/project", False),
        ("/home/me/project", False),
    ],
)
def test_sensitive_directories(source, bad):
    made = {"Mounts": [{"Type": "bind", "Source": source}]}
    assert container.sensitive_directories(known(container=made)).found is bad


def test_published_ports():
    def bound(address, port):
        ports = {"22/tcp": [{"HostIp": address, "HostPort": port}]}
        return known(
            container={
                "HostConfig": {"PortBindings": ports},
                "Config": {"Labels": {"containai.ssh-port": "2300"}},
            }
        )

    assert container.published_ports(bound("127.0.0.1", "2300")).found is False
    assert container.published_ports(bound("", "2300")).found is True
    assert container.published_ports(bound("127.0.0.1", "80")).found is True
    assert container.ssh_service(bound("127.0.0.1", "2300")).found is False
    assert container.ssh_service(bound("127.0.0.1", "2301")).found is True


def test_files_that_others_write():
    own = {"path": "/x", "uid": 0, "mode": 0o100755}
    assert machine.runtime_files(known(files=[own])).found is False
    for changed in ({"uid": 1000}, {"mode": 0o100775}, {"mode": 0o040777}):
        assert machine.runtime_files(known(files=[own | changed])).found is True
    assert machine.runtime_files(known(files=[own | {"mode": 0o041777}])).found is False


def test_seen_is_plain():
    assert Seen(found=True, text="x") == found("x")


@pytest.mark.parametrize("limit", [None, 0, -1, 9])
def test_a_limit_on_processes(limit):
    asked = known(container={"HostConfig": {"PidsLimit": limit}})
    assert container.process_limit(asked).found is (limit != 9)


def test_the_kernel_counts_for_who_made_the_namespace():
    assert not isolation.kernel_counts(known()).found
    assert isolation.kernel_counts(known(box=process([[0, 0, 4294967295]]))).found


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


def test_pins_are_read_from_nft():
    def table(ports):
        sets = [{"name": "ports", "elem": ports}, {"name": "boxes", "elem": [{"concat": PIN}]}]
        return json.dumps({"nftables": [{"metainfo": {}}, *({"set": each} for each in sets)]})

    assert facts.pins(table(["veth1"])) == [PIN]
    assert facts.pins(table(["veth2"])) == []
    assert facts.pins('{"nftables": [{"set": {"name": "ports"}}]}') == []


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
