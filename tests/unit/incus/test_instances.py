import pytest

from containai.incus import instances, snapshots
from containai.incus.errors import ConflictError, GarbageError, IncusError, OperationError
from containai.incus.instances import Wanted
from harness.incus_server import Operation, Refused

ALL, ONE = "/1.0/instances", "/1.0/instances/a"
BOX = {
    "name": "a",
    "status": "Running",
    "location": "node1",
    "architecture": "x86_64",
    "description": "mine",
    "created_at": "2026-01-01T00:00:00Z",
    "profiles": ["default"],
    "config": {"user.x": "1", "volatile.base_image": "f" * 64, "volatile.eth0.hwaddr": "m"},
    "devices": {"root": {"type": "disk"}},
    "expanded_config": {"limits.cpu": "2"},
    "expanded_devices": {},
}
AWAY = {"name": "b", "status": "Error", "location": "node2", "config": None, "devices": None}


@pytest.fixture
def box(server):
    """A server with an instance, which answers what changes it with an operation that is done."""
    server.handlers[f"GET {ALL}"] = lambda asked: [BOX, AWAY]
    server.handlers[f"GET {ONE}"] = lambda asked: BOX
    for request in (f"POST {ALL}", f"PUT {ONE}/state", f"POST {ONE}", f"DELETE {ONE}"):
        server.handlers[request] = lambda asked: Operation()
    server.handlers[f"PATCH {ONE}"] = lambda asked: {}
    return server


def found_one(incus):
    """Return the instance."""
    found = instances.find(incus, "a")
    assert found is not None
    return found


def sent(server):
    """Return the bodies of what was sent, not of what was waited for."""
    return [each.value for each in server.asked if each.body]


def test_listing(box, incus):
    found, away = instances.listed(incus, filter_by="status eq running")
    assert (found.name, found.is_running, found.location) == ("a", True, "node1")
    assert found.config["user.x"] == "1"
    assert (away.name, away.status, away.is_running, away.config) == ("b", "Error", False, {})
    assert box.asked[0].query["recursion"] == "1"
    assert box.asked[0].query["filter"] == "status eq running"


def test_finding(box, incus):
    assert instances.find(incus, "a").etag == '"abc"'
    assert instances.find(incus, "none") is None


@pytest.mark.parametrize("given", [[7], ["a"], [[]]])
def test_a_list_of_something_else(box, incus, given):
    box.handlers[f"GET {ALL}"] = lambda asked: given
    with pytest.raises(GarbageError):
        instances.listed(incus)


def test_state(box, incus):
    said = {
        "status": "Running", "processes": 4, "cpu": {"usage": 5}, "memory": {"usage": 6},
        "disk": {}, "started_at": "x",
        "network": {
            "docker0": {"addresses": [{"family": "inet", "scope": "global", "address": "no"}]},
            "eth0": {"addresses": [
                {"family": "inet6", "scope": "global", "address": "fd42::"},
                {"family": "inet", "scope": "global", "address": "10.1.2.3"},
            ]},
        },
    }  # fmt: skip
    box.handlers[f"GET {ONE}/state"] = lambda asked: said
    seen = instances.state(incus, "a")
    assert (seen.processes, seen.cpu, seen.memory, seen.disk) == (4, 5, 6, 0)
    assert seen.address == "10.1.2.3"
    said["network"] = None
    assert instances.state(incus, "a").address == ""


def test_making_one(box, incus):
    wanted = Wanted("a", instances.of_image("f" * 64), {"limits.cpu": "2"}, target="node2")
    instances.create(incus, wanted)
    body = box.asked[0].value
    assert body["profiles"] == ["default"]
    assert body["source"] == {"type": "image", "fingerprint": "f" * 64}
    assert (body["start"], body["type"], body["description"]) == (False, "container", "")
    assert box.asked[0].query["target"] == "node2"
    assert "architecture" not in body


@pytest.mark.parametrize("early", [True, False])
def test_a_name_that_is_taken(box, incus, early):
    text = 'Instance "a" already exists'

    def post(asked):
        if early:
            raise Refused(500, text)
        return Operation(err=f"Failed creating instance record: {text}")

    box.handlers[f"POST {ALL}"] = post
    with pytest.raises(IncusError) as caught:
        instances.create(incus, Wanted("a", {}, {}))
    assert instances.is_taken(caught.value)
    assert not instances.is_taken(IncusError("no", code=500))
    assert instances.is_taken(ConflictError("no", code=409))


def test_starting(box, incus):
    instances.start(incus, "a")
    assert sent(box) == [{"action": "start", "timeout": -1}]
    box.handlers[f"PUT {ONE}/state"] = lambda asked: Operation(
        err="The instance is already running"
    )
    instances.start(incus, "a")


def test_one_that_is_held_is_waited_for(box, incus, monkeypatch):
    monkeypatch.setattr(instances, "_PAUSE", 0.01)
    answers = [Operation(err='Instance is busy running a "stop" operation'), Operation()]
    box.handlers[f"PUT {ONE}/state"] = lambda asked: answers.pop(0)
    instances.start(incus, "a")
    assert not answers
    monkeypatch.setattr(instances, "_BUSY", -1.0)
    answers += [Operation(err='Instance is busy running a "stop" operation')]
    with pytest.raises(OperationError):
        instances.start(incus, "a")


