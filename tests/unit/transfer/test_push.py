"""What goes into a box: it looks there as it looks here, and nothing here is touched."""

import os

import pytest

from containai.errors import CopyError, SshConnectError, WorkspaceError

NOT_UTF8 = b"caf\xe9"


def untouched(bench):
    """Return what of the user's repository may not change."""
    here = bench.here
    with open(os.path.join(here.path, ".git/index"), "rb") as index:
        return index.read(), here.git("for-each-ref"), here.git("stash", "list"), here.head()


def test_work_looks_there_as_it_looks_here(bench):
    here = bench.here.init().put("a", "1\n").put("gone", "x\n").put("d/b", "b\n").put("s", "s\n")
    here.put(".gitignore", "*.log\n").put("run", "#!/bin/sh\n", 0o755)
    here.commit("first")
    here.commit("second")
    here.git("checkout", "-q", "-b", "topic/one")
    here.put("s", "staged\n")
    here.git("add", "s")
    here.put("s", "then changed\n").put("a", "2\n").put("new/deep", "n\n").put("x.log", "secret")
    here.remove("gone")
    here.git("mv", "d/b", "d/c")
    here.put("run", "#!/bin/sh\n", 0o644)
    os.symlink("a", os.path.join(here.path, "link"))
    before = untouched(bench)
    pushed = bench.push()
    assert untouched(bench) == before
    assert bench.box.status() == here.status()
    assert "topic/one" in here.status()
    assert bench.box.head() == here.head()
    assert bench.box.git("log", "--format=%s") == here.git("log", "--format=%s")
    assert bench.box.git("diff", "--cached") == here.git("diff", "--cached")
    assert bench.box.git("diff") == here.git("diff")
    assert os.readlink(os.path.join(bench.box.path, "link")) == "a"
    assert not bench.box.has("x.log")
    assert pushed.bytes == sum(bench.told) > 0
    assert pushed.left_out == ()


def test_odd_names_arrive(bench):
    here = bench.here.init().put("a", "a").put(b'old\n"q\\', "1")
    here.commit()
    here.put(b'old\n"q\\', "2")
    for name in (b"line\nfeed", NOT_UTF8, b"-n", b" blank ", b'"quoted"', b"tab\there", b"a\\b"):
        here.put(name, name).put(b"dir-" + name + b"/x", "x")
    bench.push()
    assert bench.box.status() == here.status()
    assert bench.box.has(NOT_UTF8)


def test_nothing_committed_yet(bench):
    here = bench.here.init().put("staged", "s").put("new", "n")
    here.git("add", "staged")
    bench.push()
    assert bench.box.status() == here.status()
    here.commit()
    bench.push()
    assert bench.box.status() == here.status()
    assert bench.box.head() == here.head()


def test_nothing_at_all_yet(bench):
    bench.here.init()
    bench.push()
    assert bench.box.status() == bench.here.status()


def test_no_branch(bench):
    here = bench.here.init().put("a", "1")
    first = here.commit()
    here.put("a", "2").commit()
    here.git("checkout", "-q", first)
    bench.push()
    assert bench.box.status() == here.status()
    assert bench.box.head() == first


def test_shallow_clone(bench, tmp_path):
    old = type(bench.here)(tmp_path / "old").init().put("a", "1")
    for _ in range(3):
        old.commit()
    old.git("clone", "-q", "--depth=2", f"file://{old.path}", bench.here.path)
    bench.push()
    assert bench.box.git("rev-list", "--count", "HEAD") == "2\n"
    assert bench.box.git("fsck", "--connectivity-only", "--no-dangling") == ""
    bench.box.put("b", "b").commit("in the box")
    bench.pull(merge=True)
    assert bench.here.head() == bench.box.head()


def test_linked_worktree(bench, tmp_path):
    main = type(bench.here)(tmp_path / "main").init().put("a", "1")
    main.commit()
    main.git("worktree", "add", "-q", bench.here.path, "-b", "agent/work")
    bench.here.put("a", "2")
    bench.push()
    assert bench.box.status() == bench.here.status()
    bench.box.commit("done")
    bench.pull(merge=True)
    assert main.git("rev-parse", "agent/work") == bench.box.git("rev-parse", "HEAD")
    assert main.git("status", "--porcelain") == bench.here.git("status", "--porcelain") == ""


