"""What of the host a box has, and where: its workspace at its own path, and its git directory."""

import os
import shlex
import subprocess

import pytest

from containai.errors import WorkspaceError
from harness.site import refused

#: git's identity, as no configuration can be written.
NAMED = ("-c", "user.name=a", "-c", "user.email=a@example.com")
#: The agent's own, in a mount namespace where nothing is mounted that could be in the way of a
#: rename: a descriptor leads back to what a path no longer does.
ELSEWHERE = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def done(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
directory = os.open(sys.argv[1], os.O_RDONLY)
done(libc.unshare(0x00020000))
done(libc.mount(b"none", b"/", b"none", 0x4000 | 1 << 18, None))
done(libc.mount(b"none", b"/mnt", b"tmpfs", 0, b""))
os.mkdir("/mnt/old")
done(libc.syscall(155, b"/mnt", b"/mnt/old"))
done(libc.umount2(b"/old", 2))
os.rename(sys.argv[2], sys.argv[2] + ".was", src_dir_fd=directory, dst_dir_fd=directory)
os.mkdir(sys.argv[2], dir_fd=directory)
"""


def git(directory, *words):
    argv = ["git", "-C", directory, *NAMED, "-c", "protocol.file.allow=always", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def main(make_lasting):
    """A repository on the host: `side` is another worktree of it, with something staged."""
    space = make_lasting("main")
    git(space.path, "init", "-b", "main")
    git(space.path, "commit", "--allow-empty", "-m", "first")
    side = make_lasting("side")
    os.rmdir(side.path)
    git(space.path, "worktree", "add", "--detach", side.path)
    git(side.path, "commit", "--allow-empty", "-m", "of no branch")
    with open(os.path.join(side.path, "staged"), "w", encoding="ascii") as file:
        file.write("staged")
    git(side.path, "add", "staged")
    git(space.path, "branch", "packed")
    git(space.path, "pack-refs", "--all")
    return space


@pytest.fixture(scope="module")
def tree(make_lasting, main):
    space = make_lasting("tree")
    os.rmdir(space.path)
    git(main.path, "worktree", "add", "-b", "work", space.path)
    return space


def test_a_workspace_is_at_its_own_path(shared):
    assert shared.sh(f"cd '{shared.path}' && pwd -P && echo x >same") == shared.path
    assert shared.sh("pwd; cat same; rm same") == "/home/agent/workspace\nx"
    # Of the host there is no more than that.
    beside = shared.sh(f"ls -A '{os.path.dirname(shared.path)}'")
    assert beside == os.path.basename(shared.path)


WORK = """
set -e
pwd
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
echo 1 >file; git add file; git commit --quiet -m second
git checkout --quiet -b other HEAD~1
echo 2 >more; git add more; git commit --quiet -m third
git rebase --quiet work
git checkout --quiet work
git merge --quiet --no-ff other -m merged
git branch -D other >/dev/null 2>&1
echo 3 >file; git stash --quiet; git stash pop --quiet; git commit --quiet -a -m fourth
git fetch --quiet . main
cd /home/agent/workspace && git status --porcelain
"""


def test_git_works_in_a_linked_worktree(tree, main):
    done = tree.run("sh", "-c", WORK)
    assert done.stdout.decode() == f"{tree.path}\n"
    # git would say so here, if it could not remove what a commit or a rebase leaves.
    assert b"error" not in done.stderr
    assert git(main.path, "log", "--format=%s", "--first-parent", "work").split() == [
        "fourth", "merged", "second", "first"
    ]  # fmt: skip
    assert "other" not in git(main.path, "branch")
    assert git(tree.path, "status", "--porcelain") == ""


TRIES = """
cd '{git}'
echo x >hooks/post-commit; echo x >>config; mv hooks was; mkdir other; ln -s /etc commondir
sudo sh -c 'echo x >hooks/post-commit; echo x >>config; mv hooks was; touch config.worktree'
sudo mount -o remount,bind,rw . ; sudo umount refs; sudo umount worktrees/tree/gitdir
sudo mount --bind . /mnt; sudo touch /mnt/x; sudo mount --bind refs /mnt; sudo touch /mnt/../x
echo /etc >worktrees/tree/commondir; echo /etc >worktrees/tree/gitdir
git -C '{git}' config core.hooksPath /tmp; git config core.fsmonitor /tmp/x
rm -rf worktrees/side; echo x >worktrees/side/HEAD; echo x >HEAD
true
"""


def snapshot(git_directory):
    """Return the names below a git directory, and what git executes or is led by of it."""
    files = ["config", "HEAD", "worktrees/tree/gitdir", "worktrees/tree/commondir"]
    texts = []
    for name in files:
        with open(os.path.join(git_directory, name), encoding="utf-8") as file:
            texts.append(file.read())
    names = [os.listdir(os.path.join(git_directory, name)) for name in ("", "hooks", "worktrees")]
    return texts, [sorted(each) for each in names]


def test_the_hooks_and_the_configuration_of_the_repository_stay(tree, main):
    directory = os.path.join(main.path, ".git")
    before = snapshot(directory)
    tree.sh(TRIES.format(git=directory))
    assert snapshot(directory) == before
    for name in ("hooks", "config", "worktrees"):
        words = ("sudo", "python3", "-", directory, name)
        done = tree.run(*words, input=ELSEWHERE.encode(), check=False)
        assert b"Read-only file system" in done.stderr
    assert snapshot(directory) == before
    # Where the directory can be written, that is how it is done.
    tree.sh("mkdir -p own/hooks")
    tree.run("sudo", "python3", "-", f"{tree.path}/own", "hooks", input=ELSEWHERE.encode())
    assert tree.sh("ls own; rm -r own") == "hooks\nhooks.was"


def test_other_worktrees_and_packed_refs_outlive_what_git_tidies_up(tree, main):
    side = os.path.join(os.path.dirname(main.path), "side")
    said = tree.sh(
        "git gc --prune=now; git worktree prune; git prune --expire=now; git repack -adq; "
        "git branch -D packed; git worktree remove --force ../side; true"
    )
    assert "fatal" not in said
    assert git(main.path, "worktree", "list").count("\n") == 3
    assert git(side, "status", "--porcelain") == "A  staged\n"
    assert git(side, "cat-file", "-p", ":staged") == "staged"
    assert git(side, "log", "--format=%s") == "of no branch\nfirst\n"
    assert "packed" in git(main.path, "branch")
    git(main.path, "fsck", "--strict")
    git(main.path, "gc", "--quiet")
    # What the host packs meanwhile, the box sees.
    assert "work" in tree.sh("git branch --format='%(refname:short)'")


def test_a_forged_git_file_gives_nothing(make_space, main):
    space = make_space("evil")
    path = os.path.join(main.path, ".git/worktrees/side")
    with open(os.path.join(space.path, ".git"), "w", encoding="utf-8") as file:
        file.write(f"gitdir: {path}\n")
    seen = space.site.cai("run", *space.force, "--dry-run", space.path)
    assert b"does not name this workspace" in seen.stderr
    assert main.path.encode() not in seen.stdout


def test_git_works_in_a_submodule(make_space, main):
    over = make_space("over")
    git(over.path, "init")
    git(over.path, "submodule", "add", main.path, "part")
    part = type(over)(over.site, os.path.join(over.path, "part"))
    over.site.cai("run", *part.force, part.path, "--", "true")
    try:
        name = part.sh("pwd")
        assert name == part.path
        part.sh(
            "mkdir d && cd d && echo 1 >file && git add file && "
            "git -c user.name=a -c user.email=a@example.com commit --quiet -m inside"
        )
        assert git(part.path, "log", "--format=%s", "-1") == "inside\n"
        assert "part" in git(over.path, "status", "--porcelain")
        # The repository around it is not there.
        assert part.sh(f"ls '{over.path}' '{over.path}/.git'").split()[-1] == "modules"
    finally:
        over.site.cai("rm", "--name", part.box)


@pytest.fixture(scope="module")
def guarded(make_lasting, site):
    """A workspace whose box holds all that programs of the host execute, and has more mounts."""
    space = make_lasting("guarded")
    git(space.path, "init", "-b", "main")
    for name in (".vscode", "../given", "../shared"):
        os.makedirs(os.path.join(space.path, name))
    above = os.path.dirname(space.path)
    with open(os.path.join(above, "given/file"), "w", encoding="ascii") as file:
        file.write("of the host")
    settings = f"""
[workspace."{space.path}"]
workspace.protect = [".git/hooks", ".git/config", ".vscode"]
[[workspace."{space.path}".mount]]
source = "{above}/given"
target = "/given"
[[workspace."{space.path}".mount]]
source = "{above}/shared"
target = "/home/agent/shared"
writable = true
"""
    path = site.layout.config_file
    before = open(path, encoding="utf-8").read() if os.path.exists(path) else None  # noqa: SIM115
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(settings)
    yield space
    if before is None:
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before)


HOLD = """
cd '{top}'
echo x >.git/hooks/post-commit; echo x >>.git/config; echo x >.vscode/tasks.json
mv .git was; mv .vscode was; rm -rf .git/hooks; mv .git/hooks .git/was
sudo mount -o remount,bind,rw .git/hooks; sudo umount .git/config; sudo umount .git
sudo sh -c 'echo x >.git/hooks/post-commit; echo x >>.git/config'
echo x >/given/file; sudo mount -o remount,bind,rw /given; sudo sh -c 'echo x >/given/file'
true
"""


def test_what_the_host_executes_is_held(guarded):
    def held():
        names = [os.listdir(os.path.join(guarded.path, name)) for name in ("", ".git/hooks")]
        with open(os.path.join(guarded.path, ".git/config"), encoding="utf-8") as file:
            return [sorted(each) for each in names], file.read()

    before = held()
    for top in ("/home/agent/workspace", guarded.path):
        guarded.sh(HOLD.format(top=top))
    assert held() == before
    # And what is not, is as ever.
    guarded.sh(
        "git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m 1 && git gc -q"
    )
    assert git(guarded.path, "log", "--format=%s") == "1\n"


def test_more_of_the_host(guarded):
    above = os.path.dirname(guarded.path)
    assert guarded.sh("cat /given/file; echo back >~/shared/file") == "of the host"
    with open(os.path.join(above, "given/file"), encoding="ascii") as file:
        assert file.read() == "of the host"
    written = os.path.join(above, "shared/file")
    assert (os.stat(written).st_uid, open(written, encoding="ascii").read()) == (0, "back\n")  # noqa: SIM115
    # What cai gave, the self-test expects.
    guarded.site.cai("doctor", "--attack", guarded.box)


def test_a_workspace_that_can_only_be_read(make_space):
    space = make_space("read")
    site = space.site
    site.cai("run", *space.force, "--read-only", space.path, "--", "true")
    tries = f"""
    for top in ~/workspace '{space.path}'; do
        touch $top/x; sudo touch $top/x; sudo mount -o remount,bind,rw $top; sudo touch $top/x
    done; true"""
    space.sh(tries)
    assert os.listdir(space.path) == []


def test_a_path_in_a_workspace_is_of_its_box(shared):
    inner = os.path.join(shared.path, "inner")
    os.makedirs(inner, exist_ok=True)
    for words, where in (((inner,), None), ((".",), inner), ((), inner)):
        done = shared.site.cai("run", *words, "--", "sh", "-c", "hostname; pwd", cwd=where)
        assert done.stdout.decode() == f"{shared.box}\n/home/agent/workspace/inner\n"
    seen = shared.site.cai("run", "--here", "--force", "--dry-run", inner).stdout.decode()
    assert f"source={inner},target={inner}" in seen
    os.rmdir(inner)


def test_a_workspace_that_moved_and_a_name_of_many_characters(make_space):
    space = make_space("a b,c'\"d:é\\e")
    assert space.sh(f"ls -d -- {shlex.quote(space.path)} && touch x") == space.path
    there = space.path + " moved"
    os.rename(space.path, there)
    done = space.site.cai("run", *space.force, there, "--", "true", check=False)
    assert "cannot follow" in refused(done, WorkspaceError)[-2]
    os.rename(there, space.path)
    assert space.sh("ls") == "x"
