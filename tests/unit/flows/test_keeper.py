"""The process that keeps spare boxes: what it is asked, and when it ends."""

import contextlib
import os
import signal
import socket

import pytest

from containai.boxes import claims
from containai.boxes.claiming import NoSpareError
from containai.errors import ContainAIError
from containai.flows import keeper
from harness.waiting import until


@pytest.fixture
def layout(app):
    os.makedirs(app.layout.control_dir, mode=0o700, exist_ok=True)
    return app.layout


@pytest.fixture
def kept(layout, monkeypatch, tmp_path):
    """Have the process; it notes what it is to do, and answers that it took a spare box."""
    notes = tmp_path / "notes"
    notes.touch()

    def note(text):
        with notes.open("a") as file:
            file.write(f"{text}\n")

    def answer(_, connection, request):
        note(f"{request.what}: box for {request.path} in {request.directory}")
        keeper._say(connection, ["cai: took one\n"])

    monkeypatch.setattr(keeper, "PAUSE", 0.05)
    monkeypatch.setattr(keeper, "_has_reason", lambda *_: True)
    monkeypatch.setattr(keeper, "_make", lambda _, environ: note(f"make {environ.get('SHOW', '')}"))
    monkeypatch.setattr(keeper, "_answer", answer)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            keeper._keep(layout)
        os._exit(0)
    # Its socket is there a moment before it listens.
    until(lambda: claims.ask(layout, claims.LOOK) == [])
    yield notes
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def is_gone(layout):
    return not os.path.exists(claims.socket_path(layout))


def test_a_box_for_a_path(layout, kept, monkeypatch):
    monkeypatch.setenv("SHOW", "mine")
    assert claims.box(layout, "/w") == ["cai: took one\n"]
    assert f"claim: box for /w in {os.getcwd()}" in kept.read_text()
    # Another is made in its place, with the settings of whoever was the last.
    until(lambda: "make mine\n" in kept.read_text())


def test_whoever_can_be_asked_something_says_so(layout, kept, monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda _: True)
    assert claims.box(layout, "/w") == ["cai: took one\n"]
    assert "claim at a terminal: box for /w" in kept.read_text()


def test_nobody_keeps_any(layout):
    assert claims.box(layout, "/w") is None
    assert claims.ask(layout, claims.END) is None


def test_a_directory_that_others_can_enter_has_no_keeper(layout, kept):
    os.chmod(layout.control_dir, 0o755)
    assert claims.box(layout, "/w") is None
    os.chmod(layout.control_dir, 0o700)


def test_one_is_enough(layout, kept):
    with pytest.raises(ContainAIError, match="another cai"):
        keeper._keep(layout)
    assert claims.ask(layout, claims.LOOK) == []


def test_it_ends_when_it_is_told_to(layout, kept):
    assert claims.ask(layout, claims.END) is None
    until(lambda: is_gone(layout))


def test_it_ends_where_another_source_asks(layout, kept, monkeypatch):
    monkeypatch.setattr(claims, "version", lambda: "later")
    assert claims.box(layout, "/w") is None
    until(lambda: is_gone(layout))
    assert "box" not in kept.read_text()


def test_what_is_no_request_is_heard_and_forgotten(layout, kept):
    for raw in (b"", b"claim", b"\0\0", b"\xff" * 100):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.connect(claims.socket_path(layout))
            asking.sendall(raw)
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(100) == b""
    assert claims.box(layout, "/w") == ["cai: took one\n"]


def test_an_answer_that_ends_in_the_middle_is_none(layout):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(claims.socket_path(layout))
        listener.listen()
        if (child := os.fork()) == 0:
            connection, _ = listener.accept()
            while connection.recv(1 << 16):
                pass
            connection.sendall(b"cai: took")
            os._exit(0)
        assert claims.ask(layout, claims.CLAIM, "/w") is None
        os.waitpid(child, 0)


def test_who_asks_is_asked_nothing():
    user = keeper._Asking()
    user.say("a")
    user.tell("b\n")
    assert user.said == ["cai: a\n", "b\n"]
    with pytest.raises(NoSpareError):
        user.ask("really?")
    with pytest.raises(NoSpareError):
        user.step("build", 1, 1)
