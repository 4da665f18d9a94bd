"""Unpacking what an adversary packed, where the adversary swaps directories meanwhile."""

import contextlib
import io
import os
import stat
import tarfile

import pytest

from containai.errors import CopyError, NoSpaceError
from containai.host import unpack
from containai.host.below import DIRECTORY
from containai.host.tar import Reader
from harness import hostile_tree
from harness.hostile_tree import archive, device, directory, hard_link, link, sparse, swapping

TRIES = 10_000


@pytest.fixture
def target(tmp_path):
    """A directory beside which lies a file that nothing may touch."""
    (tmp_path / "canary").write_text("as it was")
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def unpacked(data, target, **options):
    fd = os.open(target, DIRECTORY)
    try:
        return unpack.unpack(Reader(io.BytesIO(data)), fd, **options)
    finally:
        os.close(fd)


def tree(top):
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def untouched(target):
    above = target.parent
    assert (above / "canary").read_text() == "as it was"
    assert {path.name for path in above.iterdir()} == {"canary", "target"}
    return True


@pytest.mark.parametrize("hard_links", [False, True], ids=["copies", "hard-links"])
@pytest.mark.parametrize("name", hostile_tree.HOSTILE)
def test_nothing_leads_out(target, name, hard_links):
    data = hostile_tree.hostile(name, target.parent / "canary")
    with contextlib.suppress(CopyError):
        unpacked(data, target, hard_links=hard_links)
    assert untouched(target)


@pytest.mark.parametrize("name", ["above", "over-a-link", "through-a-link", "hard-link"])
def test_a_naive_unpacker_is_led_out(target, name):
    data = hostile_tree.hostile(name, target.parent / "canary")
    with tarfile.open(fileobj=io.BytesIO(data)) as naive:
        for each in naive:
            path = target / each.name
            if each.issym():
                path.symlink_to(each.linkname)
            elif each.islnk():
                os.link(target / each.linkname, path)
            else:
                path.write_bytes(naive.extractfile(each).read())
    assert (target.parent / "canary").read_text() != "as it was"


def test_files_directories_and_links_come_as_they_are(target):
    old = directory("d", 0o750)
    old.mtime = 1_000_000
    odd = "a b\n-c\td:é\udcff"
    run = tarfile.TarInfo("d/run")
    run.mode, run.mtime = 0o4755, 2_000_000
    done = unpacked(archive(old, run, (f"d/{odd}", b"text"), link("d/l", "../d/run")), target)
    assert (done.files, done.left_out) == (3, [])
    assert (target / "d" / odd).read_bytes() == b"text"
    seen = (target / "d/run").stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_mtime) == (0o755, 2_000_000)
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o750
    assert (target / "d").stat().st_mtime == 1_000_000
    assert os.readlink(target / "d/l") == "../d/run"


def test_a_directory_without_rights_is_filled_first(target):
    unpacked(archive(directory("d", 0), ("d/f", b"x")), target)
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0
    (target / "d").chmod(0o700)
    assert tree(target) == {"d", "d/f"}


def test_a_file_takes_the_place_of_a_file_or_link_and_of_no_directory(target):
    (target / "f").write_text("old")
    (target / "l").symlink_to("../canary")
    (target / "d").mkdir()
    unpacked(archive(("f", b"new"), ("l", b"new")), target)
    assert (target / "f").read_text() == (target / "l").read_text() == "new"
    with pytest.raises(CopyError, match="'d': Is a directory"):
        unpacked(archive(("d", b"new")), target)
    assert tree(target) == {"f", "l", "d"}
    assert untouched(target)


def test_what_is_no_file_or_leads_out_is_left_out_and_named(target):
    away = [link("l", "/etc/passwd"), link("d/up", "../../x"), link("d/r", "run/../../../x")]
    done = unpacked(archive(device("mem"), directory("d"), *away, link("d/ok", "../x")), target)
    assert [each.name for each in done.left_out] == ["mem", "l", "d/up", "d/r"]
    assert done.missing == 4
    assert tree(target) == {"d", "d/ok"}


