import pytest

from containai import layout
from containai.runtime import guest, lxcfs

PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


def mounted(destination=guest.BOX, kind="tmpfs"):
    return {
        "mounts": [PROC, {"destination": destination, "type": kind, "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": "network"}]},
    }


def test_the_command_line_and_the_runtime_mean_the_same_place():
    assert layout.GUEST_DIRECTORY == guest.BOX


def test_only_a_tmpfs_of_the_creator_makes_a_box():
    assert guest.is_box(mounted())
    assert not guest.is_box(mounted(kind="bind"))  # what VOLUME in an image becomes
    assert not guest.is_box(mounted("/dev/.containai/x"))
    assert not guest.is_box({"mounts": [PROC]})
    assert not guest.is_box({})


def test_a_box_has_a_proc_and_a_sysfs_without_anything_in_them():
    given = mounted() | {"hostname": "a"}
    given["linux"] |= {"maskedPaths": ["/x"], "seccomp": {}}
    new = guest.edited(given, {})
    assert new["mounts"][:2] == given["mounts"]
    kinds = {each["destination"]: each["type"] for each in new["mounts"][2:]}
    assert kinds == {"/dev/.containai/proc": "proc", "/dev/.containai/sys": "sysfs"}
    assert all("ro" not in each["options"] for each in new["mounts"][2:])
    rules = new["linux"]["resources"].pop("devices")
    assert new["linux"] == given["linux"] | {"maskedPaths": list(guest.HIDDEN), "resources": {}}
    assert {(rule["major"], rule["minor"]) for rule in rules} == {(10, 229), (10, 200)}
    assert {rule["type"] for rule in rules} == {"c"}
    assert new["hostname"] == "a"
    assert given["linux"]["maskedPaths"] == ["/x"]


def test_rules_and_limits_of_the_engine_stay():
    given = mounted()
    given["linux"]["resources"] = {"devices": [{"allow": False}], "memory": {"limit": 1}}
    resources = guest.edited(given, {})["linux"]["resources"]
    assert resources["memory"] == {"limit": 1}
    assert resources["devices"][0] == {"allow": False}
    assert len(given["linux"]["resources"]["devices"]) == 1


def test_no_sysfs_of_somebody_elses_network():
    given = mounted() | {"linux": {"namespaces": [{"type": "network", "path": "/proc/1/ns/net"}]}}
    new = guest.edited(given, {})
    assert [each["type"] for each in new["mounts"]] == ["proc", "tmpfs", "proc"]


def test_files_of_lxcfs_come_last():
    new = guest.edited(mounted(), {"/proc/meminfo": "/stage/m1"})
    assert new["mounts"][-1] == {
        "destination": "/proc/meminfo", "type": "bind", "source": "/stage/m1", "options": ["bind"],
    }  # fmt: skip


@pytest.mark.parametrize("path", lxcfs.FILES)
def test_nothing_of_lxcfs_is_hidden(path):
    assert not any(path.startswith(hidden) for hidden in guest.HIDDEN)


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        ({"memory": {"limit": 1 << 30}}, "size=536870912"),
        ({"memory": {"limit": -1}}, "size=50%"),
        ({"memory": {}}, "size=50%"),
        ({}, "size=50%"),
    ],
)
def test_shared_memory_is_half_of_the_boxs(resources, size):
    given = mounted()
    options = ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]
    given["mounts"].append({"destination": "/dev/shm", "type": "tmpfs", "options": options})
    given["linux"]["resources"] = resources
    [found] = [
        each for each in guest.edited(given, {})["mounts"] if each["destination"] == "/dev/shm"
    ]
    assert found["options"] == ["nosuid", "nodev", "mode=1777", size]
    assert given["mounts"][-1]["options"] == options


def test_shared_memory_of_another_container_stays():
    given = mounted()
    given["mounts"].append({"destination": "/dev/shm", "type": "bind", "source": "/x"})
    assert guest.edited(given, {})["mounts"][2] == given["mounts"][2]
