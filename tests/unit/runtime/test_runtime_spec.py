import copy
from typing import Any

import pytest

from containai.runtime import spec, withheld
from containai.runtime.errors import RuntimeRefusal

BASE, SIZE = 0x70000000, 262144


@pytest.fixture
def given():
    """Return what dockerd hands over, cut down."""
    return {
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
            "args": ["/sbin/init"],
            "env": ["A=b"],
            "cwd": "/",
            "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"]},
            "apparmorProfile": "docker-default",
            "noNewPrivileges": True,
            "oomScoreAdj": 0,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}],
        },
        "root": {"path": "/data/overlay2/x/merged", "readonly": True},
        "hostname": "api",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "x"]},
            {
                "destination": "/sys/fs/cgroup",
                "type": "cgroup",
                "source": "cgroup",
                "options": ["ro", "nosuid", "noexec", "nodev", "rprivate"],
            },
            {
                "destination": "/w",
                "type": "bind",
                "source": "/srv/w",
                "options": ["rbind", "ro", "rprivate"],
            },
        ],
        "linux": {
            "sysctl": {"net.ipv4.ping_group_range": "0 2147483647", "net.x": "1"},
            "cgroupsPath": "/docker/abc",
            "namespaces": [
                {"type": "mount"},
                {"type": "network"},
                {"type": "ipc"},
                {"type": "user", "path": "/evil"},
                {"type": "pid"},
            ],
            "devices": [
                {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229},
            ],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []},
            "unknown": {"kept": 1},
        },
        "annotations": {"x": "y"},
        "unknownTop": [1],
    }


def edited(given, **changes):
    wanted: dict[str, Any] = {
        "base": BASE,
        "size": SIZE,
        "root": "/stage/root",
        "user": "/proc/7/fd/5",
        "hybrid": False,
        "machine": "x86_64",
        "may_score": lambda score: score >= -500,
    }
    return spec.edited(given, **(wanted | changes))


def test_ids(given):
    linux = edited(given)["linux"]
    wanted = [{"containerID": 0, "hostID": BASE, "size": SIZE}]
    assert linux["uidMappings"] == linux["gidMappings"] == wanted


