import json
import os
import stat
import subprocess

import pytest

import containai.runtime
from containai.runtime import bundle, main, seccomp, spec, staging
from containai.runtime.errors import RuntimeRefusal

BASE, SIZE = 0x70000000, 262144
DATA = "/var/lib/engine"
MOUNTS = (
    "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
    f"21 20 8:1 {DATA} {DATA} rw - ext4 /dev/sda1 rw\n"
    f"22 21 8:1 /srv/tree {DATA}/volumes/host/_data rw - ext4 /dev/sda1 rw\n"
    f"23 21 0:50 / {DATA}/volumes/memory/_data rw - tmpfs tmpfs rw\n"
    f"24 21 0:51 /sub {DATA}/volumes/part/_data rw - tmpfs tmpfs rw\n"
    f"25 21 0:52 / {DATA}/volumes/far/_data rw - nfs4 server:/x rw\n"
)


def config(**linux):
    namespaces = [{"type": kind} for kind in ("mount", "pid", "network", "ipc")]
    return {"root": {"path": "r"}, "process": {}, "linux": {"namespaces": namespaces} | linux}


@pytest.mark.parametrize(
    ("source", "own"),
    [
        (f"{DATA}/volumes/plain/_data", True),
        (f"{DATA}/volumes/memory/_data/x", True),
        (f"{DATA}/volumes/host/_data", False),
        (f"{DATA}/volumes/part/_data", False),
        (f"{DATA}/volumes/far/_data", False),
        ("/srv/tree", False),
        (f"{DATA}-other/x", False),
    ],
)
def test_whose_a_bind_source_is(source, own):
    assert staging.is_engine_data(source, DATA, MOUNTS) is own


def test_the_last_mount_at_a_place_covers_it():
    twice = MOUNTS + "30 20 0:60 / / rw - overlay overlay rw\n"
    assert staging.covering(twice, "/srv") == ("/", "/", "overlay")
    assert staging.covering("", "/srv") == ("", "", "")


@pytest.mark.parametrize(
    ("linux", "path"),
    [
        ({"uidMappings": [{"size": "1"}]}, "linux.uidMappings[0].size: expected an integer"),
        ({"uidMappings": [{"size": True}]}, "linux.uidMappings[0].size: expected an integer"),
        ({"seccomp": {"syscalls": ["x"]}}, "linux.seccomp.syscalls[0]: expected an object"),
        ({"seccomp": {"syscalls": [{"names": [1]}]}}, "syscalls[0].names[0]: expected a string"),
        ({"sysctl": {"a.b": 1}}, "linux.sysctl.a.b: expected a string"),
        ({"devices": [None]}, "linux.devices[0]: expected an object"),
        ({"namespaces": 7}, "linux.namespaces: expected an array"),
        ({"uidMappings": [{"size": 1}]}, "linux.uidMappings: the ids are chosen here"),
    ],
)
def test_wrong_fields_are_refused_with_their_path(linux, path):
    with pytest.raises(RuntimeRefusal) as refused:
        spec.check(config(**linux))
    assert path in str(refused.value)


def test_mount_without_a_source_type_or_options_is_checked():
    with pytest.raises(RuntimeRefusal, match=r"mounts\[0\]\.options\[1\]: expected a string"):
        spec.check(config() | {"mounts": [{"options": ["ro", 3]}]})
    spec.check(config(sysctl=None, devices=None, unknown={"x": [1]}) | {"mounts": [{}]})


@pytest.mark.parametrize(
    "namespaces",
    [
        [],
        [{"type": "pid", "path": "/proc/1/ns/pid"}],
        [{"type": "pid"}, {"type": "user", "path": "/proc/1/ns/user"}],
        [{"type": "pid"}, {"type": "mount", "path": "/proc/1/ns/mnt"}],
    ],
)
def test_namespaces_of_others_are_refused(namespaces):
    with pytest.raises(RuntimeRefusal):
        spec.check(config(namespaces=namespaces))


def edited(given):
    return spec.edited(
        given,
        base=BASE,
        size=SIZE,
        root="/r",
        user="/proc/7/fd/5",
        hybrid=False,
        machine="x86_64",
        may_score=lambda score: True,
    )


FUSE = {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}
SERIAL = {"type": "c", "path": "/dev/ttyS0", "major": 4, "minor": 64}
MEMORY = {"type": "c", "path": "/dev/mem", "major": 1, "minor": 1}
DISK = {"type": "b", "path": "/dev/sda", "major": 8, "minor": 0}


def test_devices_that_were_asked_for():
    rules = [{"allow": False, "access": "rwm"}]
    given = config(devices=[FUSE, SERIAL], resources={"devices": rules})
    linux = edited(given)["linux"]
    assert linux["devices"] == [FUSE, SERIAL]
    assert linux["resources"]["devices"] == rules


