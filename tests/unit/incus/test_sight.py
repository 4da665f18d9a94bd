"""What is seen of a server, and what of it a restricted certificate may not see."""

import email.utils
import time
from types import SimpleNamespace

import pytest

from containai.incus import judge, sight
from containai.incus.client import Incus
from containai.incus.errors import UnreachableError
from containai.incus.server import Member
from containai.incus.sight import Certificate, Unseen
from containai.incus.tls import Address, Server
from containai.work.actions import State
from harness.incus_server import Fault

from .of_places import INSIDE, RIGHT, instance, member, serve

SAID = b"".join(f"{path}:{line}\n".encode() for path, rows in INSIDE.items() for line in rows)


@pytest.fixture
def place(server):
    """A server that is right, with a box of ours that says so."""
    serve(server)
    server.execs.program = lambda running: running.end(0, SAID)
    return server


def handled(server, path, said):
    server.handlers[f"GET /1.0/{path}"] = lambda asked: said


def test_all_that_is_there(place, incus):
    seen = sight.look(incus)
    assert seen.certificate == Certificate(True, ("boxes",))
    assert seen.usage == {"instances": (20, 3)}
    assert (seen.profile, seen.pool, seen.network) == (RIGHT.profile, RIGHT.pool, RIGHT.network)
    assert seen.space == {"": (1 << 30, 30 << 30)}
    assert seen.features == {"idmapped_mounts": "true"}
    assert seen.inside.lines == INSIDE
    assert seen.ahead == 0
    found = judge.checks(seen, "boxes")
    assert {each.finding.state for each in found} == {State.OK}, found


def test_nothing_is_changed(place, incus):
    sight.look(incus)
    others = {(each.method, each.path) for each in place.asked if each.method != "GET"}
    assert others == {("POST", "/1.0/instances/api/exec")}


def test_what_is_refused_is_unseen_and_all_else_is_seen(place, incus):
    for path in list(place.handlers):
        place.faults[path] = Fault("status", 403, "Certificate is restricted")
    seen = sight.look(incus)
    for part in (seen.certificate, seen.usage, seen.profile, seen.boxes, seen.inside):
        assert "Certificate is restricted" in part.why
    # A server says either of a project that is not ours: there is none for us.
    assert seen.project is None
    place.faults = {"GET /1.0/storage-pools/fast/resources": Fault("status", 403, "no")}
    seen = sight.look(incus)
    assert isinstance(seen.space[""], Unseen)
    assert seen.pool == RIGHT.pool


@pytest.mark.parametrize(
    "fault",
    [Fault("garbage", text="<html>"), Fault("garbage", text='{"type":"sync","metadata":[1]}')],
)
def test_garbage_is_unseen(place, incus, fault):
    for path in ("profiles/default", "networks/br0", "storage-pools/fast", "projects/boxes/state"):
        place.faults = {f"GET /1.0/{path}": fault}
        found = judge.checks(sight.look(incus), "boxes")
        assert State.UNKNOWN in {each.finding.state for each in found}


def test_a_pool_that_is_not_there(place, incus):
    del place.handlers["GET /1.0/storage-pools/fast"]
    assert sight.look(incus).pool is None


def test_a_driver_that_does_not_tell_its_space(place, incus):
    handled(place, "storage-pools/fast/resources", {"space": {"used": 0, "total": 0}})
    assert isinstance(sight.look(incus).space[""], Unseen)


def test_a_stranger(stranger, identity):
    where = (Address("127.0.0.1", stranger.port),)
    with Incus(Server(where, stranger.pin, identity), "boxes") as incus:
        seen = sight.look(incus)
    assert not seen.about.is_trusted
    assert isinstance(seen.project, Unseen)
    assert [each.path for each in stranger.asked] == ["/1.0"]


def test_one_that_does_not_answer(place, identity):
    where = (Address("127.0.0.1", 1),)
    nobody = Incus(Server(where, place.pin, identity), patience=0)
    with nobody, pytest.raises(UnreachableError):
        sight.look(nobody)


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_that_is_off(place, incus, monkeypatch, off):
    here = SimpleNamespace(time=lambda: time.time() - off)
    monkeypatch.setattr(sight, "time", here)
    assert abs(sight.look(incus).ahead - off) < 30


def test_an_answer_without_a_date(place, incus, monkeypatch):
    def none(text):
        raise ValueError(text)

    monkeypatch.setattr(email.utils, "parsedate_to_datetime", none)
    assert sight.look(incus).ahead == Unseen("its answer has no date")


def test_a_cluster_has_space_on_each_member_that_is_there(place, incus):
    place.about["server_clustered"] = True
    rows = [member("a"), member("b"), member("c", "Offline", "gone")]
    keys = dict(zip(Member._fields, ("server_name", *Member._fields[1:]), strict=True))
    said = [{keys[key]: text for key, text in each._asdict().items()} for each in rows]
    handled(place, "cluster/members", said)
    asked = []

    def space(each):
        asked.append(each.query.get("target"))
        return {"space": {"used": 1, "total": 2}}

    place.handlers["GET /1.0/storage-pools/fast/resources"] = space
    seen = sight.look(incus)
    assert seen.members == rows
    assert asked == ["a", "b"]
    assert set(seen.space) == {"a", "b"}


@pytest.mark.parametrize(("owner", "status"), [("another", "Running"), ("ours", "Stopped")])
def test_into_no_box_but_a_running_one_of_ours_is_looked(place, incus, owner, status):
    own = next(iter(place.trusted)) if owner == "ours" else owner
    handled(place, "instances", [instance("api", own, status)])
    assert "none of yours runs" in sight.look(incus).inside.why
    assert not place.execs.running


def test_a_box_that_says_too_much_or_something_else(place, incus):
    place.execs.program = lambda running: running.end(0, b"x" * (1 << 20))
    assert "api does not say" in sight.look(incus).inside.why
    place.execs.program = lambda running: running.end(2, b"/etc/shadow:x\n\xff\n/etc/subuid:a:b\n")
    assert sight.look(incus).inside.lines == {"/etc/subuid": ("a:b",)}
