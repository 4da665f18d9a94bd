import pytest

from containai.incus import errors, wire
from containai.incus.errors import (
    ChangedError,
    ConflictError,
    CutError,
    ForbiddenError,
    GarbageError,
    IncusError,
    NotFoundError,
    TimedOutError,
    UnavailableError,
)
from containai.incus.message import Answer
from harness.incus_server import Fault

HERE = "/1.0/instances"


@pytest.fixture
def things(server):
    """A server with something to get, to change and to make."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        server.handlers[f"{method} {HERE}"] = lambda asked: ["a"]
    return server


def fail(server, method, *fault, **more):
    server.faults[f"{method} {HERE}"] = Fault(*fault, **more)


def count(server, method):
    return sum(each.method == method for each in server.asked)


def test_one_connection_is_kept(things, incus):
    for _ in range(3):
        assert incus.get("/instances") == ["a"]
        incus.send("POST", "/instances", {"b": 1})
    assert things.connections == 1
    assert things.asked[0].query == {"project": "boxes"}
    assert things.asked[1].value == {"b": 1}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, IncusError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, ChangedError),
        (500, IncusError),
        (501, IncusError),
        (502, IncusError),
        (503, UnavailableError),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_statuses(things, incus, code, kind, method):
    fail(things, method, "status", code, "why\u001b not")
    with pytest.raises(IncusError) as caught:
        incus.send(method, "/instances")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.text) == (code, "why\u001b not")
    assert caught.value.exit_code == 31
    # The connection is as good as before: the body ended in two lines more than it needs.
    things.faults.clear()
    assert incus.get("/instances") == ["a"]
    assert things.connections == 1


def test_a_reason_is_kept_short(things, incus):
    fail(things, "GET", "status", 500, "x" * 100_000)
    with pytest.raises(IncusError) as caught:
        incus.get("/instances")
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("kind", ["before", "mid"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_may_be_done_is_not_asked_twice(things, incus, method, kind):
    incus.get("/instances")
    fail(things, method, kind, times=1)
    with pytest.raises(CutError):
        incus.send(method, "/instances", {"a": 1})
    assert count(things, method) == (1 if kind == "mid" else 0)
    assert incus.get("/instances") == ["a"]


@pytest.mark.parametrize("kind", ["before", "mid"])
def test_a_get_on_a_stale_connection_is_asked_again_once(things, incus, kind):
    incus.get("/instances")
    fail(things, "GET", kind, times=1)
    assert incus.get("/instances") == ["a"]
    fail(things, "GET", kind)
    with pytest.raises(CutError):
        incus.get("/instances")
    assert things.faults[f"GET {HERE}"].times + 2 == 1 << 30


def test_a_get_on_a_new_connection_is_not_asked_again(things, incus):
    fail(things, "GET", "before")
    with pytest.raises(CutError):
        incus.get("/instances")
    assert things.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_ended_meanwhile_is_made_anew(things, incus, method):
    fail(things, "GET", "after", times=1)
    incus.get("/instances")
    from harness.waiting import until

    until(incus.wire._link.is_stale, 5)
    assert incus.send(method, "/instances").value == ["a"]
    assert things.connections == 2


def test_a_connection_that_nobody_used_for_long_is_for_a_get_only(things, incus, monkeypatch):
    incus.get("/instances")
    monkeypatch.setattr(wire, "_IDLE", -1.0)
    incus.get("/instances")
    assert things.connections == 1
    incus.send("POST", "/instances")
    assert things.connections == 2


def test_a_server_that_starts_is_asked_again(things, incus):
    fail(things, "GET", "status", 503, "Daemon is starting up", times=1)
    assert incus.get("/instances") == ["a"]


def test_one_that_never_starts_is_given_up(things, incus):
    fail(things, "GET", "status", 503, "Daemon is starting up")
    with pytest.raises(UnavailableError):
        incus.get("/instances")
    assert 2 <= (1 << 30) - things.faults[f"GET {HERE}"].times <= 4


@pytest.mark.parametrize(
    ("method", "text"), [("GET", "Shutting down"), ("POST", "Daemon is starting up")]
)
def test_nothing_else_is_asked_again(things, incus, method, text):
    fail(things, method, "status", 503, text)
    with pytest.raises(UnavailableError, match=text):
        incus.send(method, "/instances")
    assert (1 << 30) - things.faults[f"{method} {HERE}"].times == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", [Fault("slow", 1), Fault("trickle", 20)])
def test_a_slow_server(things, incus, method, fault):
    things.faults[f"{method} {HERE}"] = fault
    with pytest.raises(TimedOutError):
        incus.wire.request(method, incus.target("/instances"), timeout=0.2)


def test_an_answer_has_an_end(things, incus):
    fail(things, "GET", "huge", 100_000)
    with pytest.raises(GarbageError, match="more than 1000 bytes"):
        incus.wire.request("GET", incus.target("/instances"), limit=1000)
    things.faults.clear()
    assert incus.get("/instances") == ["a"]


@pytest.mark.parametrize("where", ["https://elsewhere.example/", "/1.0/instances?project=boxes"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_sent_elsewhere(things, incus, method, where):
    fail(things, method, "redirect", text=where)
    with pytest.raises(GarbageError, match="not followed"):
        incus.send(method, "/instances")
    assert not things.asked


@pytest.mark.parametrize("text", ["", "<html>", "[1]", "7", "[" * 100_000, "\x00", '{"type":'])
def test_what_is_no_json(things, incus, text):
    fail(things, "GET", "garbage", text=text)
    with pytest.raises(GarbageError):
        incus.get("/instances")


@pytest.mark.parametrize("text", ["{}", '{"type":"async"}', '{"type":"async","metadata":{"id":7}}'])
def test_what_is_json_of_somebody_else(things, incus, text):
    fail(things, "GET", "garbage", text=text)
    with pytest.raises(GarbageError, match="not as Incus has it"):
        incus.get("/instances")


@pytest.mark.parametrize(
    "text",
    [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 abc X\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nX: " + "a" * 100_000,
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_what_is_no_http(things, incus, text):
    fail(things, "GET", "raw", text=text)
    with pytest.raises(GarbageError):
        incus.get("/instances")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HTTP/1.1 200 OK\r\nConten",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        'HTTP/1.1 200 OK\r\n\r\n{"type":"sy',
    ],
)
def test_what_breaks_off(things, incus, text):
    fail(things, "GET", "raw", text=text)
    with pytest.raises(CutError):
        incus.get("/instances")


WHOLE = '{"type":"sync","metadata":7}'


@pytest.mark.parametrize(
    "text",
    [
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1C\r\n{WHOLE}\r\n0\r\n\r\n",
        f"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{WHOLE}",
    ],
)
def test_how_an_answer_can_be_framed(things, incus, text):
    fail(things, "GET", "raw", text=text)
    assert incus.get("/instances") == 7


def test_nothing_slips_into_a_head():
    with pytest.raises(ValueError, match="line's end"):
        wire.head("GET", "/1.0", "host", {"X": "a\r\nHost: b"})


def test_a_status_of_success_is_no_upgrade():
    assert isinstance(wire.failure(Answer(200, {}, b"{}")), GarbageError)


def test_the_tree_of_errors_is_as_drawn():
    drawn = set(errors.__doc__.split())
    made = [name for name in vars(errors) if name.endswith("Error")]
    assert set(made) <= drawn
    assert len(made) == 15
