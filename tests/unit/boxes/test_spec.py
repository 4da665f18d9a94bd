import csv

import pytest

from containai.boxes import limits
from containai.boxes.limits import Limits
from containai.boxes.spec import INIT, BoxSpec, create_arguments, mount

SPEC = BoxSpec(name="api-1", workspace="/srv/api", image="i:t", ssh_port=2301, owner=1000)


def test_create_arguments():
    assert create_arguments(SPEC) == [
        "create",
        "--name", "api-1",
        "--hostname", "api-1",
        "--runtime", "cai-runc",
        "--cgroupns", "private",
        "--cap-add", "ALL",
        "--security-opt", "apparmor=unconfined",
        "--security-opt", "systempaths=unconfined",
        "--tmpfs", "/dev/.containai:mode=700,size=16k",
        "--pids-limit", "16384",
        "--restart", "unless-stopped",
        "--tty",
        "--stop-signal", "SIGRTMIN+3",
        "--stop-timeout", "100",
        "--label", "containai.managed=true",
        "--label", "containai.workspace=/srv/api",
        "--label", "containai.ssh-port=2301",
        "--label", "containai.owner=1000",
        "--publish", "127.0.0.1:2301:22",
        "--add-host", "host.docker.internal:host-gateway",
        "--add-host", "host.containai.internal:host-gateway",
        "--tmpfs", "/run:exec,mode=755",
        "--tmpfs", "/run/lock",
        "--mount", "type=bind,source=/srv/api,target=/home/agent/workspace",
        "--mount", (
            "type=volume,target=/var/lib/docker,volume-label=containai.part-of=1000:api-1"
        ),
        "i:t",
        "/sbin/init", "--log-level=err",
    ]  # fmt: skip


def test_loopback_of_ipv6_where_the_host_knows_it():
    words = create_arguments(SPEC._replace(ipv6=True))
    assert words[words.index("--sysctl") + 1] == "net.ipv6.conf.lo.disable_ipv6=0"
    assert "--sysctl" not in create_arguments(SPEC)


def test_the_data_volume_is_the_box_owners_should_the_engine_have_to_make_it():
    words = create_arguments(SPEC._replace(data="kept", workspace="/srv/a,b"))
    assert words[words.index("i:t") - 1] == (
        "type=volume,source=kept,target=/mnt/agent-data,volume-nocopy=true"
        ",volume-label=containai.managed=true,volume-label=containai.owner=1000"
        ',"volume-label=containai.workspace=/srv/a,b",volume-label=containai.kind=data'
    )


def test_a_box_is_the_same_for_every_runtime():
    ours = create_arguments(SPEC)
    sysbox = create_arguments(SPEC._replace(runtime="sysbox-runc"))
    assert ours == ["cai-runc" if each == "sysbox-runc" else each for each in sysbox]


def test_limits():
    words = create_arguments(SPEC._replace(limits=Limits(1 << 30, 1.5), cpuset="0,2"))
    start = words.index("--pids-limit")
    assert words[start : start + 10] == limits.creating(Limits(1 << 30, 1.5), "0,2")
    assert "--memory" not in create_arguments(SPEC)


def test_a_limit_on_disk_is_its_own_dockers_too():
    words = create_arguments(SPEC._replace(limits=Limits(disk=1 << 30)))
    assert words[words.index("--storage-opt") + 1] == f"size={1 << 30}"
    assert words[-3 - len(INIT) + 1].endswith(f",volume-opt=size={1 << 30}")


def test_nothing_is_privileged_and_no_socket_is_shared():
    words = " ".join(create_arguments(SPEC))
    assert "privileged" not in words
    assert ".sock" not in words


@pytest.mark.parametrize(
    "path", ["/a", "/a,b", '/a"b', '/a","b', "/a b", "/a=b", "/a,readonly", "/a,source=/etc", "/ü'"]
)
def test_mount_survives_csv(path):
    fields = {"type": "bind", "source": path, "target": "/t"}
    (row,) = csv.reader([mount(**fields)], strict=True)
    assert row == [f"{key}={value}" for key, value in fields.items()]


def test_mount_quotes_only_where_needed():
    assert mount(type="bind", source="/a b") == "type=bind,source=/a b"
    assert mount(type="bind", source="/a,b") == 'type=bind,"source=/a,b"'
    assert mount(type="bind", source='/a"b') == 'type=bind,"source=/a""b"'
