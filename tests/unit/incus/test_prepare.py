"""What prepares a server, run by a shell that has a recording client in the place of Incus."""

import ipaddress
import json
import os
import shutil
import subprocess

import pytest

from containai.attack.inside import addresses
from containai.errors import UsageError
from containai.incus import firewall, hardening, prepare
from containai.incus.prepare import Limits, Wanted

ALICE = Wanted("alice", "team", "cai", "caibr0", "10.77.0.1/24", "30GiB", boxes=20)
#: It notes what it is told, and has what is in the directory `there`: storage-cai for one.
CLIENT = """#!/bin/sh
echo "$*" >>"$STATE/told"
case "$1 $2" in
*" show") [ -e "$STATE/there/$1-$3" ] ;;
*" create") case "$*" in *--target*) ;; *) touch "$STATE/there/$1-$3" ;; esac ;;
"config get") cat "$STATE/there/listens" ;;
"project get") cat "$STATE/limit-$4" 2>/dev/null ;;
"config set") echo "$3" >"$STATE/there/listens" ;;
"profile edit") cat >"$STATE/profile" ;;
"cluster list") cat "$STATE/members" 2>/dev/null ;;
"config trust") case $3 in
    list) cat "$STATE/trusted" ;;
    list-tokens) [ ! -e "$STATE/token" ] || echo "$(cat "$STATE/token"),TOKEN," ;;
    add) echo "$4" >"$STATE/token" && echo TOKEN ;;
    esac ;;
esac
"""