def test_stopping_never_kills_by_a_time_of_nothing(box, incus):
    instances.stop(incus, "a", patience=30)
    assert sent(box) == [{"action": "stop", "timeout": 30, "force": False}]


def test_what_does_not_stop_is_killed(box, incus):
    late = 'Failed shutting down instance, status is "Running": context deadline exceeded'

    def put(asked):
        return Operation(err="" if asked.value["force"] else late)

    box.handlers[f"PUT {ONE}/state"] = put
    instances.stop(incus, "a", patience=1)
    assert sent(box)[-1] == {"action": "stop", "timeout": -1, "force": True}
    with pytest.raises(OperationError, match="Failed shutting down"):
        instances.stop(incus, "a", patience=1, force=False)
    box.handlers[f"PUT {ONE}/state"] = lambda asked: Operation(
        err="The instance is already stopped"
    )
    instances.stop(incus, "a", patience=1)
    box.asked.clear()
    instances.stop(incus, "a", patience=0)
    assert sent(box) == [{"action": "stop", "timeout": -1, "force": True}]


def test_restarting(box, incus):
    instances.restart(incus, "a", patience=5)
    assert [each["action"] for each in sent(box)] == ["stop", "start"]


def test_changing(box, incus):
    found = found_one(incus)
    instances.patch(incus, found, config={"limits.cpu": ""}, etag=found.etag)
    # A description that is not said is wiped by 6.0.4.
    assert sent(box) == [{"description": "mine", "config": {"limits.cpu": ""}}]
    assert box.asked[-1].headers["if-match"] == '"abc"'
    instances.patch(incus, found, devices={"d": {"type": "none"}}, description="x")
    assert sent(box)[-1] == {"description": "x", "devices": {"d": {"type": "none"}}}


def test_renaming_and_moving(box, incus):
    instances.rename(incus, "a", "b")
    instances.move(incus, "a", "node2")
    assert sent(box) == [{"name": "b"}, {"name": "a", "migration": True, "live": False}]
    assert [each.query.get("target") for each in box.asked if each.body] == [None, "node2"]


def test_removing(box, incus):
    assert instances.delete(incus, "a")
    assert not instances.delete(incus, "none")


def test_the_console(box, incus):
    box.handlers[f"GET {ONE}/console"] = lambda asked: ({}, b"boot\xff")
    assert instances.console_log(incus, "a") == "boot\ufffd"


def test_snapshots(box, incus):
    path = f"{ONE}/snapshots"
    box.handlers[f"GET {path}"] = lambda asked: [
        {"name": "a/s2", "created_at": "2", "size": -1},
        {"name": "s1", "created_at": "1", "config": {"user.x": "0"}, "profiles": ["p"]},
    ]
    for request in (f"POST {path}", f"DELETE {path}/s1", f"POST {path}/s1", f"PUT {ONE}"):
        box.handlers[request] = lambda asked: Operation()
    first, second = snapshots.listed(incus, "a")
    assert (first.name, first.size, second.name) == ("s1", -1, "s2")
    snapshots.take(incus, "a", "s3")
    snapshots.rename(incus, "a", "s1", "s0")
    snapshots.restore(incus, "a", "s1")
    snapshots.restore(incus, "a", "s1", only_disk=True)
    assert sent(box) == [
        {"name": "s3", "stateful": False, "expires_at": None},
        {"name": "s0"},
        {"restore": "s1"},
        {"restore": "s1", "disk_only": True},
    ]
    assert snapshots.delete(incus, "a", "s1")
    assert not snapshots.delete(incus, "a", "s9")


def test_a_copy_says_everything(box, incus):
    found = found_one(incus)
    copy = snapshots.copy(
        found, "b", project="boxes", config={"user.x": "2"}, devices={"p": {"type": "none"}}
    )
    assert copy.config == {"user.x": "2", "volatile.base_image": "f" * 64}
    assert copy.devices == {"root": {"type": "disk"}, "p": {"type": "none"}}
    assert (copy.architecture, copy.profiles, copy.description) == ("x86_64", ("default",), "mine")
    assert copy.source["source"] == "a"
    assert copy.source["base-image"] == "f" * 64
    instances.create(incus, copy)
    assert box.asked[-2].value["architecture"] == "x86_64"


def test_a_copy_of_a_snapshot_has_its_settings(box, incus):
    found = found_one(incus)
    of = snapshots.Snapshot("s1", "1", -1, {"user.x": "0"}, {}, ("p",))
    copy = snapshots.copy(found, "b", project="boxes", snapshot=of, target="node2")
    assert (copy.config, copy.devices, copy.profiles) == ({"user.x": "0"}, {}, ("p",))
    assert (copy.source["source"], copy.target) == ("a/s1", "node2")
    assert "base-image" not in copy.source
