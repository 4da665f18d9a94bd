import pytest

from containai.incus import files
from containai.incus.errors import GarbageError, IncusError, NotFoundError
from containai.incus.files import Entry
from harness.incus_server import Refused

PATH = "/1.0/instances/a/files"


@pytest.fixture
def box(server):
    """The files of an instance: (kind, uid, gid, mode, content) by path, as Incus keeps them."""
    there = {}

    def post(asked):
        path, said = asked.query["path"], asked.headers
        kind = said["x-incus-type"]
        if path in there:
            if there[path][0] != kind:
                raise Refused(500, "it is another kind")
            if kind == "file":
                there[path] = (*there[path][:4], asked.body)
            return {}
        # strconv.ParseInt(mode, 0, 0): octal only where a 0 is first.
        mode = int(said["x-incus-mode"], 8 if said["x-incus-mode"].startswith("0") else 10)
        there[path] = (kind, int(said["x-incus-uid"]), int(said["x-incus-gid"]), mode, asked.body)
        return {}

    def get(asked):
        if asked.query["path"] not in there:
            raise Refused(404, "not found")
        kind, uid, gid, mode, content = there[asked.query["path"]]
        headers = {"X-Incus-type": kind, "X-Incus-uid": str(uid), "X-Incus-gid": str(gid)}
        return headers | {"X-Incus-mode": f"{mode:04o}"}, content

    def delete(asked):
        if there.pop(asked.query["path"], None) is None:
            raise Refused(404, "not found")
        return {}

    for method, call in (("POST", post), ("GET", get), ("HEAD", get), ("DELETE", delete)):
        server.handlers[f"{method} {PATH}"] = call
    return there


def test_a_new_file_is_never_open_to_others(box, server, incus):
    box["/k"] = ("file", 0, 0, 0o666, b"theirs")
    files.push(incus, "a", "/k", b"secret", uid=1000, gid=1001, mode=0o600)
    assert box["/k"] == ("file", 1000, 1001, 0o600, b"secret")
    # What was there is removed, so that owner and mode count; and nothing is in it until they do.
    assert [(each.method, each.body) for each in server.asked] == [
        ("DELETE", b""), ("POST", b""), ("POST", b"secret"),
    ]  # fmt: skip
    assert server.asked[1].headers["content-type"] == "application/octet-stream"


def test_a_link_there_is_removed(box, incus):
    box["/k"] = ("symlink", 0, 0, 0o777, b"/etc/shadow")
    files.push(incus, "a", "/k", b"x", uid=0, gid=0, mode=0o644)
    assert box["/k"] == ("file", 0, 0, 0o644, b"x")


def test_odd_paths(box, incus):
    files.push(incus, "a", "/ä ?&#%", b"x", uid=0, gid=0, mode=0o644)
    assert [path.encode("latin-1").decode() for path in box] == ["/ä ?&#%"]


def test_directories(box, incus):
    files.make_directory(incus, "a", "/d", uid=1, gid=2, mode=0o700)
    files.make_directory(incus, "a", "/d")
    assert box["/d"] == ("directory", 1, 2, 0o700, b"")
    with pytest.raises(IncusError, match="another kind"):
        files.empty(incus, "a", "/d")


def test_emptying_keeps_the_owner(box, incus):
    box["/etc/machine-id"] = ("file", 0, 0, 0o444, b"x" * 32)
    files.empty(incus, "a", "/etc/machine-id")
    assert box["/etc/machine-id"] == ("file", 0, 0, 0o444, b"")


def test_reading(box, incus):
    box["/f"] = ("file", 1, 2, 0o640, b"x" * 100)
    box["/l"] = ("symlink", 1, 2, 0o777, b"/f")
    box["/d"] = ("directory", 1, 2, 0o755, b"{}")
    assert files.look(incus, "a", "/f") == Entry("file", 1, 2, 0o640)
    assert files.look(incus, "a", "/none") is None
    assert files.read(incus, "a", "/f") == b"x" * 100
    assert [files.read(incus, "a", path) for path in ("/l", "/d", "/none")] == [None] * 3
    with pytest.raises(GarbageError, match="more than 99 bytes"):
        files.read(incus, "a", "/f", limit=99)


def test_what_becomes_a_link_meanwhile_is_not_read(box, server, incus):
    box["/f"] = ("file", 0, 0, 0o644, b"x")
    server.handlers[f"GET {PATH}"] = lambda asked: ({"X-Incus-type": "symlink"}, b"/elsewhere")
    assert files.read(incus, "a", "/f") is None


def test_a_server_that_does_not_say_what_it_is(server, incus):
    server.handlers[f"HEAD {PATH}"] = lambda asked: ({}, b"")
    with pytest.raises(GarbageError):
        files.look(incus, "a", "/f")


def test_deleting(box, incus):
    box["/f"] = ("file", 0, 0, 0o644, b"x")
    assert files.delete(incus, "a", "/f")
    assert not files.delete(incus, "a", "/f")


def test_without_the_instance(server, incus):
    with pytest.raises(NotFoundError):
        files.make_directory(incus, "a", "/d")
