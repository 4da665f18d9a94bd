import os
import socket
import tempfile
import threading

import pytest

from containai.errors import SshConnectError
from containai.ssh import mux
from harness.master import Master, said


@pytest.fixture
def serve():
    """Return what has a control connection answer, and gives its path and what it was asked."""
    made = []
    # A socket's path holds 107 bytes only: the directories of tests may be longer.
    with tempfile.TemporaryDirectory(prefix="cai-") as directory:

        def serve(answer):
            path = os.path.join(directory, f"s{len(made)}")
            made.append(Master(path, answer))
            return path, made[-1].asked

        yield serve
        for each in made:
            each.close()


def run(path, line=b"true", **request):
    connection = mux.Connection(path, mux.Request(line, **request), (0, 1, 2))
    try:
        return connection.wait()
    finally:
        connection.close()


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_code_is_the_sessions(serve, code):
    path, _ = serve(lambda asked: code)
    assert run(path) == code


def test_a_session_without_a_code_has_none(serve):
    path, _ = serve(lambda asked: None)
    assert run(path) is None


def test_what_is_asked_for_arrives(serve):
    path, asked = serve(lambda asked: 0)
    run(path, b"echo \xff 'a b'", variables={"A": "b=c", "ODD": "\udcff\n"})
    assert asked[0][:3] == (b"echo \xff 'a b'", {"A": "b=c", "ODD": "\udcff\n"}, None)
    run(path, term="xterm")
    assert asked[1].term == "xterm"


def test_the_control_connection_writes_to_our_own_descriptors(serve):
    path, _ = serve(lambda asked: os.write(asked.descriptors[1], b"said") and 0)
    ours, theirs = os.pipe()
    connection = mux.Connection(path, mux.Request(b"true"), (0, theirs, 2))
    os.close(theirs)
    with open(ours, "rb") as file:
        assert file.read() == b"said"
    assert connection.wait() == 0
    connection.close()


def test_output_that_is_held_open_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(mux, "_MOMENT", 0.01)
    ended = threading.Event()

    def serve_code(asked):
        asked.send(said(0x80000004, 2, 7))
        return ended.wait(60) and None

    path, _ = serve(serve_code)
    connection = mux.Connection(path, mux.Request(b"true"), (0, 1, 2))
    assert connection.wait_for_output() == 7
    connection.close()
    ended.set()


@pytest.mark.parametrize("kind", [0x80000002, 0x80000003])
def test_a_session_that_is_refused_says_why(serve, kind):
    path, _ = serve(lambda asked: said(kind, 1, 9, text=b"too many\x1b"))
    with pytest.raises(mux.RefusedError, match="too many"):
        run(path)


@pytest.mark.parametrize(
    "noise",
    [b"\0", b"\xff\xff\xff\xff", b"\0\0\0\0", said(7), said(0x80000004), said(), b"\0\0\0\4" * 9],
)
def test_what_is_no_message_does_no_harm(serve, noise):
    path, _ = serve(lambda asked: noise)
    assert run(path) in (None, 0)


def test_nobody_there(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        run(str(tmp_path / "none"))


def test_a_box_that_does_not_answer_is_not_waited_for_endlessly(monkeypatch):
    monkeypatch.setattr(mux, "PATIENCE", 0.05)
    with (
        tempfile.TemporaryDirectory(prefix="cai-") as directory,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = os.path.join(directory, "s")
        listener.bind(path)
        listener.listen()
        connection = mux.Connection(path, mux.Request(b"true"), (0, 1, 2))
        with pytest.raises(SshConnectError, match="has not answered") as seen:
            connection.begin()
        assert "cai start" in seen.value.hint
        connection.close()


def test_a_session_that_begins_may_take_its_time(serve, monkeypatch):
    monkeypatch.setattr(mux, "PATIENCE", 5.0)
    go_on = threading.Event()
    path, _ = serve(lambda asked: 3 if go_on.wait(30) else None)
    connection = mux.Connection(path, mux.Request(b"true"), (0, 1, 2))
    connection.begin()
    assert connection.is_open
    go_on.set()
    assert connection.wait() == 3
    connection.close()