def test_sha256(bench):
    bench.here.init("--object-format=sha256").put("a", "1").commit()
    bench.here.put("b", "2")
    bench.push()
    assert bench.box.status() == bench.here.status()
    assert len(bench.box.head()) == 64


def test_submodule_is_named_and_not_sent(bench, tmp_path):
    sub = type(bench.here)(tmp_path / "sub").init().put("s", "s")
    sub.commit()
    here = bench.here.init().put("a", "1")
    here.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", sub.path, "sub")
    here.commit()
    here.put("sub/changed", "x")
    pushed = bench.push()
    assert [each.name for each in pushed.left_out] == ["sub"]
    assert "160000" in bench.box.git("ls-tree", "HEAD", "sub")
    assert not bench.box.has("sub/s")


def test_repository_inside_is_named_and_not_sent(bench, tmp_path):
    bench.here.init().put("a", "1").commit()
    type(bench.here)(f"{bench.here.path}/inner").init().put("x", "x").commit()
    assert [each.name for each in bench.push().left_out] == ["inner/"]
    assert not bench.box.has("inner")


def test_filter_never_runs_and_is_said(bench, tmp_path):
    here = bench.here.init().put(".gitattributes", "*.bin filter=lfs\n")
    here.put("old.bin", "version https://git-lfs.github.com/spec/v1\n").commit()
    here.put("new.bin", "content")
    here.git("config", "filter.lfs.clean", f"touch {tmp_path}/ran; cat")
    here.git("config", "filter.lfs.process", f"touch {tmp_path}/ran; false")
    here.git("hash-object", "--path=new.bin", "new.bin", check=False)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    pushed = bench.push()
    assert not (tmp_path / "ran").exists()
    assert [each.name for each in pushed.left_out] == ["new.bin"]
    assert "filter" in pushed.left_out[0].why
    assert bench.box.get("new.bin") == "content"


def test_ignored_files_go_by_name_only(started):
    started.here.put(".gitignore", ".env\nbuild/\n").put(".env", "KEY=1").put("build/x/y", "y")
    started.push()
    assert not started.box.has(".env")
    pushed = started.push(".env", "build", "none")
    assert started.box.get(".env") == "KEY=1"
    assert started.box.get("build/x/y") == "y"
    assert [each.name for each in pushed.left_out] == ["none"]
    for name in ("../x", "/etc", ".git/config", "a/../../x"):
        with pytest.raises(CopyError, match="no path below"):
            started.push(name)


def test_news_go_out_again(started):
    here = started.here
    here.put("a", "changed\n").put("new", "n")
    started.push()
    assert started.box.status() == here.status()
    here.put("d/e/f", "f")
    here.remove("new")
    head = here.commit("second")
    here.put("a", "again\n")
    started.push()
    assert started.box.head() == head
    assert started.box.status() == here.status()
    here.git("checkout", "-q", "-b", "other")
    started.push()
    assert started.box.status() == here.status()


def test_what_only_the_box_changed_stays(started):
    started.box.put("d/b", "box\n").put("made", "m")
    started.here.put("a", "mine\n")
    started.push()
    box = started.box
    assert (box.get("a"), box.get("d/b"), box.get("made")) == ("mine\n", "box\n", "m")
    assert box.git("status", "--porcelain") == " M a\n M d/b\n?? made\n"


def test_both_changed_the_same(started):
    started.box.put("a", "box\n").put("new\x1b[31m", "box")
    started.here.put("a", "mine\n").put("new\x1b[31m", "mine").put("d/b", "fine\n")
    before = untouched(started), started.box.status()
    with pytest.raises(CopyError, match="different ways") as raised:
        started.push()
    assert "\n  a\n" in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert (untouched(started), started.box.status()) == before
    assert (started.box.get("a"), started.box.get("d/b")) == ("box\n", "b\n")
    # The same change on both sides is none that is in the way.
    started.here.put("a", "box\n").put("new\x1b[31m", "box")
    started.push()
    assert started.box.get("d/b") == "fine\n"


def test_file_where_the_other_has_a_directory(started):
    started.box.put("x/y", "box")
    started.here.put("x", "mine")
    with pytest.raises(CopyError):
        started.push()
    assert started.box.get("x/y") == "box"


