import json
import queue

import pytest

from containai.incus import exec as execution
from containai.incus.errors import CutError, GarbageError, IncusError, NotFoundError, TimedOutError
from containai.incus.exec import Command
from harness.incus_exec import BINARY, TEXT, frame
from harness.incus_server import Fault

CAT = Command(["cat"], uid=1000, gid=1000, cwd="/home", env={"A": "b"})


@pytest.fixture
def runs(server):
    """Have a function be the program of what is run."""

    def have(program):
        server.execs.program = program
        return server.execs.running

    return have


def cat(running):
    running.end(3, running["0"].read_all(), b"wrong\n")


def test_a_command(runs, server, incus):
    running = runs(cat)
    data = bytes(range(256)) * 1000
    ended = execution.run(incus, "a", CAT, data)
    assert (ended.code, ended.out, ended.err) == (3, data, b"wrong\n")
    asked = running[0].asked
    assert asked["command"] == ["cat"]
    assert (asked["user"], asked["group"], asked["cwd"]) == (1000, 1000, "/home")
    assert asked["environment"] == {"A": "b"}
    assert asked["wait-for-websocket"] is True
    assert asked["interactive"] is False
    assert server.asked[0].path == "/1.0/instances/a/exec"
    # The connection is free again.
    assert execution.run(incus, "a", CAT).out == b""


def test_much_is_said(runs, incus):
    whole = b"x" * 3_000_000
    runs(lambda running: running.end(0, whole, whole))
    heard = []
    ended = execution.run(incus, "a", CAT, on_out=heard.append)
    assert ended.out == ended.err == b"".join(heard) == whole


@pytest.mark.parametrize(
    ("text", "code"), [("Command not found", 127), ("Command not executable", 126)]
)
@pytest.mark.parametrize("is_old", [True, False])
def test_what_cannot_be_started(runs, server, incus, text, code, is_old):
    def program(running):
        running.end(code)
        running.operation.err, running.operation.status = text, 400

    server.is_old = is_old
    runs(program)
    assert execution.run(incus, "a", CAT).code == code


def test_one_that_does_not_end_is_killed(runs, incus):
    came = queue.Queue()

    def program(running):
        came.put(running["control"].came.get(timeout=20))

    running = runs(program)
    with pytest.raises(TimedOutError, match="has not ended within"):
        execution.run(incus, "a", CAT, timeout=0.5)
    kind, payload = came.get(timeout=20)
    assert (kind, json.loads(payload)) == (TEXT, {"command": "signal", "signal": 9})
    # Nothing is left there that could keep it.
    assert all(running[0][name].is_lost.wait(20) for name in ("0", "1", "2", "control"))


def test_one_that_says_too_much_is_killed(runs, incus):
    running = runs(lambda running: running["1"].say(b"x" * 2000))
    with pytest.raises(GarbageError, match="more than 1000 bytes"):
        execution.run(incus, "a", CAT, limit=1000)
    assert running[0]["control"].is_lost.wait(20)


@pytest.mark.parametrize("name", ["1", "2"])
def test_a_stream_that_breaks(runs, incus, name):
    def program(running):
        running[name].say(b"some")
        running[name].cut()

    running = runs(program)
    with pytest.raises(CutError):
        execution.run(incus, "a", CAT)
    assert running[0]["control"].is_lost.wait(20)


def test_one_that_reads_nothing_may_end(runs, incus):
    def program(running):
        running["0"].cut()
        running.end(0, b"fine")

    runs(program)
    assert execution.run(incus, "a", CAT, b"x" * 10_000_000).out == b"fine"


def test_output_in_odd_frames(runs, incus):
    def program(running):
        out = running["1"]
        out.raw(frame(BINARY, b"a", last=False) + frame(0, b"b", last=False) + frame(0, b"c"))
        out.raw(frame(TEXT, b"whatever") + frame(BINARY, b"too late"))
        running.end(0)

    runs(program)
    assert execution.run(incus, "a", CAT).out == b"abc"


def test_garbage_on_a_stream(runs, incus):
    runs(lambda running: running["1"].raw(b"\xff\xff\xff\xff"))
    with pytest.raises(GarbageError):
        execution.run(incus, "a", CAT)


def test_a_stream_that_cannot_be_connected(server, incus):
    server.execs.stream = lambda secret: None
    with pytest.raises(IncusError, match="not found"):
        execution.run(incus, "a", CAT)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", 404, "Instance not found"), NotFoundError),
        (Fault("status", 400, "Instance is not running"), IncusError),
        (Fault("garbage", text='{"type":"sync","metadata":{}}'), GarbageError),
        (Fault("before"), CutError),
    ],
)
def test_what_is_refused(server, incus, fault, kind):
    server.faults["POST /1.0/instances/a/exec"] = fault
    with pytest.raises(kind):
        execution.run(incus, "a", CAT)


def test_how_it_ended_is_forgotten(runs, server, incus):
    def program(running):
        server.operations.clear()
        running.end(0)

    runs(program)
    with pytest.raises(IncusError, match="forgotten"):
        execution.run(incus, "a", CAT)


def test_after_a_loss_the_next_request_is_answered(runs, incus):
    runs(lambda running: running["1"].cut())
    with pytest.raises(CutError):
        execution.run(incus, "a", CAT)
    # The wait, which ends by itself, has the other connection.
    assert incus.get("/projects")