def test_ids_asked_for_do_not_count(given):
    given["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    assert edited(given)["linux"]["uidMappings"][0]["hostID"] == BASE


def test_namespaces(given):
    assert edited(given)["linux"]["namespaces"] == [
        {"type": "mount"},
        {"type": "network"},
        {"type": "ipc"},
        {"type": "pid"},
        {"type": "user", "path": "/proc/7/fd/5"},
        {"type": "cgroup"},
    ]


def test_unknown_fields_are_kept(given):
    new = edited(given)
    assert new["linux"]["unknown"] == {"kept": 1}
    for name in ("unknownTop", "annotations", "hostname", "ociVersion"):
        assert new[name] == given[name]
    assert new["root"] == {"path": "/stage/root", "readonly": True}
    for name in ("user", "args", "env", "cwd"):
        assert new["process"][name] == given["process"][name]


def test_input_is_not_changed(given):
    before = copy.deepcopy(given)
    edited(given, hybrid=True)
    assert given == before


def test_what_the_engine_confines_stays(given):
    new = edited(given)
    for name in ("maskedPaths", "readonlyPaths"):
        assert new["linux"][name] == given["linux"][name]
    assert new["linux"]["seccomp"] == withheld.without_keyrings(given["linux"]["seccomp"])
    assert new["process"] == given["process"]
    assert new["mounts"] == given["mounts"]


@pytest.mark.parametrize(
    ("asked", "given_out"),
    [
        ("0 2147483647", "0 262143"),
        ("0\t2147483647", "0 262143"),
        ("1000 1001", "1000 1001"),
        ("1 0", "1 0"),
    ],
)
def test_sysctl_is_capped(given, asked, given_out):
    given["linux"]["sysctl"]["net.ipv4.ping_group_range"] = asked
    assert edited(given)["linux"]["sysctl"] == {
        "net.ipv4.ping_group_range": given_out,
        "net.x": "1",
    }


def test_sys_is_writable_where_paths_are_not_confined_and_a_bind_stays_as_it_was(given):
    given["linux"]["readonlyPaths"] = None
    _, sys, cgroup, bind = edited(given)["mounts"]
    assert sys["options"] == ["x"]
    assert cgroup["options"] == ["nosuid", "noexec", "nodev", "rprivate"]
    assert cgroup["type"] == "cgroup"
    assert bind == given["mounts"][3]


def test_cgroup2_on_a_hybrid_host(given):
    assert edited(given, hybrid=True)["mounts"] == given["mounts"]
    given["linux"]["readonlyPaths"] = []
    assert edited(given, hybrid=True)["mounts"][2] == {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup2",
        "source": "cgroup2",
        "options": ["nosuid", "noexec", "nodev"],
    }


def test_cap_sys_admin_brings_the_calls_that_it_is_for(given):
    given["process"]["capabilities"]["bounding"] += ["CAP_SYS_ADMIN"]
    new = edited(given)
    assert "mount" in new["linux"]["seccomp"]["syscalls"][0]["names"]
    assert new["process"] == given["process"]


@pytest.mark.parametrize(("asked", "kept"), [(0, True), (-500, True), (-501, False), (1000, True)])
def test_oom_score(given, asked, kept):
    given["process"]["oomScoreAdj"] = asked
    assert ("oomScoreAdj" in edited(given)["process"]) is kept


def test_small_spec():
    new = edited({})
    assert new["root"] == {"path": "/stage/root"}
    assert [each["type"] for each in new["linux"]["namespaces"]] == ["user", "cgroup"]
    assert new["mounts"] == []
    assert "process" not in new
    assert edited({"linux": None, "root": None, "mounts": None}) == new


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("linux", []),
        ("root", "x"),
        ("mounts", {}),
        ("mounts[0]", 1),
        ("mounts[0].source", 1),
        ("mounts[0].options", "ro"),
        ("process", []),
        ("linux.namespaces", {}),
        ("linux.namespaces[0]", "user"),
        ("linux.devices", "x"),
        ("linux.devices[0]", None),
        ("linux.sysctl", []),
        ("linux.seccomp", []),
    ],
)
def test_wrong_type_is_refused_with_its_path(given, path, value):
    holder = given
    *parents, last = path.replace("[0]", ".0").split(".")
    for name in parents:
        holder = holder[int(name) if name == "0" else name]
    holder[int(last) if last == "0" else last] = value
    with pytest.raises(RuntimeRefusal) as caught:
        edited(given)
    assert str(caught.value).startswith(f"config.json: {path}: expected ")


@pytest.mark.parametrize("value", [7, "x y", "1", "", None, "1 2 3"])
def test_wrong_sysctl_is_refused_with_its_path(given, value):
    given["linux"]["sysctl"]["net.ipv4.ping_group_range"] = value
    with pytest.raises(RuntimeRefusal, match=r"linux\.sysctl\.net\.ipv4\.ping_group_range"):
        edited(given)


def test_field_does_not_take_a_boolean_for_a_number():
    with pytest.raises(RuntimeRefusal, match=r"a\.b: expected an integer"):
        spec.field({"a": {"b": True}}, "a.b", int)
    with pytest.raises(RuntimeRefusal, match="a: expected an object"):
        spec.field({"a": 1}, "a.b", int)


@pytest.mark.parametrize(
    ("mount", "bind"),
    [
        ({"type": "bind"}, True),
        ({"type": "none", "options": ["rbind"]}, True),
        ({"options": ["bind", "ro"]}, True),
        ({"type": "tmpfs", "options": ["ro"]}, False),
        ({"type": "proc", "options": None}, False),
    ],
)
def test_is_bind(mount, bind):
    assert spec.is_bind(mount) is bind


def test_a_user_namespace_is_runcs_own_where_others_are_joined(given):
    given["linux"]["namespaces"].append({"type": "uts", "path": "/proc/7/ns/uts"})
    namespaces = edited(given)["linux"]["namespaces"]
    assert {"type": "user"} in namespaces
    assert {"type": "uts", "path": "/proc/7/ns/uts"} in namespaces
