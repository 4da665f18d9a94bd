import os

import pytest

from containai.errors import ContainAIError
from containai.host import names
from containai.provision.steps.uplink import Answers, Firewall, NameServers, Told, Uplink
from containai.work.actions import State

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def row(link, destination="00000000", metric=0, mask="00000000"):
    return f"{link}\t{destination}\t010200C0\t0003\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_the_way_out(host, tmp_path):
    routes, links = str(tmp_path / "route"), str(tmp_path / "net")
    step = Uplink(routes, links)
    write(routes, HEAD + row("cai0", "00C04D0A", mask="00F8FFFF"))
    found = step.check(host)
    assert (found.ok, found.optional) == (False, True)
    write(routes, HEAD + row("eth0", metric=100) + row("wg0", metric=50))
    write(f"{links}/wg0/mtu", "1420\n")
    assert step.check(host).seen == "wg0, MTU 1420"
    write(f"{links}/{host.layout.bridge}/mtu", "1500\n")
    assert step.check(host).seen == "wg0, MTU 1420, to which connections of boxes (1500) are held"
    write(f"{links}/wg0/mtu", "1500\n")
    assert step.check(host).seen == "wg0, MTU 1500"


def test_name_servers(host):
    path = os.path.join(host.layout.root, "etc/resolv.conf")
    write(path, "# nameserver 1.2.3.4\nsearch example\nnameserver 5.6.7.8\nnameserver\n")
    assert NameServers().check(host).seen == "5.6.7.8"
    write(path, "search example\n")
    found = NameServers().check(host)
    assert (found.ok, "nameserver" in found.hint) == (False, True)


@pytest.mark.parametrize(
    ("silent", "state"),
    [([], State.OK), (["1.1.1.1"], State.NONE), (["1.1.1.1", "9.9.9.9"], State.WRONG)],
)
def test_name_servers_that_do_not_answer(host, monkeypatch, silent, state):
    write(host.layout.host_resolver, "nameserver 1.1.1.1\nnameserver 9.9.9.9\n")
    asked = []

    def ask(servers, patience):
        asked.extend(servers)
        return silent

    monkeypatch.setattr(names, "silent", ask)
    found = Answers().check(host)
    assert found.state is state
    assert all(server in found.seen for server in silent)
    assert asked == ["1.1.1.1", "9.9.9.9"]


def test_firewalls_are_named(host, tmp_path):
    step = Firewall(str(tmp_path), str(tmp_path / "none"))
    assert step.check(host).seen == "neither ufw nor firewalld"
    write(str(tmp_path / "etc/ufw/ufw.conf"), "# ENABLED=yes\nENABLED=no\n")
    assert step.check(host).seen == "neither ufw nor firewalld"
    write(str(tmp_path / "etc/ufw/ufw.conf"), "LOGLEVEL=low\nENABLED=yes\n")
    os.makedirs(tmp_path / "run/firewalld")
    assert step.check(host).seen == "ufw, firewalld"


def test_rules_in_the_half_of_iptables_that_nobody_asks(host, tmp_path):
    tables = str(tmp_path / "tables")
    step = Firewall(str(tmp_path), tables)
    write(tables)
    assert step.check(host).ok
    host.answer("cat", tables, out="nat\nfilter\n")
    host.answer("iptables", "--version", out="iptables v1.8.9 (nf_tables)\n")
    found = step.check(host)
    assert (found.ok, found.optional) == (False, True)
    host.answer("iptables", "--version", out="iptables v1.8.9 (legacy)\n")
    assert step.check(host).ok


def test_what_the_network_asks_of_programs(host, monkeypatch):
    assert Told().check(host).seen == "0 of this machine's own; proxies: none"

    def damaged(self):
        raise ContainAIError("ca.crt is no certificate")

    monkeypatch.setattr(type(host), "surroundings", property(damaged), raising=False)
    with pytest.raises(ContainAIError, match="no certificate"):
        Told().check(host)