def test_hard_links_are_made_to_own_files_only(target):
    (target / "before").write_text("mine")
    unpacked(archive(("a", b"x"), hard_link("b", "a")), target, hard_links=True)
    assert (target / "a").stat().st_ino == (target / "b").stat().st_ino
    with pytest.raises(CopyError, match="hard link to what is not in it"):
        unpacked(archive(hard_link("c", "before")), target, hard_links=True)
    with pytest.raises(CopyError, match="hard link"):
        unpacked(archive(("a", b"x"), hard_link("c", "a")), target)


def test_holes_stay_holes(target):
    unpacked(sparse("big", 1 << 36) + archive(("f", b"x")), target)
    seen = (target / "big").stat()
    assert (seen.st_size, seen.st_blocks * 512 < 1 << 20) == (1 << 36, True)
    with open(target / "big", "rb") as file:
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\0end"
    assert (target / "f").read_text() == "x"


def test_a_file_larger_than_any_is_refused_and_leaves_nothing(target):
    with pytest.raises(CopyError, match="'big': File too large"):
        unpacked(sparse("big", (1 << 63) - 1), target)
    assert tree(target) == set()


def test_a_file_that_does_not_end_is_not_there(target):
    whole = archive(("f", b"x" * 5000))
    for cut in (600, 3000, 5500):
        with pytest.raises(CopyError, match="in the middle"):
            unpacked(whole[:cut], target)
    assert tree(target) == set()


def test_more_than_there_is_room_for_is_refused_before_it_is_written(target):
    claim = tarfile.TarInfo("f")
    claim.size = 1 << 55
    with pytest.raises(NoSpaceError, match="no room for"):
        unpacked(claim.tobuf(), target)
    assert tree(target) == set()


class Endless(io.RawIOBase):
    """A file that says it is small and comes again and again."""

    def __init__(self):
        self._one = archive(("f", bytes(1 << 20)), end=False)
        self._at = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._one[self._at :][: len(buffer)]
        buffer[: len(data)] = data
        self._at = (self._at + len(data)) % len(self._one)
        return len(data)


def test_a_stream_without_an_end_ends_where_the_disk_would_be_full(target, monkeypatch):
    free = iter(range(1000, -1, -100))

    def shrinking(fd):
        left = next(free) << 20
        return os.statvfs_result((4096, 4096, 1 << 30, 0, left // 4096, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "fstatvfs", shrinking)
    fd = os.open(target, DIRECTORY)
    try:
        with pytest.raises(NoSpaceError, match="would be full"):
            unpack.unpack(Reader(io.BufferedReader(Endless())), fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: head[:148] + b"0000000\0" + head[156:],
        lambda head: head[:124] + b"99999999999\0" + head[136:],
        lambda head: b"text that is no archive".ljust(512),
    ],
    ids=["sum", "number", "text"],
)
def test_what_is_no_archive_is_refused(target, spoil):
    with pytest.raises(CopyError, match="no archive as it should be"):
        unpacked(spoil(archive(("f", b"x"))), target)


def test_a_header_of_gigabytes_is_refused(target):
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = b"x", (1 << 33) - 1
    with pytest.raises(CopyError, match="too large"):
        unpacked(head.tobuf(tarfile.USTAR_FORMAT), target)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_every_format(target, form):
    name = "/".join(["d" * 45] * (2 if form == tarfile.USTAR_FORMAT else 6))
    info = tarfile.TarInfo(name)
    info.size = 1
    unpacked(info.tobuf(form) + b"x".ljust(512, b"\0") + bytes(1024), target)
    assert (target / name).read_text() == "x"


def naively(target, name):
    try:
        with open(target / "d" / name, "w", encoding="utf-8"):
            pass
    except OSError:
        pass


def test_a_directory_that_is_swapped_for_a_link_leads_nowhere(target):
    outside = target.parent / "outside"
    outside.mkdir()
    (target / "d").mkdir()
    with swapping(target / "d", outside):
        # Whoever opens by path is led out.
        for number in range(TRIES):
            naively(target, f"naive-{number}")
            if list(outside.iterdir()):
                break
        led_out = len(list(outside.iterdir()))
        for path in outside.iterdir():
            path.unlink()
        data = archive(*((f"d/{number}", b"x") for number in range(10)))
        written = refused = 0
        for _ in range(TRIES // 10):
            try:
                written += unpacked(data, target).files
            except CopyError:
                refused += 1
    assert led_out
    assert (written > 0, refused > 0) == (True, True)
    assert list(outside.iterdir()) == []
