"""Which git directory outside of a workspace is its own. `.git` is the agent's to write."""

import os
import subprocess

import pytest

from containai.host import repository
from containai.host.repository import Linked, NotLinkedError

HOME = "/nobody's home"


def git(directory, *words):
    argv = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    options = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    subprocess.run([*argv, *options, *words], check=True, capture_output=True)


@pytest.fixture
def main(tmp_path):
    main = tmp_path / "main"
    main.mkdir()
    git(main, "init")
    git(main, "commit", "--allow-empty", "-m", "1")
    return main


@pytest.fixture
def tree(main):
    git(main, "worktree", "add", "../tree")
    return main.parent / "tree"


def linked(path):
    return repository.linked(str(path), HOME)


def refused(path, match="."):
    with pytest.raises(NotLinkedError, match=match):
        linked(path)


def test_a_linked_worktree(main, tree):
    own = f"{main}/.git/worktrees/tree"
    assert linked(tree) == Linked(own, f"{main}/.git", ("objects", "refs", "logs"), ())
    (main / ".git/worktrees/tree/config.worktree").touch()
    assert linked(tree).own == ("config.worktree",)


def test_paths_may_be_relative(main, tree):
    (tree / ".git").write_text("gitdir: ../main/.git/worktrees/tree\n")
    (main / ".git/worktrees/tree/gitdir").write_text("../../../../tree/.git\n")
    assert linked(tree).common == f"{main}/.git"


def test_a_worktree_of_a_bare_repository(main, tmp_path):
    git(main, "clone", "--bare", ".", "../bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "../of-bare", "main")
    assert linked(tmp_path / "of-bare").common == f"{tmp_path}/bare.git"


def test_a_submodule(main, tmp_path):
    over = tmp_path / "over"
    over.mkdir()
    git(over, "init")
    git(over, "submodule", "add", f"{main}", "libs/part")
    found = Linked(f"{over}/.git/modules/libs/part")
    assert linked(over / "libs/part") == found
    assert found.top == found.directory
    # The other one has it in itself.
    assert linked(over) is None


def test_what_has_its_git_directory_in_itself(main, tmp_path):
    assert linked(main) is None
    assert linked(tmp_path) is None
    os.rename(main / ".git", main / ".bare")
    (main / ".git").write_text("gitdir: ./.bare\n")
    assert linked(main) is None


@pytest.mark.parametrize("named", ["/", "/etc", "/nowhere", "../other/.git", "/etc/passwd"])
def test_what_does_not_name_the_workspace_in_turn(main, tmp_path, named):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init")
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / ".git").write_text(f"gitdir: {named}\n")
    refused(evil)


def test_a_worktree_of_somebody_elses(main, tree, tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / ".git").write_text((tree / ".git").read_text())
    refused(evil, "does not name this workspace")


def test_a_forged_git_directory_in_the_workspace_gives_nothing(tree, tmp_path):
    """Its back link is right, and what it says of the repository is the agent's."""
    forged = tree / "forged/worktrees/x"
    forged.mkdir(parents=True)
    (forged / "gitdir").write_text(f"{tree}/.git\n")
    (forged / "commondir").write_text("/etc\n")
    (tree / ".git").unlink()
    (tree / ".git").write_text(f"gitdir: {forged}\n")
    assert linked(tree) is None
    # The same, by a name that does not look like it.
    (tmp_path / "way").symlink_to(tree / "forged")
    (tree / ".git").write_text(f"gitdir: {tmp_path}/way/worktrees/x\n")
    refused(tree, "symbolic link")


def test_what_the_worktree_says_of_its_repository_has_to_be_where_it_is(main, tree):
    """An agent can write this file by a trick, and would be given any repository for it."""
    (main / ".git/worktrees/tree/commondir").write_text("/etc\n")
    refused(tree, "names another repository")


def test_links_are_not_followed(main, tree, tmp_path):
    os.rename(main, tmp_path / "moved")
    main.symlink_to(tmp_path / "moved")
    refused(tree, "symbolic link")
    (tree / ".git").unlink()
    (tree / ".git").symlink_to(tmp_path / "moved/.git")
    assert linked(tree) is None


def test_a_pipe_does_not_block(tree):
    (tree / ".git").unlink()
    os.mkfifo(tree / ".git")
    assert linked(tree) is None


@pytest.mark.parametrize("text", ["", "x\n", "gitdir: /a\nb\n", "gitdir: a\0b\n"])
def test_other_text(tree, text):
    (tree / ".git").write_text(text)
    refused(tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_another_owner(main, tree):
    os.chown(main / ".git", 1234, 1234)
    refused(tree, "not its owner's")


def test_a_repository_that_is_the_home(main, tree):
    with pytest.raises(NotLinkedError, match="more than a repository"):
        repository.linked(str(tree), f"{main}/.git/home")


def test_a_submodule_of_somebody_elses(main, tmp_path):
    over = tmp_path / "over"
    over.mkdir()
    git(over, "init")
    git(over, "submodule", "add", f"{main}", "part")
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / ".git").write_text(f"gitdir: {over}/.git/modules/part\n")
    refused(evil, "core.worktree")
    (evil / ".git").write_text(f"gitdir: {main}/.git\n")
    refused(evil, "core.worktree")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("[core]\n\tworktree = ../../a\n", "../../a"),
        ('[core]\n\tWorkTree = "../a b\\\\"\n', "../a b\\"),
        ('[core]\n\tworktree = x\n[core "y"]\n\tworktree = z\n', "x"),
        ("[other]\n\tworktree = x\n", None),
        ("", None),
    ],
)
def test_core_worktree(text, tree):
    assert repository._work_tree(text) == tree
