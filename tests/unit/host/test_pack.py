"""Packing a tree of which the agent makes links while it is read."""

import fcntl
import io
import os
import signal
import socket
import tarfile

import pytest

from containai.errors import CopyError
from containai.host.below import DIRECTORY, identities, open_directory
from containai.host.pack import Packer
from containai.host.tar import Reader
from containai.host.unpack import unpack
from harness.hostile_tree import swapping

TRIES = 10_000


def packed(parent, name):
    out = io.BytesIO()
    packer = Packer(out)
    fd = os.open(parent, DIRECTORY)
    try:
        packer.add(fd, os.fsencode(name), b".")
    finally:
        os.close(fd)
    packer.finish()
    return out.getvalue(), packer


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


def test_a_tree_comes_back_as_it_was(tmp_path, source):
    odd = "a b\n-c:é\udcff" + "x" * 150
    (source / "d").mkdir(mode=0o750)
    (source / "d" / odd).write_bytes(b"text" * 1000)
    (source / "empty").touch(mode=0o600)
    (source / "l").symlink_to("/etc/passwd")
    os.utime(source / "empty", ns=(0, 1_234_567_890_123_456_789))
    data, packer = packed(tmp_path, "source")
    assert (packer.files, packer.left_out) == (3, [])
    (target := tmp_path / "target").mkdir()
    fd = os.open(target, DIRECTORY)
    done = unpack(Reader(io.BytesIO(data)), fd)
    os.close(fd)
    assert (target / "d" / odd).read_bytes() == b"text" * 1000
    assert (target / "empty").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert (target / "d").stat().st_mode == (source / "d").stat().st_mode
    assert [each.name for each in done.left_out] == ["l"]
    # Others understand it.
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        assert read.getmember("./l").linkname == "/etc/passwd"


def test_holes_are_not_sent(tmp_path, source):
    with open(source / "f", "wb") as file:
        file.write(b"begin")
        file.truncate(1 << 34)
        file.seek(1 << 33)
        file.write(b"middle")
    (source / "hole").touch()
    os.truncate(source / "hole", 1 << 30)
    data, _ = packed(tmp_path, "source")
    assert len(data) < 1 << 20
    (target := tmp_path / "target").mkdir()
    fd = os.open(target, DIRECTORY)
    unpack(Reader(io.BytesIO(data)), fd)
    os.close(fd)
    for name in ("f", "hole"):
        assert (target / name).stat().st_size == (source / name).stat().st_size
        assert (target / name).stat().st_blocks < 1000
    with open(target / "f", "rb") as file:
        assert file.read(8) == b"begin\0\0\0"
        file.seek(1 << 33)
        assert file.read(8) == b"middle\0\0"


def test_what_cannot_be_read_is_named(tmp_path, source):
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(source / "socket"))
    (source / "f").write_text("x")
    data, packer = packed(tmp_path, "source")
    assert [(each.name, each.why) for each in packer.left_out] == [
        ("./pipe", "a device, pipe or socket"),
        ("./socket", "a device, pipe or socket"),
    ]
    assert packer.files == 1
    assert data


def test_who_holds_a_lease_is_not_waited_for(tmp_path, source):
    (source / "f").write_text("x")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with open(source / "f", "r+b") as held:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            _, packer = packed(tmp_path, "source")
    finally:
        signal.signal(signal.SIGIO, before)
    assert [(each.name, each.why) for each in packer.left_out] == [
        ("./f", "Resource temporarily unavailable")
    ]


def test_a_tree_that_is_too_deep_is_refused(tmp_path, source):
    for _ in range(300):
        source = source / "d"
        source.mkdir()
    with pytest.raises(CopyError, match="more than 256 directories deep"):
        packed(tmp_path, "source")


@pytest.mark.parametrize("what", ["file", "directory"])
def test_nothing_outside_is_read_while_names_are_swapped_for_links(tmp_path, source, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("SECRET")
    (source / "d").mkdir()
    (source / "d" / "f").write_text("public")
    swapped = source / "d" if what == "directory" else source / "d/f"
    with swapping(swapped, outside if what == "directory" else outside / "f"):
        naive = any((source / "d/f").read_text() == "SECRET" for _ in range(TRIES))
        seen = set()
        for _ in range(TRIES // 4):
            data, packer = packed(tmp_path, "source")
            assert b"SECRET" not in data
            seen.add((b"public" in data, packer.files))
    assert naive
    assert len(seen) > 1


def test_a_path_may_have_links_until_it_is_in_a_workspace(tmp_path):
    workspace = tmp_path / "real" / "ws"
    (workspace / "d" / "e").mkdir(parents=True)
    (tmp_path / "home").symlink_to("real")
    guarded = identities([str(workspace), str(tmp_path / "gone")])
    path = f"{tmp_path}/home/ws/d/e"
    with open_directory(path, guarded) as fd:
        assert os.fstat(fd).st_ino == os.stat(path).st_ino
    (workspace / "d" / "l").symlink_to("e")
    with (
        pytest.raises(CopyError, match="leads through the link 'l' of a workspace"),
        open_directory(f"{tmp_path}/home/ws/d/l", guarded),
    ):
        pass
    with open_directory(f"{tmp_path}/home/ws/d/l", set()) as fd:
        assert os.fstat(fd).st_ino == os.stat(path).st_ino
    with pytest.raises(FileNotFoundError), open_directory(path + "/x", guarded):
        pass


def test_a_path_that_is_swapped_for_a_link_leads_nowhere(tmp_path):
    workspace, outside = tmp_path / "ws", tmp_path / "outside"
    (workspace / "d").mkdir(parents=True)
    outside.mkdir()
    guarded, inside = identities([str(workspace)]), (workspace / "d").stat().st_ino
    seen = []
    with swapping(workspace / "d", outside):
        for _ in range(TRIES):
            try:
                with open_directory(str(workspace / "d"), guarded) as fd:
                    seen.append(os.fstat(fd).st_ino)
            except (CopyError, OSError):
                seen.append(0)
    assert set(seen) == {0, inside}
