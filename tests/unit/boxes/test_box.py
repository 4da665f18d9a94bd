import copy
from typing import Any

import pytest

from containai.boxes import box, lookup
from containai.boxes.box import NOBODY, Box, Status, is_box, named_volumes
from containai.boxes.lookup import find
from containai.engine.container import Container
from containai.errors import NameTakenError
from containai.host.fake import FakeMachine
from harness.host import HOST

LABELS = {
    "containai.managed": "true",
    "containai.workspace": "/srv/api",
    "containai.ssh-port": "2301",
    "containai.owner": "1000",
}


def container(found):
    return Container.from_inspect(found)


def inspected(**labels):
    return {
        "Id": "1" * 64,
        "Name": "/api",
        "Created": "2026-11-27T00:00:00Z",
        "State": {"Status": "running"},
        "Config": {"Labels": LABELS | labels, "Image": "i:t"},
        "HostConfig": {
            "Memory": 0,
            "NanoCpus": 0,
            "CpusetCpus": "",
            "PortBindings": {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2301"}]},
            "Mounts": [
                {"Type": "bind", "Source": "/srv/api", "Target": "/home/agent/workspace"},
                {"Type": "volume", "Target": "/var/lib/docker"},
            ],
        },
    }


class Answers:
    """An engine that knows one container."""

    def __init__(self, layout, found):
        self.host, self.layout, self.found = FakeMachine(layout), layout, found

    def container(self, name):
        known = name in (self.found["Name"][1:], self.found["Id"])
        return container(self.found) if known else None

    def containers(self, *filters):
        return [container(self.found)]


def test_a_box_is_what_its_creator_made_it():
    found = inspected(**{"containai.workspace": "/etc", "containai.ssh-port": "1"})
    assert is_box(container(found))
    seen = Box.from_container(container(found))
    assert (seen.workspace, seen.ssh_port, seen.owner) == ("/srv/api", 2301, 1000)
    assert (seen.name, seen.status) == ("api", Status.RUNNING)


@pytest.mark.parametrize(
    "mounts",
    [
        None,
        [],
        [{"Type": "bind", "Source": "/srv/api", "Target": "/home/agent/workspace"}],
        [{"Type": "volume", "Target": "/var/lib/docker"}],
        [
            {"Type": "volume", "Target": "/home/agent/workspace"},
            {"Type": "volume", "Target": "/var/lib/docker"},
        ],
    ],
)
def test_labels_make_no_box(layout, mounts):
    found = inspected()
    found["HostConfig"]["Mounts"] = mounts
    engine: Any = Answers(layout, found)
    assert not is_box(container(found))
    assert lookup.every(engine) == []
    assert lookup.get(engine, "api") is None
    with pytest.raises(NameTakenError, match="not ContainAI's"):
        find(engine, "/srv/api", "api")


@pytest.mark.parametrize("owner", ["", "x", "²", "-1", "1e3", "0x10", " 5", "4294967295", "9" * 40])
def test_an_owner_that_is_none_is_nobody(owner):
    seen = Box.from_container(container(inspected(**{"containai.owner": owner})))
    assert seen.owner == NOBODY
    assert "its label does not say whose it is" in seen.problems


@pytest.mark.parametrize("port", ["", "²", "x", "0", "65536", "-1", None, 22])
def test_a_port_that_is_none(port):
    found = inspected()
    found["HostConfig"]["PortBindings"]["22/tcp"][0]["HostPort"] = port
    seen = Box.from_container(container(found))
    assert seen.ssh_port == 0
    assert "it has no ssh port on 127.0.0.1" in seen.problems


def test_a_port_on_another_address_is_none():
    found = inspected()
    found["HostConfig"]["PortBindings"]["22/tcp"][0]["HostIp"] = "0.0.0.0"
    assert Box.from_container(container(found)).ssh_port == 0


def without(found, path):
    """Return a copy that lacks a key, by its path."""
    left = copy.deepcopy(found)
    *above, last = path.split("/")
    inner = left
    for each in above:
        inner = inner[each]
    del inner[last]
    return left


@pytest.mark.parametrize(
    "path",
    [
        *("Id", "Name", "Created", "State", "State/Status", "Config/Image"),
        *("HostConfig/Memory", "HostConfig/NanoCpus", "HostConfig/CpusetCpus"),
        "HostConfig/PortBindings",
    ],
)
def test_what_is_missing_breaks_a_box_and_no_list(layout, path):
    engine: Any = Answers(layout, without(inspected(), path))
    assert len(lookup.every(engine)) == 1


def test_volumes_with_a_name_are_those_of_earlier_versions():
    found = inspected()
    assert named_volumes(container(found)) == []
    found["HostConfig"]["Mounts"][1]["Source"] = "api-docker"
    assert named_volumes(container(found)) == ["api-docker"]


def test_only_what_is_gone_is_gone(tmp_path, monkeypatch):
    def problems(path):
        found = inspected()
        found["HostConfig"]["Mounts"][0]["Source"] = str(path)
        return Box.from_container(container(found)).problems

    assert problems(tmp_path) == ()
    assert problems(tmp_path / "none") == (f"its workspace {str(tmp_path / 'none')!r} is gone",)
    (tmp_path / "file").touch()
    assert problems(tmp_path / "file")[0].endswith("is gone")
    assert problems("/a\0b") == (r"its workspace '/a\x00b' is no path",)
    assert problems("/a\ud800") == (r"its workspace '/a\ud800' is no path",)

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(box.os, "stat", refused)
    assert problems(tmp_path) == ()

    def stale(path):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(box.os, "stat", stale)
    assert problems(tmp_path)[0].endswith("cannot be read: Stale file handle")


@pytest.mark.parametrize(("uid", "to_root", "refused"), [
    (1000, True, False),
    (1001, False, True),
    (1001, True, True),
    (0, False, False),
    (0, True, True),
])  # fmt: skip
def test_whose_box_it_is(uid, to_root, refused):
    seen = Box.from_container(container(inspected()))
    if not refused:
        box.refuse_others(HOST, seen, uid, to_root=to_root)
        return
    with pytest.raises(NameTakenError, match="belongs to "):
        box.refuse_others(HOST, seen._replace(owner=1000), uid, to_root=to_root)


def test_of_another_workspace(layout):
    engine: Any = Answers(layout, inspected())
    found = find(engine, "/srv/api", "api")
    assert found is not None
    assert found.container == "1" * 64
    with pytest.raises(NameTakenError, match="of another workspace: '/srv/api'"):
        find(engine, "/srv", "api")


@pytest.mark.parametrize(("limit", "bounded"), [(None, False), (0, False), (-1, False), (9, True)])
def test_a_box_without_a_limit_on_processes_is_known(layout, limit, bounded):
    found = inspected()
    found["HostConfig"]["PidsLimit"] = limit
    assert Box.from_container(container(found)).is_bounded is bounded
