"""What its owner cannot remove in a workspace, as root sees it: ids are changed."""

import os

import pytest

from containai.boxes import stuck

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="ids are root's to give")
OWNER = 1234


@pytest.fixture
def top(tmp_path):
    path = tmp_path / "workspace"
    path.mkdir()
    os.chown(path, OWNER, OWNER)
    return path


def made(path, owner, mode=0o755):
    path.mkdir(parents=True)
    os.chmod(path, mode)
    os.chown(path, owner, owner)
    return path


def first(layout, top):
    return stuck.first(layout, str(top), 5)


def test_a_directory_of_a_box_with_something_in_it(layout, top):
    root = layout.stored_ids[0]
    made(top / "mine", OWNER)
    (made(top / "mine" / "its", root) / "file").touch()
    assert first(layout, top) == "mine/its"


def test_one_of_an_earlier_version(layout, top):
    (made(top / "its", layout.id_window[0] + 5) / "file").touch()
    assert first(layout, top) == "its"


def test_what_its_owner_can_remove(layout, top):
    root = layout.stored_ids[0]
    made(top / "empty", root)
    (made(top / "for all", root, 0o777) / "file").touch()
    (top / "file").touch()
    os.chown(top / "file", root, root)
    (made(top / "of another user", 4321) / "file").touch()
    assert first(layout, top) is None


def test_root_can_remove_everything(layout, top):
    os.chown(top, 0, 0)
    (made(top / "its", layout.stored_ids[0]) / "file").touch()
    assert first(layout, top) is None


def test_no_link_is_followed(layout, top, tmp_path):
    """Followed, the host's own files would be told of as the workspace's."""
    outside = made(tmp_path / "outside", layout.stored_ids[0])
    (outside / "secret").mkdir()
    os.symlink(tmp_path, top / "link")
    assert os.path.isdir(top / "link" / "outside" / "secret")
    assert first(layout, top) is None


def test_a_directory_that_becomes_a_link_meanwhile(layout, top, tmp_path, monkeypatch):
    made(tmp_path / "out", OWNER)
    (made(tmp_path / "out" / "its", layout.stored_ids[0]) / "secret").touch()
    made(top / "swapped", OWNER)
    look = stuck._look

    def swapped(layout, here, device):
        found = look(layout, here, device)
        if (top / "swapped").is_dir() and not (top / "swapped").is_symlink():
            (top / "swapped").rmdir()
            os.symlink(tmp_path / "out", top / "swapped")
        return found

    monkeypatch.setattr(stuck, "_look", swapped)
    assert first(layout, top) is None
    assert (top / "swapped" / "its").exists()


def test_a_tree_without_an_end_is_left(layout, top):
    path = top
    for _ in range(100):
        path = made(path / "d", OWNER)
    (made(path / "its", layout.stored_ids[0]) / "file").touch()
    assert first(layout, top) is None
