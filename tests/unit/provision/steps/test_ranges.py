import json
import os

import pytest

from containai.engine import daemon
from containai.engine.client import Engine
from containai.host import files
from containai.provision.steps import ranges
from containai.provision.steps.ranges import Ranges
from containai.work.actions import Run, WriteFile

ONE, OTHER = "1" * 64, "2" * 64
#: What is at a path of the machine's own, in these tests.
GIVEN = {}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine whose users and kernel say what a test has given."""
    read = files.read
    GIVEN.clear()

    def said(path):
        return GIVEN.get(path) if path.startswith(("/etc/", "/proc/")) else read(path)

    monkeypatch.setattr(files, "read", said)
    monkeypatch.setattr(daemon, "answering", lambda host: True)


def answers(host, *lines):
    host.answer("sh", "-c", ranges._READ, out="".join(f"{line}\n" for line in lines))


def record(base):
    return json.dumps({"base": base, "witness": "/upper", "cgroup": "/docker/x", "stored": 0})


def test_records_that_can_be_read(host):
    answers(host, f"{ONE} {record(5)}", f"{OTHER} {record(6)}")
    assert Ranges().check(host)[:2] == (True, "2 in use")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"base": true, "witness": "", "cgroup": ""}', "[" * 5000]
)
def test_a_damaged_record_of_a_box_that_runs_is_written_anew(host, monkeypatch, text):
    answers(host, f"{ONE} {record(5)}", f"{OTHER} {text}")
    known = {
        "State": {"Pid": 77, "Status": "running"},
        "GraphDriver": {"Data": {"UpperDir": "/data/upper"}},
    }
    monkeypatch.setattr(Engine, "inspect", lambda self, kind, name: known)
    GIVEN["/proc/77/uid_map"] = "         0    262144    262144\n"
    GIVEN["/proc/77/cgroup"] = f"4:memory:/docker/{OTHER}/init.scope/{OTHER}\n0::/\n"
    found = Ranges().check(host)
    assert (found.ok, OTHER[:12] in found.seen) == (False, True)
    [write] = Ranges().plan(host, found)
    assert isinstance(write, WriteFile)
    assert write.path == os.path.join(host.layout.runtime_state, "ranges", f"{OTHER}.json")
    assert json.loads(write.text) == {
        "base": 262144,
        "witness": "/data/upper",
        "cgroup": f"/docker/{OTHER}",
        "stored": host.layout.stored_ids[0],
    }


def test_a_damaged_record_of_what_does_not_run_goes(host, monkeypatch):
    answers(host, f"{ONE} {{")
    monkeypatch.setattr(Engine, "inspect", lambda self, kind, name: None)
    found = Ranges().check(host)
    path = os.path.join(host.layout.runtime_state, "ranges", f"{ONE}.json")
    assert Ranges().plan(host, found) == [Run(["rm", "-f", path])]


def test_a_record_of_no_container_is_not_touched(host):
    answers(host, "../../etc/passwd x")
    assert Ranges().check(host).ok


def test_who_is_given_ids_of_a_box(host):
    base = 262144
    answers(host, f"{ONE} {record(base)}")
    GIVEN["/etc/passwd"] = "root:x:0:0\nme:x:1000:1000:\n"
    GIVEN["/etc/subuid"] = "me:100000:65536\n"
    assert Ranges().check(host).ok
    GIVEN["/etc/subuid"] += "other:500000:65536\n"
    found = Ranges().check(host)
    assert not found.ok
    assert found.hint == "run: sudo usermod --del-subuids 500000-565535 other"
    GIVEN["/etc/passwd"] += f"new:x:{base + 3}:1\n"
    found = Ranges().check(host)
    assert (found.ok, f"the user new has the id {base + 3}" in found.seen) == (False, True)
    assert found.hint == "run: sudo usermod --uid 1001 new"
    assert Ranges().plan(host, found) == []


def test_ids_that_workspaces_have_on_disk_are_nobodys(host):
    answers(host)
    GIVEN["/etc/group"] = f"new:x:{host.layout.stored_ids[0]}:\n"
    assert Ranges().check(host).hint == "run: sudo groupmod --gid 1001 new"
