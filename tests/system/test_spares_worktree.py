"""A spare box that becomes a linked worktree's is one made for it, its repository included."""

import os
import subprocess

import pytest

from harness import spares
from harness.site import text

from .test_spares import MADE, TOOK, assert_same

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@x")


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


@pytest.fixture(scope="module")
def main(make_lasting):
    """A repository, which has no box."""
    space = make_lasting("main")
    subprocess.run(["git", "init", "--quiet", space.path], check=True)
    commit = ["commit", "--quiet", "--allow-empty", "--message", "x"]
    subprocess.run([*GIT, "-C", space.path, *commit], check=True)
    return space


@pytest.fixture(scope="module")
def worktree(make_lasting, main):
    def make(name):
        space = make_lasting(name)
        os.rmdir(space.path)
        subprocess.run(["git", "-C", main.path, "worktree", "add", "-q", space.path], check=True)
        return space

    return make


@pytest.fixture(scope="module")
def cold(worktree, undisturbed):
    space = worktree("cold")
    assert MADE in text(space.run("true"))
    return space


@pytest.fixture(scope="module")
def claimed(site, worktree, cold):
    made = spares.spare(site)
    space = worktree("claimed")
    assert TOOK in text(space.run("true"))
    assert spares.is_claimed(space, made)
    return space


def works(space, main):
    """Commit in a box; the host has that, and nothing else of the repository can be changed."""
    assert space.sh("pwd; git rev-parse --show-toplevel") == f"{space.path}\n{space.path}"
    space.sh(f"touch {space.box}; git add .; {' '.join(GIT)} commit -q -m {space.box}")
    subject = ["git", "-C", space.path, "log", "-1", "--format=%s"]
    assert subprocess.check_output(subject, text=True).strip() == space.box
    for name in ("hooks/post-commit", "config.new", "hooks.new/x"):
        change = ("sh", "-c", "mkdir -p $(dirname $0); echo x >$0", f"{main.path}/.git/{name}")
        assert space.run(*change, check=False).returncode != 0, name


def test_it_is_what_one_made_for_it_is(cold, claimed, main):
    assert_same(cold, claimed)
    for space in (cold, claimed):
        works(space, main)


def test_it_is_the_same_after_a_start(site, cold, claimed):
    for space in (cold, claimed):
        site.cai("stop", space.path)
    assert_same(cold, claimed)


def test_what_a_killed_cai_claimed_knows_its_repository(site, worktree, main):
    """Killed when the runtime has recorded it: whoever enters it next tells it."""
    space, made = worktree("killed"), spares.spare(site)
    git = f"{main.path}/.git"
    own = f"{git}/worktrees/killed"
    places = [
        [space.path, "/home/agent/workspace", False], [space.path, space.path, False],
        [git, git, True],
        *([f"{git}/{each}", f"{git}/{each}", False] for each in ("objects", "refs", "logs")),
        [own, own, False],
    ]  # fmt: skip
    assert spares.claim(site, made["Id"], space.box, *places, start=space.path) == ""
    assert space.sh("pwd; cat /etc/containai/repository") == f"{space.path}\n{git}"
    assert spares.is_claimed(space, made)
    assert "packed-refs" in space.sh("ls /var/lib/containai/git")
