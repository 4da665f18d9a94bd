import json
import random

import pytest

from containai.engine.container import Container, Image, Mount, Port, State

FOUND = {
    "Id": "1" * 64,
    "Image": "sha256:2",
    "Name": "/api",
    "Created": "2026-11-27T00:00:00Z",
    "RestartCount": 2,
    "State": {"Status": "running", "Running": True, "Pid": 7, "ExitCode": 137, "Error": "bad"},
    "Config": {"Image": "i:t", "Labels": {"containai.owner": "1000"}},
    "HostConfig": {
        "Runtime": "cai-runc",
        "Memory": 1 << 30,
        "NanoCpus": 1_500_000_000,
        "CpusetCpus": "0-2,5",
        "PidsLimit": 16384,
        "PortBindings": {
            "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2301"}],
            "80/tcp": None,
        },
        "Mounts": [
            {"Type": "bind", "Source": "/srv/api", "Target": "/home/agent/workspace"},
            {"Type": "volume", "Target": "/var/lib/docker"},
        ],
    },
    "NetworkSettings": {
        "Networks": {"own": {"IPAddress": "10.1.0.2"}, "bridge": {"IPAddress": "10.203.0.2"}}
    },
}
#: What JSON can have, with what Python takes for something else.
ODD = [
    None, True, False, 0, -1, 7, 1 << 63, 10**400, 0.5, float("nan"), "", "x", "²", "-1", "1e3",
    "0x10", " 5", "65536", "9" * 40, "\x1b]0;\x07", "\ud800", [], [None], [[]], ["x"], {}, {"x": 1},
    {"": None}, [{"HostPort": "²"}], [{"Target": 1, "Type": {}}], {"22/tcp": "x"}, {"22/tcp": [{}]},
]  # fmt: skip


def test_all_of_one():
    assert Container.from_inspect(FOUND) == Container(
        id="1" * 64,
        name="api",
        image="i:t",
        created="2026-11-27T00:00:00Z",
        runtime="cai-runc",
        state=State.RUNNING,
        running=True,
        pid=7,
        exit_code=137,
        error="bad",
        restart_count=2,
        labels=(("containai.owner", "1000"),),
        mounts=(
            Mount("bind", "/srv/api", "/home/agent/workspace"),
            Mount("volume", "", "/var/lib/docker"),
        ),
        ports=(Port("22/tcp", "127.0.0.1", 2301),),
        memory=1 << 30,
        cpus=1.5,
        cpuset="0-2,5",
        processes=16384,
        image_id="sha256:2",
        address="10.203.0.2",
    )


@pytest.mark.parametrize(
    "said", ["", "::1", "10.0.0.2 %h", "10.0.0", "-oProxy", "1\u0660.0.0.2", 7]
)
def test_what_is_no_address_of_ipv4_is_none(said):
    settings = {"Networks": {"bridge": {"IPAddress": said}}}
    assert Container.from_inspect({"NetworkSettings": settings}).address == ""


def test_what_is_asked_of_one():
    container = Container.from_inspect(FOUND)
    assert container.label("containai.owner") == "1000"
    assert container.label("other") is None
    assert container.mount("/var/lib/docker") == Mount("volume", "", "/var/lib/docker")
    assert container.mount("/") is None


@pytest.mark.parametrize("found", [None, [], "x", 1, {}, {"Id": None}, {"Id": 1}])
def test_nothing_is_an_empty_one(found):
    assert Container.from_inspect(found) == Container("")


@pytest.mark.parametrize("config", [None, [], {}, {"Labels": None}, {"Labels": ["a"]}, "x"])
def test_an_image(config):
    assert Image.from_inspect({"Id": "1", "Config": config}) == Image("1")
    found = Image.from_inspect({"Id": "1", "Config": {"Labels": {"a": "b", "c": 1}}})
    assert (found.label("a"), found.label("c")) == ("b", None)


def test_all_of_an_image():
    inspected = {
        "Id": "sha256:2",
        "Config": {"Labels": {"a": "b"}},
        "RepoTags": ["i:t", None],
        "RepoDigests": ["i@sha256:3"],
        "Size": 5,
        "Created": "2026-11-27T00:00:00Z",
    }
    assert Image.from_inspect(inspected) == Image(
        "sha256:2", (("a", "b"),), ("i:t",), ("i@sha256:3",), 5, "2026-11-27T00:00:00Z"
    )


@pytest.mark.parametrize("port", ["", "²", "x", "0", "65536", "-1", " 22", None, 22, True, ["22"]])
def test_a_port_that_is_none(port):
    bindings = {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
    assert Container.from_inspect({"HostConfig": {"PortBindings": bindings}}).ports == ()


@pytest.mark.parametrize("text", ["0,", "-1", "1-", "0-1-2", "²", "a", "0\n", "0 1", 3, None])
def test_a_set_of_processors_that_is_none(text):
    assert Container.from_inspect({"HostConfig": {"CpusetCpus": text}}).cpuset == ""


@pytest.mark.parametrize("status", ["", "RUNNING", "running ", "flying", None, 1, ["running"]])
def test_a_state_that_is_none(status):
    seen = Container.from_inspect({"State": {"Status": status, "Running": "true"}})
    assert (seen.state, seen.running) == (State.UNKNOWN, False)


def test_labels_of_any_kind():
    labels = {"a": "b", "c": 1, "d": None, "e": ["f"], "": "", "\x1b": "\x07"}
    seen = Container.from_inspect({"Config": {"Labels": labels}})
    assert seen.labels == (("a", "b"), ("", ""), ("\x1b", "\x07"))


def paths(value, above=()):
    """Yield the path of every value within one."""
    yield above
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*above, key))


def replaced(path, value):
    """Return a copy of what was found with another value at a path."""
    if not path:
        return value
    copy = json.loads(json.dumps(FOUND))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def kinds_are_right(seen):
    assert {type(value) for value in seen} <= {str, int, float, bool, tuple, State}
    for value, default in zip(seen, Container(""), strict=True):
        assert type(value) is type(default)
    assert min(seen.pid, seen.exit_code, seen.restart_count, seen.memory, seen.cpus) >= 0
    assert all(0 < port.number < 65536 for port in seen.ports)
    texts = [part for row in (*seen.mounts, *seen.labels) for part in row if part is not True]
    assert all(isinstance(part, str) for part in texts if part is not False)


def test_every_value_may_be_any_other():
    for path in paths(FOUND):
        for odd in ODD:
            kinds_are_right(Container.from_inspect(replaced(path, odd)))


def test_several_values_may_be_any_others():
    source = random.Random(10)
    every = [path for path in paths(FOUND) if path]
    for _ in range(300):
        path = source.choice(every)
        found = replaced(path, source.choice(ODD))
        found |= {source.choice(list(FOUND)): source.choice(ODD)}
        kinds_are_right(Container.from_inspect(found))
