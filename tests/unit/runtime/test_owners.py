import os
import stat

import pytest

from containai.runtime import owners

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

OLD, NEW = 0x70000000, 0x7FF80000
#: cap_net_raw for a user namespace whose root is OLD (linux/capability.h).
CAPABILITY = bytes.fromhex("0100000300200000000000000000000000000000") + OLD.to_bytes(4, "little")


def moved(number):
    return NEW + number - OLD if OLD <= number < OLD + 5000 else number


def given(number):
    return 1234 if NEW <= number < NEW + 5000 or OLD <= number < OLD + 5000 else number


MOVED = owners.Rules(moved, moved, rights=True)
GIVEN = owners.Rules(given, given, rights=False)


@pytest.fixture
def tree(tmp_path):
    """Return a tree with files of a box and of others."""
    top = tmp_path / "top"
    (top / "d" / "e").mkdir(parents=True)
    for name in ("d/e/f", "own", "suid"):
        (top / name).write_text(name, encoding="utf-8")
    (top / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").touch()
    os.chown(tmp_path / "outside", OLD, OLD)
    for name in ("d", "d/e", "d/e/f", "suid", "link"):
        os.lchown(top / name, OLD + 999, OLD)
    os.chmod(top / "suid", 0o6711)
    os.setxattr(top / "d/e/f", owners.CAPABILITIES, CAPABILITY)
    return top


def change(top, rules, **options):
    fd = os.open(top, os.O_PATH)
    try:
        return owners.change(fd, rules, **options)
    finally:
        os.close(fd)


def ids(path):
    seen = os.lstat(path)
    return seen.st_uid, seen.st_gid


def test_ids_move_and_rights_stay(tree):
    assert change(tree, MOVED) == (5, ())
    for name in ("d", "d/e", "d/e/f", "suid", "link"):
        assert ids(tree / name) == (NEW + 999, NEW), name
    assert ids(tree / "own") == ids(tree) == (0, 0)
    assert ids(tree.parent / "outside") == (OLD, OLD)
    assert stat.S_IMODE(os.stat(tree / "suid").st_mode) == 0o6711
    root = os.getxattr(tree / "d/e/f", owners.CAPABILITIES)[-4:]
    assert int.from_bytes(root, "little") == NEW
    assert change(tree, MOVED) == (0, ())


def test_what_is_given_to_somebody_has_no_rights(tree):
    assert change(tree, GIVEN, act=False) == (5, ())
    assert ids(tree / "suid") == (OLD + 999, OLD)
    assert change(tree, GIVEN) == (5, ())
    for name in ("d", "d/e", "d/e/f", "suid", "link"):
        assert ids(tree / name) == (1234, 1234), name
    assert stat.S_IMODE(os.stat(tree / "suid").st_mode) == 0o711
    assert owners.CAPABILITIES not in os.listxattr(tree / "d/e/f")


def test_a_file_alone(tree):
    assert change(tree / "suid", GIVEN) == (1, ())
    assert ids(tree / "suid") == (1234, 1234)


def test_any_depth_takes_one_descriptor(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        os.chown("d", OLD, OLD, dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert change(tmp_path, MOVED) == (3000, ())
    # pytest's own way to remove it is recursive.
    os.system(f"rm -rf {tmp_path}/d")


def test_a_directory_that_is_moved_away_meanwhile_leads_nowhere(tree, tmp_path, monkeypatch):
    """The agent moves the directory that is walked to a place whose parent is another."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    os.chown(tmp_path / "elsewhere" / "file", OLD, OLD)
    change_one = owners._change

    def swap(path, seen, rules):
        change_one(path, seen, rules)
        if (tree / "d" / "e").exists() and os.readlink(path).endswith("/f"):
            (tree / "d" / "e").rename(tmp_path / "elsewhere" / "e")

    monkeypatch.setattr(owners, "_change", swap)
    with pytest.raises(OSError, match="was moved meanwhile"):
        change(tree, MOVED)
    assert ids(tmp_path / "elsewhere" / "file") == (OLD, OLD)


def test_a_name_that_means_another_file_meanwhile(tree, monkeypatch):
    """The agent puts a file of the host's in the place of one of the box's."""
    opened = os.open

    def swap(path, flags, *rest, **options):
        if path == "suid":
            os.rename(tree / "own", tree / "suid")
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", swap)
    change(tree, MOVED)
    assert ids(tree / "suid") == (0, 0)


def test_what_is_mounted_in_it_is_left_alone(tree):
    os.mkdir(tree / "mounted")
    if os.system(f"mount -t tmpfs none {tree}/mounted") != 0:
        pytest.skip("nothing can be mounted here")
    try:
        (tree / "mounted" / "file").touch()
        os.chown(tree / "mounted" / "file", OLD, OLD)
        change(tree, MOVED)
        assert ids(tree / "mounted" / "file") == (OLD, OLD)
    finally:
        os.system(f"umount {tree}/mounted")
