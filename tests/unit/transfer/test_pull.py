"""What comes back: a box's commits and what is not committed; its git is an adversary's."""

import os
import shutil
import subprocess

import pytest

from containai.errors import CopyError
from containai.transfer.count import Unfetched, unfetched
from containai.transfer.pull import offered

PLANTED = "#!/bin/sh\ntouch {}\nexit 0\n"


def looks(bench):
    """Return what of the user's nothing may change."""
    here = bench.here
    files = here.git("ls-files", "-s"), here.git("stash", "list"), here.head()
    return files, here.status(), here.git("branch"), {n: here.get(n) for n in ("a", "d/b")}


def work_tree(bench):
    return bench.here.git("ls-tree", "-r", "--name-only", "-z", "cai-api/work").split("\0")[:-1]


def test_commits_and_what_is_not_committed(started):
    box = started.box
    head = box.put("c", "c\n").commit("in the box")
    box.put("a", "changed\n").put("new", "n\n")
    box.git("branch", "topic/two")
    before = looks(started)
    pulled = started.pull()
    assert looks(started) == before
    here = started.here
    assert (pulled.work, pulled.head, pulled.commits, pulled.changed) == (
        "cai-api/work",
        head,
        1,
        2,
    )
    assert here.git("rev-parse", "cai-api/head").strip() == head
    assert here.git("rev-parse", "cai-api/heads/topic/two").strip() == head
    assert here.git("show", "cai-api/work:new") == "n\n"
    assert here.git("rev-parse", "cai-api/work^").strip() == head
    assert here.git("fsck") == ""
    assert pulled.merged is None
    assert pulled.bytes > 0


def test_nothing_new(started):
    pulled = started.pull()
    assert (pulled.commits, pulled.changed) == (0, 0)
    assert started.pull(merge=True).merged.files == 0


def test_merged_by_going_forward(started):
    head = started.box.put("c", "c\n").put("a", "2\n").commit("in the box")
    started.box.put("new", "n\n", 0o755)
    started.box.remove("d/b")
    started.here.put("mine", "m\n")
    merged = started.pull(merge=True).merged
    here = started.here
    assert merged.head == here.head() == head
    assert here.git("status", "--porcelain") == " D d/b\n?? mine\n?? new\n"
    assert here.get("c") == "c\n"
    assert os.stat(f"{here.path}/new").st_mode & 0o100
    assert not here.has("d")
    assert started.state().base == started.state().fetched


def test_work_that_went_out_and_was_changed_there(started):
    """What is not committed here, went there as such, and was worked on."""
    here = started.here
    here.put("a", "mine\nmore\n").put("draft", "1\n2\n3\n4\n5\n")
    started.push()
    started.box.put("draft", "1\n2\n3\n4\nfive\n").put("a", "mine\nmore\nagent\n")
    here.put("draft", "one\n2\n3\n4\n5\n")
    started.pull(merge=True)
    assert here.get("draft") == "one\n2\n3\n4\nfive\n"
    assert here.get("a") == "mine\nmore\nagent\n"
    assert here.git("status", "--porcelain") == " M a\n?? draft\n"
    started.push()
    assert started.box.get("draft") == here.get("draft")
    assert started.pull(merge=True).merged.files == 0


def test_both_have_commits(started):
    with open(f"{started.layout.home}/.gitconfig", "w", encoding="utf-8") as file:
        file.write("[user]\nname = Ann\nemail = ann@example.com\n")
    theirs = started.box.put("c", "c\n").commit("in the box")
    mine = started.here.put("e", "e\n").commit("here")
    started.pull(merge=True)
    here = started.here
    parents = here.git("log", "-1", "--format=%P%n%an %ae").split("\n")
    assert parents[:2] == [f"{mine} {theirs}", "Ann ann@example.com"]
    assert here.status() == "## main\0"
    assert (here.get("c"), here.get("e")) == ("c\n", "e\n")


def test_staged_work_stays_staged(started):
    here = started.here
    here.put("staged", "s\n")
    here.git("add", "staged")
    started.box.put("a", "2\n").commit("in the box")
    started.pull(merge=True)
    assert here.git("status", "--porcelain") == "A  staged\n"


@pytest.mark.parametrize("commits", [True, False], ids=["committed", "not committed"])
def test_conflict_touches_nothing(started, commits):
    started.box.put("a", "box\n").put("c", "c")
    started.here.put("a", "mine\n")
    if commits:
        started.box.commit("box")
    before = looks(started)
    with pytest.raises(CopyError, match="changed the same, and nothing was touched:\n  a"):
        started.pull(merge=True)
    assert looks(started) == before
    assert not started.here.has("c")
    assert started.here.git("show", "cai-api/work:a") == "box\n"


def test_ignored_file_here_in_the_way(started):
    started.here.put(".git/info/exclude", "secret\n").put("secret", "mine")
    started.box.put("secret", "box").put("c", "c")
    with pytest.raises(CopyError, match="secret: it is there"):
        started.pull(merge=True)
    assert started.here.get("secret") == "mine"
    assert not started.here.has("c")


