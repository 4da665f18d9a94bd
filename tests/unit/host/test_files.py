import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from containai.errors import ContainAIError, NoSpaceError
from containai.host import files
from harness.host import HOST

HOLDER = """
import sys
from containai.host import files
with files.lock(sys.argv[1], wait=0, what="x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Return a lock's path and the process that holds it."""
    path = str(tmp_path / "state" / "x.lock")
    argv = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        yield path, child
        child.stdin.close()


def test_what_others_write_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(b"1234")
    assert files.read_beneath(str(tmp_path), "in", "x", limit=4) == b"1234"
    assert files.read_beneath(str(tmp_path), "in", "y", limit=4) is None
    assert files.read_beneath(str(tmp_path), "out", "x", limit=4) is None
    assert files.read_beneath(str(tmp_path / "gone"), "in", "x", limit=4) is None
    with pytest.raises(OSError, match="more than 3 bytes"):
        files.read_beneath(str(tmp_path), "in", "x", limit=3)


@pytest.mark.parametrize("link", ["in", "in/x"])
def test_what_others_write_is_read_through_no_link(tmp_path, link):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_bytes(b"secret")
    if link == "in/x":
        (tmp_path / "in").mkdir()
    (tmp_path / link).symlink_to(tmp_path / ("there/x" if link == "in/x" else "there"))
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        files.read_beneath(str(tmp_path), "in", "x", limit=9)


def test_read(tmp_path):
    assert files.read(str(tmp_path / "gone")) is None
    (tmp_path / "x").write_bytes(b"a\xff\n")
    assert files.read(str(tmp_path / "x" / "y")) is None
    text = files.read(str(tmp_path / "x"))
    assert text is not None
    files.write(str(tmp_path / "y"), text)
    assert (tmp_path / "y").read_bytes() == b"a\xff\n"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_write_sets_the_mode_whatever_the_umask(tmp_path, mode):
    before = os.umask(0o077)
    try:
        files.write(str(tmp_path / "x"), "1", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_write_replaces_the_target_of_a_link(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "target").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("d/target")
    files.write(str(tmp_path / "link"), "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "d" / "target").read_text(encoding="utf-8") == "new"
    assert os.listdir(tmp_path / "d") == ["target"]


def test_write_is_whole_or_not_at_all(tmp_path, monkeypatch):
    files.write(str(tmp_path / "x"), "old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpaceError, match=str(tmp_path / "x")):
        files.write(str(tmp_path / "x"), "new")
    assert files.read(str(tmp_path / "x")) == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_readers_see_the_old_file_or_the_new(tmp_path):
    files.write(str(tmp_path / "x"), "old")
    with open(tmp_path / "x", encoding="utf-8") as reader:
        files.write(str(tmp_path / "x"), "new")
        assert reader.read() == "old"


def test_remove(tmp_path):
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    files.remove(str(tmp_path / "link"))
    files.remove(str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["target"]


def test_lock_times_out(held):
    path, _ = held
    with (
        pytest.raises(ContainAIError, match=r"busy with this for 0\.1 s") as caught,
        files.lock(path, wait=0.1, what="this"),
    ):
        pass
    assert path in caught.value.hint


def test_lock_waits(held):
    path, child = held
    ender = subprocess.Popen(["sh", "-c", 'sleep 0.2; kill -TERM "$0"', str(child.pid)])
    with files.lock(path, wait=20, what="this"):
        assert child.wait(5) == -signal.SIGTERM
    ender.wait()


def test_lock_of_a_killed_process_is_free(held):
    path, child = held
    child.kill()
    child.wait()
    with files.lock(path, wait=0, what="this"):
        pass


def test_lock_that_its_holder_removed_is_taken_anew(tmp_path):
    path = str(tmp_path / "lock")
    has_it, may_go = threading.Event(), threading.Event()
    got = []

    def hold():
        with files.lock(path, wait=9, what="a test"):
            has_it.set()
            may_go.wait(9)
            # Two wait for it by now, or begin to: of both only one may have what comes then.
            os.unlink(path)

    def want():
        with files.lock(path, wait=9, what="a test"):
            handle = os.open(path, os.O_RDWR)
            with pytest.raises(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(handle)
            got.append(path)

    holder = threading.Thread(target=hold)
    holder.start()
    has_it.wait(9)
    waiting = [threading.Thread(target=want) for _ in range(2)]
    for each in waiting:
        each.start()
    may_go.set()
    for each in (holder, *waiting):
        each.join(9)
    assert got == [path, path]


def test_lock_is_free_after_an_error(tmp_path):
    path = str(tmp_path / "x.lock")
    for _ in range(2):
        with pytest.raises(KeyError), files.lock(path, wait=0, what="this"):
            raise KeyError


def test_write_as_root(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    path = tmp_path / "new dir" / "x'y"
    files.write_as_root(HOST, str(path), "a\n", 0o640)
    files.write_as_root(HOST, str(path), "b\n", 0o640)
    assert path.read_text(encoding="utf-8") == "b\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["x'y"]