@pytest.fixture
def server(tmp_path):
    """A server that has nothing: a directory of its state, and one of programs."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "listens").touch()
    (tmp_path / "trusted").touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "incus": CLIENT,
        "dpkg-query": (
            "#!/bin/sh\ncase $* in *Version*) echo 6.0.4-2+deb13u12 ;; "
            '*) echo "${INSTALLED:-installed}" ;; esac\n'
        ),
        "nft": '#!/bin/sh\necho "nft $*" >>"$STATE/told"\n',
        "systemctl": '#!/bin/sh\necho "systemctl $*" >>"$STATE/told"\n',
        "apt-get": '#!/bin/sh\necho "apt-get $*" >>"$STATE/told"\n',
        "sysctl": (
            '#!/bin/sh\ncase $1 in --values) cat "$STATE/sysctl-$2" 2>/dev/null || echo 1 ;;\n'
            '*) echo "sysctl $*" >>"$STATE/told"; echo "${3#*=}" >"$STATE/sysctl-${3%=*}" ;; esac\n'
        ),
    }.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    return tmp_path


def prepared(server, wanted=ALICE, **environ):
    """Run it; return what it printed, and what the server was told."""
    (server / "told").write_text("", encoding="utf-8")
    text = prepare.script(wanted)
    for path in (prepare.SYSCTL_FILE, "/etc/containai", "/run/systemd/system", "/etc/systemd"):
        text = text.replace(path, str(server / os.path.basename(path)))
    path = f"{server}/programs:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", text],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": path, "STATE": str(server), **environ},
    )
    return done.stdout, (server / "told").read_text(encoding="utf-8").splitlines()


def changes(told):
    asked = ("show", "get", "list", "list-tokens", "waitready")
    return [line for line in told if not any(word in line.split()[:3] for word in asked)]


def test_a_bare_server_has_all_of_it_and_a_token_is_printed(server):
    out, told = prepared(server)
    assert out == "TOKEN\n"
    assert [line for line in changes(told) if not line.startswith(("sysctl", "nft"))] == [
        "config set core.https_address=:8443",
        "storage create cai btrfs size=30GiB",
        "network create caibr0 --type=bridge "
        "ipv4.address=10.77.0.1/24 ipv4.nat=true ipv6.address=none",
        "project create team --config=features.images=true --config=features.profiles=true "
        "--config=features.storage.volumes=true --config=features.networks=false",
        "project set team restricted=true restricted.containers.nesting=allow "
        "restricted.containers.privilege=isolated restricted.snapshots=allow "
        "restricted.cluster.target=allow restricted.networks.access=caibr0 "
        "limits.instances=20 user.containai.package=6.0.4-2+deb13u12",
        "profile edit default --project team",
        "config trust add alice@team --restricted --projects team -q",
    ]
    profile = json.loads((server / "profile").read_text(encoding="utf-8"))
    assert profile["config"]["security.idmap.isolated"] == "true"
    assert profile["config"]["limits.memory"] == "8GiB"
    assert profile["devices"]["root"] == {"type": "disk", "path": "/", "pool": "cai"}
    assert all(isinstance(value, str) for value in profile["config"].values())
    assert profile["config"].items() > hardening.settings().items()
    assert profile["devices"]["eth0"].items() > hardening.INTERFACE.items()


def test_a_second_time_only_what_is_set_is_set_and_the_token_is_the_same(server):
    prepared(server)
    out, told = prepared(server)
    assert out == "TOKEN\n"
    assert [line.split()[:2] for line in changes(told) if not line.startswith("nft")] == [
        ["project", "set"],
        ["profile", "edit"],
    ]


def test_the_bridge_has_rules_now_and_after_each_boot(server):
    told = changes(prepared(server)[1])
    file = server / "containai" / "boxes-caibr0.nft"
    assert [line for line in told if line.startswith("nft")] == [f"nft --file {file}"]
    assert file.read_text(encoding="utf-8") == firewall.rules("caibr0")
    (server / "system").mkdir()
    (server / "systemd" / "system").mkdir(parents=True)
    unit = "containai-boxes@caibr0.service"
    assert [line for line in changes(prepared(server)[1]) if line.startswith("systemctl")] == [
        "systemctl daemon-reload",
        f"systemctl enable --quiet {unit}",
        f"systemctl restart {unit}",
    ]
    there = server / "systemd" / "system" / "containai-boxes@.service"
    assert f"nft --file {server}/containai/boxes-%i.nft" in there.read_text(encoding="utf-8")


def test_boxes_reach_names_and_addresses_of_the_server_and_no_other_port():
    lines = [line.strip() for line in firewall.rules("br0").splitlines()]
    own = [line for line in lines if line.startswith("iifname")]
    assert all(line.startswith('iifname "br0" ') for line in own)
    ports = [line for line in own if "dport" in line]
    assert ports == [
        'iifname "br0" udp dport { 53, 67 } accept',
        'iifname "br0" tcp dport 53 accept',
    ]
    assert own[own.index(ports[-1]) + 1] == 'iifname "br0" reject'
    inside = {each for each in addresses.METADATA if ":" not in each}
    closed = [ipaddress.ip_network(each) for each in firewall.IDENTITY]
    assert all(any(ipaddress.ip_address(each) in net for net in closed) for each in inside)


def test_no_frame_of_another_kind_passes_the_bridge_and_no_box_needs_br_netfilter():
    table = firewall.rules("br0").partition("table bridge ")[2]
    assert 'meta ibrname "br0" ether type != { ip, arp } drop' in table
    # Incus drops IPv6 by itself only with that module, and starts no box without (nic_bridged.go).
    assert "security.ipv6_filtering" not in hardening.INTERFACE


def test_a_limit_that_is_no_more_is_taken_away_and_no_other_is_touched(server):
    (server / "limit-limits.disk").write_text("1TiB", encoding="utf-8")
    (server / "limit-limits.instances").write_text("5", encoding="utf-8")
    told = changes(prepared(server)[1])
    assert [line for line in told if " unset " in line] == ["project unset team limits.disk"]
    assert not any(line.endswith("=") for line in " ".join(told).split())


def test_who_is_trusted_gets_no_token(server):
    (server / "trusted").write_text("alice@team\n", encoding="utf-8")
    out, told = prepared(server)
    assert (out, any(" add " in line for line in told)) == ("", False)
    # Another project's, or another's of that name, is another one.
    (server / "trusted").write_text("alice@other\nalice@team2\nmalice@team\n", encoding="utf-8")
    assert prepared(server)[0] == "TOKEN\n"


def test_another_user_gets_a_token_of_their_own(server):
    (server / "token").write_text("bob@team", encoding="utf-8")
    assert "config trust add alice@team --restricted --projects team -q" in prepared(server)[1]


def test_of_a_cluster_each_member_is_said_first(server):
    (server / "members").write_text("one\ntwo\n", encoding="utf-8")
    told = changes(prepared(server)[1])
    assert [line for line in told if line.startswith(("storage", "network"))] == [
        "storage create cai btrfs --target one size=30GiB",
        "storage create cai btrfs --target two size=30GiB",
        "storage create cai btrfs",
        "network create caibr0 --type=bridge --target one",
        "network create caibr0 --type=bridge --target two",
        "network create caibr0 --type=bridge "
        "ipv4.address=10.77.0.1/24 ipv4.nat=true ipv6.address=none",
    ]


def test_an_address_that_somebody_set_stays(server):
    (server / "there" / "listens").write_text("10.0.0.5:8443", encoding="utf-8")
    assert not any(line.startswith("config set") for line in prepared(server)[1])


def test_packages_that_are_there_are_not_asked_for(server):
    assert not any("apt-get" in line for line in prepared(server)[1])
    told = prepared(server, INSTALLED="config-files")[1]
    assert f"apt-get install --yes --no-install-recommends {' '.join(prepare.PACKAGES)}" in told


def test_the_kernel_counts_further_and_never_less(server):
    name = "fs.inotify.max_user_instances"
    (server / "sysctl-fs.aio-max-nr").write_text("99999999", encoding="utf-8")
    told = prepared(server)[1]
    assert f"sysctl --quiet --write {name}=1048576" in told
    assert not any("aio-max-nr" in line for line in told)
    lines = (server / "60-containai-incus.conf").read_text(encoding="utf-8").splitlines()
    assert f"{name} = 1048576" in lines
    assert not any("aio" in line for line in lines)
    # What is in force by this file now is to stay in it.
    assert not any(line.startswith("sysctl") for line in prepared(server)[1])
    assert (server / "60-containai-incus.conf").read_text(encoding="utf-8").splitlines() == lines
    (server / "sysctl-vm.max_map_count").write_text("65530", encoding="utf-8")
    prepared(server)
    assert (server / "60-containai-incus.conf").read_text(encoding="utf-8").splitlines() == lines


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
@pytest.mark.parametrize(
    "wanted", [ALICE, Wanted("b.c-d_e"), Wanted("a", address="[fd42::1]:8443", each=Limits())]
)
def test_it_is_shell(shell, wanted):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    for text in (prepare.script(wanted), *(part.argv[-1] for part in prepare.commands(wanted))):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_each_part_says_what_it_is_and_is_roots():
    parts = prepare.commands(ALICE)
    assert all(part.root and part.title and part.argv[:2] == ["sh", "-euc"] for part in parts)
    assert [part.title for part in parts][-1] == "token of alice@team"


@pytest.mark.parametrize(
    "change",
    [
        {"user": ""},
        {"user": "a b"},
        {"user": "a;reboot"},
        {"user": "a\nb"},
        {"user": "-a"},
        {"user": "alice\n"},
        {"project": "default"},
        {"project": "$(id)"},
        {"pool": "a/b"},
        {"bridge": "abcdefghijklmnopq"},
        {"subnet": "10.0.0.0"},
        {"subnet": "10.0.0.1/24 x=y"},
        {"subnet": "10.0.0.1"},
        {"subnet": "10.0.0.0/24"},
        {"subnet": "10.0.0.255/24"},
        {"subnet": "10.0.0.1/30"},
        {"subnet": "10.0.0.300/24"},
        {"subnet": "9.9.9.9/24"},
        {"boxes": -1},
        {"each": Limits(cpus=-1)},
        {"size": "30"},
        {"address": "8443"},
        {"address": "x;y:8443"},
        {"each": Limits(memory="8 GiB")},
        {"together": Limits(disk="x")},
        {"each": Limits(), "together": Limits(cpus=4)},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(change):
    with pytest.raises(UsageError) as refused:
        prepare.commands(ALICE._replace(**change))
    assert refused.value.hint


def test_the_server_itself_is_never_reached():
    text = prepare.script(ALICE)
    for closed in ("devices.proxy", "lowlevel", "disk.paths", "privilege=allow", "raw."):
        assert closed not in text