def test_staged_in_the_way(started):
    here = started.here
    here.put("a", "staged\n")
    here.git("add", "a")
    here.put("a", "a\n")
    started.box.put("a", "2\n").commit("box")
    with pytest.raises(CopyError, match="staged is in the way"):
        started.pull(merge=True)
    assert here.get("a") == "a\n"
    assert here.git("show", ":a") == "staged\n"


def test_no_branch_and_commits(started):
    started.here.git("checkout", "-q", "--detach")
    started.box.put("c", "c").commit("box")
    with pytest.raises(CopyError, match="on no branch"):
        started.pull(merge=True)
    assert not started.here.has("c")


def test_names_of_other_bytes_come_back(started):
    for name in (b"caf\xe9", b" blank ", b"-n", b'"q"'):
        started.box.put(name, b"x")
    started.pull(merge=True)
    assert started.here.has(b"caf\xe9")
    assert started.here.status() == started.box.status()


def test_planted_programs_bite_whoever_copies_the_git_directory(started, tmp_path):
    """What this is about: first seen with a copy, then not with ours."""
    ran, box = tmp_path / "ran", started.box
    for hook in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"):
        box.put(f".git/hooks/{hook}", PLANTED.format(ran), 0o755)
    box.put("tool", PLANTED.format(ran), 0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "filter.x.smudge", "filter.x.clean"):
        box.git("config", name, f"{box.path}/tool")
    for name in ("uploadpack.packObjectsHook", "core.alternateRefsCommand", "merge.x.driver"):
        box.git("config", name, f"{box.path}/tool")
    box.put(".gitattributes", "* filter=x merge=x\n").put("a", "2\n")
    copy = type(box)(tmp_path / "copy")
    shutil.copytree(box.path, copy.path, symlinks=True)
    copy.git("status", check=False)
    assert ran.exists()
    ran.unlink()
    # It runs as it likes in the box; here "the box" is on this machine, so its own is taken away.
    started.ssh.write_text(started.ssh.read_text().replace("env -i", "env -i PLANTED_IN_BOX=1"))
    box.put("tool", f'#!/bin/sh\n[ -n "$PLANTED_IN_BOX" ] || touch {ran}\ncat\n', 0o755)
    for hook in os.listdir(f"{box.path}/.git/hooks"):
        box.put(
            f".git/hooks/{hook}", f'#!/bin/sh\n[ -n "$PLANTED_IN_BOX" ] || touch {ran}\n', 0o755
        )
    started.pull(merge=True)
    assert started.here.get("a") == "2\n"
    here = started.here
    here.git("status")
    assert here.git("config", "--get-regexp", "filter.*", check=False) == ""
    assert not any(
        os.path.exists(f"{here.path}/.git/hooks/{n}") for n in ("post-merge", "post-checkout")
    )
    started.push()
    assert not ran.exists()


