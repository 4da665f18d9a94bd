import hashlib
import os
import re
import types

import pytest

from containai.boxes import workspace
from containai.boxes.workspace import Moved, Workspace, box_name, moved, resolve
from containai.errors import WorkspaceError
from containai.ssh import session


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/srv/project", "project"),
        ("/srv/My Project!", "my-project"),
        ("/srv/a__b..c", "a-b-c"),
        ("/srv/--x--", "x"),
        ("/srv/größe", "gr-e"),
        ("/srv/日本", "box"),
        ("/", "box"),
        ("/srv/" + "a" * 200, "a" * 24),
        ("/srv/" + "a" * 23 + "-b", "a" * 23),
    ],
)
def test_name_is_a_slug_and_a_hash(path, slug):
    digest = hashlib.sha256(f"1000:{path}".encode()).hexdigest()[:8]
    assert box_name(path, 1000) == f"{slug}-{digest}"


@pytest.mark.parametrize("last", ["x", "ÄÖÜ", "a" * 255, "-", "a.b-c d", "\udcff", "İstanbul", "²"])
def test_name_is_a_host_name(last):
    name = box_name(f"/srv/{last}", 0)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 33


def test_names_differ_by_user_and_by_path():
    names = {box_name(path, uid) for path in ("/a/x", "/b/x") for uid in (0, 1000, 1001)}
    assert len(names) == 6


def test_missing(layout, tmp_path):
    with pytest.raises(WorkspaceError, match="does not exist") as caught:
        resolve(layout, str(tmp_path / "gone"))
    assert "mkdir -p" in caught.value.hint


def test_dangling_link(layout, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(WorkspaceError, match="does not exist"):
        resolve(layout, str(tmp_path / "link"))


def test_one_that_this_user_may_not_look_at(layout, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    def absent(path):
        return False

    paths = types.SimpleNamespace(realpath=os.path.realpath, exists=absent)
    monkeypatch.setattr(workspace, "os", types.SimpleNamespace(path=paths, stat=refused))
    with pytest.raises(WorkspaceError, match="cannot be looked at: Permission denied") as caught:
        resolve(layout, "/home/other/project")
    assert "namei" in caught.value.hint


def test_file(layout, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="not a directory"):
        resolve(layout, str(tmp_path / "file"))


def test_empty(layout):
    with pytest.raises(WorkspaceError, match="empty"):
        resolve(layout, "")


def test_root_and_home_need_force(layout):
    for path in ("/", "//", layout.home, layout.home + "/"):
        with pytest.raises(WorkspaceError, match="could change everything") as caught:
            resolve(layout, path)
        assert "--force" in caught.value.hint
        assert resolve(layout, path, force=True).path == os.path.realpath(path)


def test_home_behind_a_link_needs_force(layout, tmp_path):
    (tmp_path / "link").symlink_to(layout.home)
    with pytest.raises(WorkspaceError, match="home directory"):
        resolve(layout, str(tmp_path / "link"))


def test_what_no_path_can_be_is_refused(layout):
    with pytest.raises(WorkspaceError, match="is no path"):
        resolve(layout, "/a\0b", force=True)


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x1b[31m", "\x7f"])
def test_control_characters(layout, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(WorkspaceError, match="control character"):
        resolve(layout, str(tmp_path / name))


def test_control_character_of_a_parent(layout, tmp_path):
    (tmp_path / "a\nb" / "c").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="control character"):
        resolve(layout, str(tmp_path / "a\nb" / "c"))


def test_not_utf8(layout, tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(raw)
    with pytest.raises(WorkspaceError, match="not valid UTF-8"):
        resolve(layout, os.fsdecode(raw))


def test_links_are_resolved(layout, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert resolve(layout, str(tmp_path / "link")) == Workspace(str(tmp_path / "real"))


def test_relative_path(layout, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve(layout, "work").path == str(tmp_path / "work")
    assert resolve(layout, "./work/../work/").path == str(tmp_path / "work")


@pytest.fixture
def below(layout, tmp_path):
    """Return a directory two levels below a workspace that has a box."""
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    os.makedirs(layout.ssh_blocks)
    with open(layout.ssh_block(box_name(str(top), layout.uid)), "w", encoding="utf-8"):
        pass
    return top / "a" / "b"


def test_below_a_box(layout, tmp_path, monkeypatch, below):
    monkeypatch.chdir(below)
    assert resolve(layout, None) == Workspace(str(tmp_path / "top"), "a/b")
    monkeypatch.chdir(tmp_path / "top")
    assert resolve(layout, None) == Workspace(str(tmp_path / "top"), "")
    monkeypatch.chdir(tmp_path)
    assert resolve(layout, None) == Workspace(str(tmp_path), "")


def test_below_a_box_by_a_path(layout, tmp_path, monkeypatch, below):
    monkeypatch.chdir(below)
    assert resolve(layout, ".") == Workspace(str(tmp_path / "top"), "a/b")
    assert resolve(layout, str(tmp_path / "top/a")) == Workspace(str(tmp_path / "top"), "a")
    assert resolve(layout, ".", exact=True) == Workspace(str(below))


def write_block(layout, name, workspace, inode="1:2"):
    os.makedirs(layout.ssh_blocks, exist_ok=True)
    text = (
        f"# Box {name}, written by cai.\n{session.identity(str(workspace), inode)}\nHost {name}\n"
    )
    with open(layout.ssh_block(name), "w", encoding="utf-8") as file:
        file.write(text)


def test_the_nearest_workspace_counts_whatever_its_box_is_called(layout, tmp_path, below):
    write_block(layout, "inner", tmp_path / "top/a")
    assert resolve(layout, str(below)) == Workspace(str(tmp_path / "top/a"), "b")
    assert resolve(layout, str(tmp_path / "top/a")) == Workspace(str(tmp_path / "top/a"))
    # A name that only begins like it.
    assert resolve(layout, str(tmp_path)) == Workspace(str(tmp_path))


def test_a_workspace_that_moved(layout, tmp_path):
    there = tmp_path / "new"
    there.mkdir()
    workspace = Workspace(str(there))
    assert moved(layout, workspace) is None
    write_block(layout, "api", "/old 'one'", workspace.inode)
    assert moved(layout, workspace) == Moved("api", "/old 'one'")
    # Something is there: another name of it, or a copy.
    write_block(layout, "api", tmp_path, workspace.inode)
    assert moved(layout, workspace) is None
    write_block(layout, "api", "/old", "1:2")
    assert moved(layout, workspace) is None


def test_a_directory_with_the_inode_of_one_that_is_gone_is_not_that(layout, tmp_path):
    workspace = Workspace(str(tmp_path))
    write_block(layout, "api", "/old", workspace.inode)
    assert moved(layout, workspace) == Moved("api", "/old")
    # Written before there was this directory.
    os.utime(layout.ssh_block("api"), (1, 1))
    assert moved(layout, workspace) is None


def test_below_a_box_of_another_user(layout, monkeypatch, below):
    layout.uid += 1
    monkeypatch.chdir(below)
    assert resolve(layout, None) == Workspace(str(below))


def test_inode_tells_a_directory_from_its_successor(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = Workspace(str(tmp_path / "a")).inode
    assert first == Workspace(str(tmp_path / "a")).inode
    (tmp_path / "a").rename(tmp_path / "old")
    (tmp_path / "b").rename(tmp_path / "a")
    assert Workspace(str(tmp_path / "a")).inode != first
