"""The record of what was mounted in a container that ran."""

import os
from pathlib import Path

import pytest

from containai.boxes import mounting, spares
from containai.boxes.places import Mount
from containai.engine import attached as of_engine
from containai.engine.attached import Got
from containai.engine.container import Mount as Bind
from containai.layout import Layout
from containai.runtime import attached, claim, sources
from containai.runtime.attached import Attached, Record
from containai.runtime.config import Config

ONE, TWO = Attached("/a b/\udcff", "/data", readonly=True), Attached("/c", "/srv/x", readonly=False)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    directory = str(tmp_path / "attached")
    with attached.locked(directory, "box"):
        attached.write(directory, "box", Record((ONE, TWO), (TWO,), "a-1"))
    assert attached.read(directory, "box") == Record((ONE, TWO), (TWO,), "a-1")
    assert attached.read(directory, "other") == Record()
    # Whoever knows the container may read its record, and nobody may list them.
    assert (tmp_path / "attached").stat().st_mode & 0o777 == 0o711
    assert (tmp_path / "attached/box").stat().st_mode & 0o777 == 0o644
    attached.write(directory, "box", Record())
    assert not os.path.exists(os.path.join(directory, "box"))
    attached.write(directory, "box", Record())


def test_a_record_of_the_first_form_is_a_list_of_what_was_added(tmp_path: Path) -> None:
    (tmp_path / "box").write_text('[["/a b/\\udcff", "/data", true]]', encoding="utf-8")
    assert attached.read(str(tmp_path), "box") == Record((ONE,))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "7", "[7]", "{}x", '[["/a", "/b"]]', '[["/a", "/b", 1]]', '[["/a", "b", true]]',
        '[[1, "/b", true]]', '[["/a", "/b/../c", true]]', "[" * 100_000, '[["/a", "/", true]]',
        '{"claimed": 7}', '{"hostname": "a/b"}',
        '{"added": [], "claimed": [["/a", "b", true]]}', '{"hostname": 7}', '{"hostname": ["a"]}',
    ],
)  # fmt: skip
def test_a_damaged_record_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "box").write_text(text, encoding="utf-8")
    assert attached.read(str(tmp_path), "box") == Record()
    with pytest.raises((ValueError, TypeError)):
        attached.parse(text)


@pytest.mark.parametrize(
    ("path", "is_plain"),
    [("/a", True), ("/a/b c", True), ("/", False), ("a", False), ("", False), ("//a", False),
     ("/a/", False), ("/a/./b", False), ("/../a", False)],
)  # fmt: skip
def test_a_place_in_a_container(path: str, is_plain: bool) -> None:
    assert attached.is_plain(path) is is_plain


def test_records_of_containers_that_are_gone_go(tmp_path: Path) -> None:
    directory = str(tmp_path)
    for name in ("kept", "gone"):
        with attached.locked(directory, name):
            attached.write(directory, name, Record((ONE,)))
    attached.prune(directory, {"kept"})
    assert sorted(os.listdir(directory)) == ["kept", "kept.lock"]
    attached.prune(str(tmp_path / "none"), set())


def test_a_start_has_what_is_there_still_the_outer_ones_first(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    there = str(tmp_path / "there")
    had = [
        Attached(there, "/a/b/c", readonly=True),
        Attached(str(tmp_path / "link"), "/link", readonly=True),
        Attached(str(tmp_path / "gone"), "/gone", readonly=True),
        Attached(there, "/a", readonly=False),
    ]
    config = Config("", str(tmp_path), 0, 0, "", 0, "")
    os.makedirs(config.attached)
    attached.write(config.attached, "box", Record(tuple(had)))
    found = sources.attached_to(config, "box").mounts
    assert [each.destination for each in found] == ["/a", "/a/b/c"]
    assert found[0].mount == {
        "destination": "/a",
        "type": "bind",
        "source": there,
        "options": ["rbind", "rprivate"],
    }
    assert found[1].mount["options"] == ["rbind", "rprivate", "ro"]


def test_cai_reads_what_the_runtime_records(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), str(tmp_path), os.getuid())
    assert os.path.relpath(layout.attached, layout.runtime_state) == attached.NAME
    assert (mounting.ATTACH, mounting.DETACH) == (attached.ATTACH, attached.DETACH)
    assert (spares.AWAIT, spares.SOCKET, spares.END) == (attached.AWAIT, claim.SOCKET, claim.END)
    os.makedirs(layout.attached)
    attached.write(layout.attached, "box", Record((ONE, TWO), (TWO,), "a-1", "/srv/x"))
    assert of_engine.got(layout, "box") == Got(
        (Bind("bind", "/a b/\udcff", "/data", read_only=True), Bind("bind", "/c", "/srv/x")),
        (Bind("bind", "/c", "/srv/x"),),
        "a-1",
        "/srv/x",
    )
    assert mounting.added(layout, "box") == (
        Mount("/a b/\udcff", "/data", writable=False),
        Mount("/c", "/srv/x", writable=True),
    )
    for damaged in ("[[1]]", '{"claimed": 1}', "7", "{"):
        Path(layout.attached, "box").write_text(damaged, encoding="utf-8")
        assert of_engine.got(layout, "box") == Got()
    Path(layout.attached, "box").write_text('[["/c", "/srv/x", false]]', encoding="utf-8")
    assert mounting.added(layout, "box") == (Mount("/c", "/srv/x", writable=True),)
    assert mounting.added(layout, "none") == ()