def test_ignored_file_of_the_box_in_the_way(started):
    started.here.put(".gitignore", "out\n").commit()
    started.push()
    started.box.put("out", "precious")
    started.here.put(".gitignore", "").put("out", "mine")
    with pytest.raises(CopyError, match="out"):
        started.push()
    assert started.box.get("out") == "precious"


def test_commits_of_both_sides(started):
    started.box.put("b1", "1").commit("box")
    started.here.put("h1", "1").commit("here")
    with pytest.raises(CopyError, match="has commits on 'main' that are not here"):
        started.push()
    assert not started.box.has("h1")
    started.pull(merge=True)
    started.push()
    assert started.box.head() == started.here.head()
    assert started.box.has("h1")


def test_uncommitted_news_beside_commits_of_the_box(started):
    head = started.box.put("b1", "1").commit("box")
    started.here.put("h1", "1")
    started.push()
    assert started.box.head() == head
    assert started.box.git("status", "--porcelain") == "?? h1\n"


def test_files_there_that_nobody_sent(bench):
    bench.here.init().put("a", "1").commit()
    bench.box.put("theirs", "x")
    with pytest.raises(CopyError, match="has files already"):
        bench.push()


def test_hooks_and_configuration_here_never_run(started, tmp_path):
    """The workspace may have been an agent's, with all of its .git."""
    here, ran = started.here, tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {ran}\nexit 0\n"
    for hook in ("reference-transaction", "post-index-change", "pre-push", "post-checkout"):
        here.put(f".git/hooks/{hook}", script, 0o755)
    tool = here.put(".git/tool", script, 0o755).path + "/.git/tool"
    for name in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand"):
        here.git("config", name, tool)
    here.git("status")
    assert ran.exists()
    ran.unlink()
    here.put("a", "2\n").put("new", "n")
    started.push()
    started.box.commit("box")
    started.pull(merge=True)
    assert here.head() == started.box.head()
    assert not ran.exists()


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        (".git/objects", "other/.git/objects"),
        (".git/refs/heads", "other/.git/refs/heads"),
        (".git/HEAD", "other/.git/HEAD"),
        (".git", "other/.git"),
    ],
)
def test_links_to_another_repository(bench, tmp_path, path, leads):
    type(bench.here)(tmp_path / "other").init().put("secret", "x").commit()
    here = bench.here.init().put("a", "1")
    here.commit()
    os.rename(os.path.join(here.path, path), tmp_path / "aside")
    os.symlink(tmp_path / leads, os.path.join(here.path, path))
    with pytest.raises(WorkspaceError):
        bench.push()
    assert not bench.box.has("secret")


def test_objects_of_another_repository(bench, tmp_path):
    other = type(bench.here)(tmp_path / "other").init().put("secret", "x")
    other.commit()
    bench.here.init().put("a", "1").commit()
    bench.here.put(".git/objects/info/alternates", f"{other.path}/.git/objects\n")
    with pytest.raises(WorkspaceError, match="borrows"):
        bench.push()


def test_git_file_that_names_another_repository(bench, tmp_path):
    other = type(bench.here)(tmp_path / "other").init().put("secret", "x")
    other.commit()
    bench.here.put(".git", f"gitdir: {other.path}/.git\n")
    with pytest.raises(WorkspaceError):
        bench.push()


def test_partial_clone_is_refused(started):
    started.here.git("config", "remote.origin.promisor", "true")
    with pytest.raises(WorkspaceError, match="partial clone"):
        started.push()


def test_box_that_does_not_answer(started):
    (started.box_home / "down").touch()
    with pytest.raises(SshConnectError, match="was lost"):
        started.push()


def test_unfinished_merge_is_said(started):
    here = started.here
    here.git("checkout", "-q", "-b", "b")
    here.put("a", "1\n").commit()
    here.git("checkout", "-q", "main")
    here.put("a", "2\n").commit()
    here.git("merge", "b", check=False)
    pushed = started.push()
    assert [each.name for each in pushed.left_out] == ["the index"]
    assert "<<<<<<<" in started.box.get("a")


def test_thousands_of_files(bench):
    here = bench.here.init()
    for directory in range(20):
        here.put(f"d{directory}/0", "x")
        for number in range(99):
            with open(f"{here.path}/d{directory}/{number + 1}", "w", encoding="ascii") as file:
                file.write(f"{directory} {number}\n")
    bench.push()
    assert bench.box.git("ls-files", "--others").count("\n") == 2_000
