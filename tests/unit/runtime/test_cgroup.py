"""On directories: what is walked is a tree, whatever file system it is on."""

import os
import subprocess

import pytest

from containai.runtime import cgroup

DEEP = 1499
NAME = "n" * 100


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A directory that is the only hierarchy of cgroups."""
    monkeypatch.setattr(cgroup, "ROOT", str(tmp_path))
    (tmp_path / "cgroup.procs").touch()
    return tmp_path


def test_a_deep_tree_with_long_names_is_walked(root):
    os.mkdir(root / "box")
    here = os.open(root / "box", os.O_RDONLY)
    for _ in range(DEEP):
        os.close(os.open("cgroup.procs", os.O_WRONLY | os.O_CREAT, dir_fd=here))
        os.mkdir(NAME, dir_fd=here)
        below = os.open(NAME, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("cgroup.procs", os.O_WRONLY | os.O_CREAT, dir_fd=here), "w") as procs:
        assert sum(1 for _ in cgroup._below(str(root / "box"))) == DEEP + 1
        assert not cgroup.is_used("box")
        procs.write("7\n")
    assert cgroup.is_used("box")
    # Python's own way to remove a tree has no room for this one.
    subprocess.run(["rm", "-rf", root / "box"], check=True)


def test_children_come_first(tmp_path):
    os.makedirs(tmp_path / "a" / "b" / "c")
    os.makedirs(tmp_path / "a" / "d")
    names = [name for _, name in cgroup._below(str(tmp_path / "a"))]
    assert sorted(names) == ["a", "b", "c", "d"]
    assert names.index("c") < names.index("b") < names.index("a") == 3
    cgroup._remove(str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_a_tree_without_an_end_is_given_up(root, monkeypatch):
    os.makedirs(root / "box" / "a" / "b")
    monkeypatch.setattr(cgroup, "_STEPS", 3)
    cgroup.remove("box")
    with pytest.raises(OSError, match="more cgroups"):
        list(cgroup._below(str(root / "box")))


def test_a_link_is_not_followed(root):
    os.mkdir(root / "box")
    os.mkdir(root / "other")
    os.symlink(root / "other", root / "box" / "link")
    cgroup.remove("box")
    assert (root / "other").exists()
