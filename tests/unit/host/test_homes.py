"""What is read of a home is its user's: no link of an agent's leads out of a workspace."""

import os
import stat
import time
from pathlib import Path

import pytest

from containai.host.homes import File, Left, Tree
from harness.hostile_tree import swapping

SECRET = b"of another\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    (tmp_path / "secret").write_bytes(SECRET)
    return path


def tree(home: Path, *workspaces: Path, follows: bool = True) -> Tree:
    seen = [os.stat(each) for each in workspaces]
    known = [(each.st_dev, each.st_ino) for each in seen]
    return Tree(str(home), os.getuid(), follows=follows, workspaces=known)


def found(tree: Tree, path: str) -> dict[str, bytes | str]:
    return {
        each.path: each.read() if isinstance(each, File) else each.why for each in tree.files(path)
    }


def test_files_are_found_with_what_they_are(home):
    (home / "d/e").mkdir(parents=True)
    (home / "d/e/run").write_bytes(b"#!")
    (home / "d/e/run").chmod(0o755)
    (home / "d/plain").write_bytes(b"text")
    made = {each.path: each for each in tree(home).files("d")}
    assert made["d/e/run"].executable
    assert not made["d/plain"].executable
    assert made["d/plain"].size == 4
    assert found(tree(home), "missing") == {}
    assert found(tree(home), "d/plain/more") == {}


def test_links_of_the_user_are_followed_to_wherever_they_lead(home, tmp_path):
    dotfiles = home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "rc").write_bytes(b"mine")
    (home / "rel").symlink_to("dotfiles/rc")
    (home / "abs").symlink_to(dotfiles / "rc")
    (home / "twice").symlink_to("rel")
    (home / "out").symlink_to("../secret")
    (home / "store").symlink_to("../home/./dotfiles/../dotfiles")
    for name in ("rel", "abs", "twice"):
        assert found(tree(home), name) == {name: b"mine"}
    assert found(tree(home), "out") == {"out": SECRET}
    assert found(tree(home), "store") == {"store/rc": b"mine"}


def test_links_in_and_into_workspaces_are_not(home, tmp_path):
    workspace = home / "src/api"
    workspace.mkdir(parents=True)
    (workspace / "rc").write_bytes(b"the agent's")
    (workspace / "up").symlink_to(tmp_path / "secret")
    (home / "one").symlink_to("src/api/rc")
    (home / "dir").symlink_to("src/api")
    (home / "through").symlink_to("src/api/../../../secret")
    (home / "hop").symlink_to("src/api/up")
    known = tree(home, workspace)
    assert "into the workspace" in str(found(known, "one")["one"])
    assert "into the workspace" in str(found(known, "dir")["dir"])
    assert "in the workspace" in str(found(known, "hop")["hop"])
    # Its parent is none: nobody but the user says where that leads.
    assert found(known, "through") == {"through": SECRET}
    # A home that is a workspace itself has no link that is its user's.
    assert "in the workspace" in str(found(tree(home, home), "one")["one"])


def test_links_to_what_is_another_users_are_not(home, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root gives files away")
    theirs = tmp_path / "theirs"
    theirs.write_bytes(SECRET)
    os.chown(theirs, 4321, 4321)
    (home / "link").symlink_to(theirs)
    (home / "plain").write_bytes(b"x")
    os.lchown(home / "link", 0, 0)
    assert "another user" in str(found(tree(home), "link")["link"])
    os.lchown(home / "link", 4321, 4321)
    assert "another user" in str(found(tree(home), "link")["link"])


def test_no_link_is_followed_in_what_is_no_home(home, tmp_path):
    (home / "d").mkdir()
    (home / "d/inner").symlink_to("../d")
    (home / "d/file").symlink_to(tmp_path / "secret")
    (home / "rc").symlink_to("d/x")
    known = tree(home, follows=False)
    assert {*found(known, "d").values()} == {"a link, which is not followed here"}
    assert found(known, "rc") == {"rc": "a link, which is not followed here"}


def test_what_is_no_file_is_not_opened(home):
    (home / "d").mkdir()
    os.mkfifo(home / "d/pipe")
    if os.getuid() == 0:
        os.mknod(home / "d/memory", stat.S_IFCHR | 0o600, os.makedev(1, 1))
        os.mknod(home / "d/endless", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    (home / "d/new\nline").write_bytes(b"x")
    (home / "d/loop").symlink_to("loop")
    (home / "d/self").symlink_to(".")
    (home / "d/nothing").symlink_to("nothing-there")
    said = found(tree(home), "d")
    assert said.pop("d/new\nline") == "its name has odd characters"
    assert said.pop("d/loop") == "too many links"
    assert "it is in" in str(said.pop("d/self"))
    assert said.pop("d/nothing") == "a link to nothing"
    assert set(said.values()) == {"no file"}


def test_a_deep_tree_and_a_large_file_end(home):
    os.makedirs(home / ("d/" * 60))
    with open(home / "d/sparse", "wb") as file:
        file.truncate(1 << 40)
    said = {each.path: each for each in tree(home).files("d")}
    assert said.pop("d/sparse").size == 1 << 40
    (deep,) = said.values()
    assert isinstance(deep, Left)
    assert "deep" in deep.why


def test_a_swap_never_leads_elsewhere(home, tmp_path):
    """A directory is now itself, now a link: in 10,000 tries nothing else is read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rc").write_bytes(SECRET)
    workspace = home / "ws"
    (workspace / "d").mkdir(parents=True)
    (workspace / "d/rc").write_bytes(b"inside")
    (home / "rc").symlink_to("ws/d/rc")
    naive = ours = refused = 0
    known, plain = tree(home, workspace), tree(workspace, follows=False)
    with swapping(workspace / "d", outside):
        end = time.monotonic() + 60
        for _ in range(5_000):
            assert SECRET not in found(known, "rc").values()
            said = found(plain, "d/rc")
            assert SECRET not in said.values()
            ours += b"inside" in said.values()
            refused += b"inside" not in said.values()
            naive += (home / "rc").read_bytes() == SECRET
            assert time.monotonic() < end
    # The attack works on who reads by path.
    assert min(naive, ours, refused) > 0
