import threading

import pytest

from containai.incus.errors import (
    CutError,
    ForbiddenError,
    ForgottenError,
    GarbageError,
    NotFoundError,
    OperationError,
    TimedOutError,
)
from harness.incus_server import Fault, Operation
from harness.waiting import until

HERE = "/1.0/instances"


@pytest.fixture
def operation(server):
    """What a POST begins."""
    begun = Operation(ends=False)
    server.handlers[f"POST {HERE}"] = lambda asked: begun
    return begun


def later(call, seconds=0.1):
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


@pytest.fixture(params=["6.0.4", "7.0"])
def version(request, server):
    server.is_old = request.param == "6.0.4"
    return request.param


def test_what_is_done_at_once(server, incus):
    server.handlers[f"PUT {HERE}"] = lambda asked: {"a": asked.query}
    assert incus.do("PUT", "/instances", {}, {"target": "a b&c"}) == {
        "a": {"project": "boxes", "target": "a b&c"}
    }


def test_what_takes_a_while(incus, operation, version):
    later(lambda: operation.end({"fingerprint": "f"}))
    assert incus.do("POST", "/instances") == {"fingerprint": "f"}


def test_what_fails_later_says_why(incus, operation, version):
    later(lambda: operation.end({"return": 3}, "Instance is broken"))
    with pytest.raises(OperationError) as caught:
        incus.do("POST", "/instances")
    assert (caught.value.text, caught.value.metadata) == ("Instance is broken", {"return": 3})


def test_an_old_server_that_has_forgotten_the_failure(server, incus, operation):
    server.is_old = True
    operation.end(err="Command not found")
    server.faults[f"GET /1.0/operations/{operation.id}"] = Fault("status", 404, "not found")
    with pytest.raises(OperationError, match="Command not found"):
        incus.do("POST", "/instances")


def test_what_never_ends_is_given_up(server, incus, operation, version):
    with pytest.raises(TimedOutError, match="cannot be cancelled"):
        incus.do("POST", "/instances", timeout=0.3)
    assert server.asked[-1].method == "DELETE"
    operation.may_cancel = True
    with pytest.raises(TimedOutError, match="was cancelled"):
        incus.do("POST", "/instances", timeout=0.3)
    assert operation.status == 401


def test_what_is_cancelled(incus, operation, version):
    operation.status = 401
    with pytest.raises(OperationError, match="was cancelled") as caught:
        incus.do("POST", "/instances")
    assert caught.value.code == 401


def test_what_the_server_has_forgotten(server, incus):
    """It is not that there is no such thing: nobody takes it for something that is gone."""
    with pytest.raises(ForgottenError, match="started again in the middle") as caught:
        incus.wait("nothing")
    assert not isinstance(caught.value, NotFoundError)
    assert "try again" in caught.value.hint


@pytest.mark.parametrize("kind", ["before", "mid", "status"])
def test_a_connection_that_breaks_meanwhile(server, incus, operation, kind):
    server.faults[f"GET /1.0/operations/{operation.id}/wait"] = Fault(
        kind, 503, "Shutting down", times=2
    )
    later(operation.end)
    assert incus.do("POST", "/instances") is not None
    assert sum(each.method == "POST" for each in server.asked) == 1


def test_a_server_that_does_not_come_back(server, incus, operation):
    server.faults[f"GET /1.0/operations/{operation.id}/wait"] = Fault("before")
    with pytest.raises(CutError):
        incus.do("POST", "/instances")


def test_its_progress_is_told(incus, operation, version):
    news = []
    operation.metadata = {
        "progress": {"stage": "unpack", "percent": "42", "speed": "1"},
        "create_instance_from_image_unpack_progress": "Unpack: 42% (1MB/s)",
    }

    def heard(text, share):
        news.append((text, share))
        operation.end()

    incus.wait(incus.send("POST", "/instances").operation, 20, heard)
    assert news == [("Unpack: 42% (1MB/s)", 0.42)]


@pytest.mark.parametrize("metadata", [[], 7, {"progress": 3}, {"progress": {"percent": "-1"}}])
def test_odd_progress_is_none(incus, operation, metadata):
    news = []
    operation.metadata = metadata

    def heard(text, share):
        news.append((text, share))
        operation.status = 200

    incus.wait(incus.send("POST", "/instances").operation, 20, heard)
    assert news == [("Doing it", None)]


def test_only_what_was_seen_is_changed(server, incus):
    server.handlers[f"GET {HERE}"] = server.handlers[f"PATCH {HERE}"] = lambda asked: {}
    etag = incus.read("/instances").etag
    assert etag == '"abc"'
    incus.send("PATCH", "/instances", {}, etag=etag)
    assert server.asked[-1].headers["if-match"] == etag


def test_a_stranger(stranger, identity):
    from containai.incus.client import Incus
    from containai.incus.tls import Address, Server

    client = Incus(Server((Address("127.0.0.1", stranger.port),), stranger.pin, identity))
    with pytest.raises(ForbiddenError, match="not authorized"):
        client.get("/instances")


def test_an_operation_that_is_none(server, incus):
    server.faults["GET /1.0/operations/x/wait"] = Fault(
        "garbage", text='{"type":"sync","metadata":[]}'
    )
    with pytest.raises(GarbageError):
        incus.wait("x")


def test_names_are_only_names(server, incus):
    with pytest.raises(ForgottenError):
        incus.wait("../instances?x=/y")
    until(lambda: server.asked)
    assert server.asked[-1].path == "/1.0/operations/..%2Finstances%3Fx%3D%2Fy/wait"