@pytest.mark.parametrize("device", [MEMORY, DISK, {"path": "/dev/odd"}])
def test_devices_of_the_machine_are_refused(device):
    with pytest.raises(RuntimeRefusal, match=f"device {device['path']}: "):
        edited(config(devices=[FUSE, device]))


@pytest.mark.parametrize("option", ["shared", "rshared"])
def test_mounts_that_would_reach_the_host_are_refused(option):
    mount = {"destination": "/w", "type": "bind", "source": "/srv", "options": ["rbind", option]}
    with pytest.raises(RuntimeRefusal, match="mounts made in /w cannot reach the host"):
        edited(config() | {"mounts": [mount]})


def test_privileged_gives_no_device_of_the_machine():
    resources = {"memory": {"limit": 1}, "devices": [{"allow": True, "access": "rwm"}]}
    linux = edited(config(devices=[FUSE, SERIAL, MEMORY, DISK], resources=resources))["linux"]
    assert linux["devices"] == [FUSE]
    first, *allowed = linux["resources"]["devices"]
    assert first == {"allow": False, "access": "rwm"}
    assert [(each["major"], each["minor"]) for each in allowed] == [(10, 229)]
    assert linux["resources"]["memory"] == {"limit": 1}


def test_mounts_without_namespaces_of_its_own():
    given = config(namespaces=[{"type": "pid"}, {"type": "network", "path": "/n"}])
    given["mounts"] = [
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"},
    ]
    (sysfs,) = edited(given)["mounts"]
    assert (sysfs["type"], sysfs["source"]) == ("bind", spec.HOST_SYSFS)


def test_the_hosts_cgroup_namespace_is_not_shared():
    given = config(namespaces=[{"type": "pid"}, {"type": "cgroup", "path": "/proc/1/ns/cgroup"}])
    assert {"type": "cgroup"} in edited(given)["linux"]["namespaces"]


def test_a_bind_keeps_the_flags_of_its_source():
    flags = os.ST_NOSUID | os.ST_NODEV | os.ST_RELATIME
    given = {"options": ["rbind", "ro"], "unknown": 1}
    assert spec.with_flags(given, flags) == {
        "options": ["rbind", "ro", "nosuid", "nodev", "relatime"],
        "unknown": 1,
    }


@pytest.mark.parametrize("name", ["syslog", "reboot", "quotactl"])
def test_calls_for_the_whole_machine_are_refused(name):
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": [name, "read"], "action": "SCMP_ACT_ALLOW"}],
    }
    rules = seccomp.fitted(profile, "x86_64", administers=True)["syscalls"]
    assert all(name not in rule["names"] for rule in rules)
    assert name in seccomp.fitted(None, "x86_64", administers=True)["syscalls"][0]["names"]


def test_what_is_stored_is_for_its_reader_alone(tmp_path):
    path = tmp_path / "process"
    path.write_text("{}", encoding="utf-8")
    path.chmod(0o644)
    bundle.store(str(path), {"env": ["SECRET=1"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"env": ["SECRET=1"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["process"]


@pytest.mark.parametrize(
    "words",
    [
        ["-root", "/x", "create", "c"],
        ["--new", "x", "create", "c"],
        ["--debug", "--new=x", "start", "c"],
        ["restore", "c"],
    ],
)
def test_what_is_not_known_never_reaches_runc(tmp_path, words):
    source = os.path.join(os.path.dirname(containai.runtime.__file__), "cai-runc")
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for name in ("runc", "python"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    text = text.replace("@RUNC@", str(tmp_path / "runc"))
    text = text.replace("@PYTHON@", str(tmp_path / "python")).replace("@LIB@", str(tmp_path))
    done = subprocess.run(["sh", "-c", text, "cai-runc", *words], capture_output=True, text=True)
    assert done.stdout == "python\n"


@pytest.mark.parametrize("words", [["-root", "/x", "create", "c"], ["restore", "c"]])
def test_what_is_not_known_is_refused(tmp_path, capsys, words):
    values = {
        "runc": "/nonexistent/runc",
        "state": str(tmp_path),
        "id_base": BASE,
        "id_count": SIZE,
        "id_stored": BASE + SIZE,
        "given": "/none",
    }
    text = json.dumps(values | {"engine_data": DATA})
    (tmp_path / "runtime.json").write_text(text, encoding="utf-8")
    assert main.main(words, str(tmp_path)) == 1
    assert capsys.readouterr().err.split(": ", 2)[2].startswith(("unknown", "a checkpoint"))


def test_a_domain_name_is_not_the_hosts_to_write():
    new = edited(config(sysctl={"kernel.domainname": "lan", "net.core.somaxconn": "7"}))
    assert (new["domainname"], new["linux"]["sysctl"]) == ("lan", {"net.core.somaxconn": "7"})