def plant(box, *entries):
    """Have the box's HEAD be a commit with entries that git itself would refuse to make."""
    tree = b"".join(
        b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in entries
    )
    made = subprocess.run(
        ["git", "-C", box.path, "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=tree, stdout=subprocess.PIPE, check=True,
    ).stdout.decode().strip()  # fmt: skip
    commit = box.git("commit-tree", "-p", "HEAD", "-m", "planted", made).strip()
    box.git("update-ref", "refs/heads/evil", commit)
    return commit


def blob(box, text):
    path = box.put(".git/x", text).path + "/.git/x"
    return box.git("hash-object", "-w", path).strip()


@pytest.mark.parametrize(
    "name",
    [b".git", b".GIT", b"git~1", b".g\xe2\x80\x8cit", b".git ", b"..", b".", b"a/b", b".git\\x"],
)
def test_names_of_git_in_a_tree(started, name):
    plant(started.box, ("40000", name, started.box.git("rev-parse", "HEAD^{tree}").strip()))
    before = looks(started)
    with pytest.raises(CopyError, match="objects are refused"):
        started.pull()
    assert looks(started) == before
    assert started.here.git("for-each-ref", "refs/remotes") == ""


def test_submodules_that_run_something(started):
    box = started.box
    modules = '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'
    plant(box, ("100644", b".gitmodules", blob(box, modules)))
    with pytest.raises(CopyError, match="objects are refused"):
        started.pull()
    plant(box, ("120000", b".gitmodules", blob(box, "a")))
    with pytest.raises(CopyError, match="objects are refused"):
        started.pull()


@pytest.mark.parametrize("where", ["/etc/passwd", "../../x", "d/../../x"])
def test_link_that_leads_out(started, where):
    os.symlink(where, f"{started.box.path}/link")
    started.box.put("c", "c")
    pulled = started.pull()
    assert [(each.path, each.refused) for each in pulled.odd] == [("link", True)]
    with pytest.raises(CopyError, match="link: a link that leads out"):
        started.pull(merge=True)
    assert not started.here.has("c")
    assert not started.here.has("link")


def test_link_that_stays_comes(started):
    os.symlink("../a", f"{started.box.path}/d/link")
    started.pull(merge=True)
    assert os.readlink(f"{started.here.path}/d/link") == "../a"


def test_control_characters_in_a_name(started):
    started.box.put("x\x1b]0;owned\x07", "x")
    with pytest.raises(CopyError, match="control character") as raised:
        started.pull(merge=True)
    assert raised.value.args[0].isprintable() or "\x1b" not in raised.value.args[0]


def test_repository_without_a_work_tree(started):
    for name in ("HEAD", "config", "objects/x", "refs/x"):
        started.box.put(f"docs/{name}", "x")
    assert started.pull().odd[0].path == "docs"
    with pytest.raises(CopyError, match="docs: a git repository"):
        started.pull(merge=True)
    assert not started.here.has("docs")


def test_submodule_and_gitmodules_are_said(started, tmp_path):
    box = started.box
    box.put(".gitmodules", '[submodule "x"]\n\tpath = x\n\turl = https://example.com/x\n')
    box.git("update-index", "--add", "--cacheinfo", f"160000,{box.head()},x")
    os.mkdir(f"{box.path}/x")
    box.git("commit", "-q", "-m", "sub")
    pulled = started.pull(merge=True)
    assert {(each.path, each.refused) for each in pulled.odd} == {
        (".gitmodules", False),
        ("x", False),
    }
    assert not started.here.has("x/.git")


def test_more_than_may_come(started):
    started.box.put("big", os.urandom(300_000))
    with pytest.raises(CopyError, match="sends more"):
        started.pull(limit=100_000)
    assert started.here.git("for-each-ref", "refs/remotes") == ""


@pytest.mark.parametrize(
    "text",
    ["", "head x\nwork y\n", "head \nwork -rf\n", "\x1b[2J", f"work {'a' * 40}\nmore", "work\n"],
)
def test_other_answers_are_none(text):
    with pytest.raises(CopyError):
        offered(text)


def test_names_of_branches_are_not_believed():
    oid = "a" * 40
    refs = ["refs/heads/ok", "refs/heads/../../config", "refs/tags/x", "refs/heads/-x", "HEAD"]
    refs += ["refs/heads/x.lock", "refs/heads/\x1b[31m", "refs/heads/a b", "refs/heads/.x"]
    said = offered(f"head {oid}\nwork {oid}\n" + "".join(f"ref {oid} {name}\n" for name in refs))
    assert list(said.branches) == ["refs/heads/ok"]
    assert len(said.left_out) == len(refs) - 1


def test_plain_fetch_is_as_careful(started):
    config = started.here.git("config", "--list", "--local").lower().split("\n")
    for line in (
        "remote.cai-api.url=api:workspace",
        "remote.cai-api.fetch=+refs/heads/*:refs/remotes/cai-api/heads/*",
        "remote.cai-api.tagopt=--no-tags",
        "fetch.fsckobjects=true",
        "fetch.recursesubmodules=false",
    ):
        assert config.count(line) == 1
    started.here.git("config", "fetch.fsckObjects", "false")
    started.push()
    assert started.here.git("config", "--get-all", "fetch.fsckObjects") == "false\n"
    fake = f"sh -c '{started.ssh} \"$2\"' ssh"
    head = started.box.put("c", "c").commit("box")
    started.here.git(
        "-c", f"core.sshCommand={fake}", "-c", "ssh.variant=simple", "fetch", "cai-api"
    )
    assert started.here.git("rev-parse", "cai-api/heads/main").strip() == head


def test_branches_that_went_are_gone(started):
    started.box.git("branch", "x")
    started.pull()
    started.box.git("branch", "-D", "x")
    started.box.git("branch", "x/y")
    started.pull()
    refs = started.here.git("for-each-ref", "--format=%(refname)", "refs/remotes").split()
    assert "refs/remotes/cai-api/heads/x/y" in refs
    assert "refs/remotes/cai-api/heads/x" not in refs


def count(bench):
    return unfetched(bench.programs, bench.reach, bench.state())


def test_what_was_not_fetched(started):
    assert count(started) == Unfetched()
    assert not count(started).is_any
    started.box.put("c", "c").commit("1")
    started.box.put("a", "x").put("e", "e")
    assert count(started) == Unfetched(commits=1, changed=2)
    started.pull()
    assert count(started) == Unfetched()
    started.box.git("checkout", "-q", "-b", "other")
    started.box.commit("2")
    started.box.git("checkout", "-q", "main")
    assert count(started) == Unfetched(commits=1)
    started.box.put("a", "stashed").git("stash", "-q")
    assert count(started).stashes == 1


def test_nobody_knows_of_a_box_that_does_not_answer(started):
    (started.box_home / "down").touch()
    assert "lost" in count(started).unknown
    assert count(started).is_any
