"""Pinned downloads, from a server on loopback that answers as asked."""

import errno
import hashlib
import http.server
import os
import threading

import pytest

from containai.errors import DownloadError, NoSpaceError
from containai.host import download
from containai.host.machine import Machine
from containai.host.proc import Programs
from containai.work.actions import Pin
from harness.host import HOST

#: Larger than a chunk, and no multiple of one. Its last byte is none that tests put there.
CONTENT = os.urandom(700_000) + b"\1"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.asked, self.over = [], threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.server.asked.append(self.path)
        match self.path.strip("/").split("/")[0]:
            case "whole.deb" | "unsized":
                self._say(CONTENT, None if "unsized" in self.path else len(CONTENT))
            case "moved":
                self.send_response(302)
                self.send_header("Location", "/whole.deb")
                self.end_headers()
            case "short":
                self._say(CONTENT[:1000], len(CONTENT))
            case "other":
                self._say(CONTENT[:-1] + b"\0", len(CONTENT))
            case "silent":
                self.server.over.wait(20)
            case "stalls":
                self._say(CONTENT[:1000], len(CONTENT))
                self.wfile.flush()
                self.server.over.wait(20)
            case _:
                self.send_error(404)

    def _say(self, content, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.over.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def keep(monkeypatch):
    """Run what is meant for root as whoever runs the tests."""
    monkeypatch.setattr(Programs, "as_root", lambda host, argv: list(argv))


def pin(server, path="whole.deb", size=1 << 20, digest=DIGEST):
    host, port = server.server_address
    return Pin(f"http://{host}:{port}/{path}", digest, size)


def fetch(wanted, directory, **more):
    seen = []
    path = download.fetch(HOST, wanted, str(directory), lambda *each: seen.append(each), **more)
    return path, seen


def refused(wanted, directory, error=DownloadError, **more):
    """Return what is said where nothing may be kept."""
    with pytest.raises(error) as caught:
        fetch(wanted, directory, **more)
    assert not directory.exists() or list(directory.iterdir()) == []
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("path", ["whole.deb", "moved/x.deb", "unsized/x.deb"])
def test_what_is_pinned_is_kept(server, keep, tmp_path, path):
    got, seen = fetch(pin(server, path), tmp_path / "kept")
    with open(got, "rb") as file:
        assert file.read() == CONTENT
    assert got == str(tmp_path / "kept" / path.split("/")[-1])
    assert os.stat(got).st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path / "kept") == [os.path.basename(got)]
    parts = [part for _, part in seen if part is not None]
    assert parts == sorted(parts)
    assert ("unsized" in path) or parts[-1] == 1.0


def test_what_is_kept_is_not_fetched_again(server, keep, tmp_path):
    fetch(pin(server), tmp_path)
    fetch(pin(server), tmp_path)
    assert server.asked == ["/whole.deb"]


def test_what_was_changed_since_is_fetched_again(server, keep, tmp_path):
    got, _ = fetch(pin(server), tmp_path)
    with open(got, "ab") as file:
        file.write(b"more")
    assert download.kept(pin(server), str(tmp_path)) is None
    fetch(pin(server), tmp_path)
    assert download.kept(pin(server), str(tmp_path)) == got


def test_another_file_is_refused(server, keep, tmp_path):
    said = refused(pin(server, "other/x.deb"), tmp_path / "kept")
    assert DIGEST in said
    assert hashlib.sha256(CONTENT[:-1] + b"\0").hexdigest() in said


def test_a_short_file_is_refused(server, keep, tmp_path):
    said = refused(pin(server, "short/x.deb"), tmp_path / "kept")
    assert f"broke off after 1000 of {len(CONTENT)} bytes" in said


def test_an_answer_without_the_file(server, keep, tmp_path):
    assert "404" in refused(pin(server, "nothing.deb"), tmp_path / "kept")


@pytest.mark.parametrize("path", ["whole.deb", "unsized/x.deb"])
def test_more_than_it_can_be_is_refused(server, keep, tmp_path, path):
    assert "larger" in refused(pin(server, path, size=600_000), tmp_path / "kept")


def test_nobody_listens(keep, tmp_path):
    wanted = Pin("http://127.0.0.1:1/x.deb", DIGEST, 1 << 20)
    assert "refused" in refused(wanted, tmp_path / "kept")


def test_a_name_that_does_not_exist(keep, tmp_path, monkeypatch):
    wanted = Pin("http://nowhere.invalid/x.deb", DIGEST, 1 << 20)
    monkeypatch.setattr(download, "ANSWER_TIMEOUT", 1.0)
    assert "nowhere.invalid/x.deb cannot be had" in refused(wanted, tmp_path / "kept")


@pytest.mark.parametrize("path", ["silent/x.deb", "stalls/x.deb"])
def test_a_server_that_says_nothing_is_not_waited_for(server, keep, tmp_path, path, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_TIMEOUT", 0.3)
    said = refused(pin(server, path), tmp_path / "kept")
    assert "no answer" in said or "timed out" in said


def test_a_transfer_that_never_ends_is_given_up(server, keep, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TRANSFER_TIMEOUT", -1.0)
    assert "not there after" in refused(pin(server), tmp_path / "kept")


def test_no_room_is_said_before_the_transfer(server, keep, tmp_path, monkeypatch):
    monkeypatch.setattr(Machine, "free_bytes", lambda host, path: 1000)
    assert "no room" in refused(pin(server), tmp_path / "kept", NoSpaceError)


def test_a_disk_that_fills_up_is_named(server, keep, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    assert "full" in refused(pin(server), tmp_path / "kept", NoSpaceError)


def test_the_copy_of_root_is_checked_too(server, keep, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_check", lambda *_: None)
    with pytest.raises(download.proc.ProcessError):
        fetch(pin(server, "other/x.deb"), tmp_path / "kept")
    assert os.listdir(tmp_path / "kept") == []


def test_a_directory_instead_of_the_network(keep, tmp_path):
    brought = tmp_path / "brought"
    brought.mkdir()
    (brought / "x.deb").write_bytes(CONTENT)
    wanted = Pin("http://127.0.0.1:1/v1/x.deb", DIGEST, 1 << 20)
    got, _ = fetch(wanted, tmp_path / "kept", offline=str(brought))
    assert download.kept(wanted, str(tmp_path / "kept")) == got

    (brought / "x.deb").write_bytes(CONTENT[:-1])
    assert DIGEST in refused(wanted, tmp_path / "other", offline=str(brought))
    (brought / "x.deb").unlink()
    assert "No such file" in refused(wanted, tmp_path / "other", offline=str(brought))
