"""What of the host a box has, and where."""

import pytest

from containai.boxes import places
from containai.boxes.places import Mount
from containai.boxes.workspace import Workspace
from containai.host import repository
from containai.host.repository import Linked, NotLinkedError

IN_BOX = "/home/agent/workspace"


@pytest.fixture(autouse=True)
def no_git(monkeypatch):
    monkeypatch.setattr(repository, "linked", lambda path, home: None)


def of(layout, path):
    return places.of(layout, Workspace(path))


@pytest.mark.parametrize(
    "path", ["/srv/api", "/home/me/api", "/tmp/a/b", "/var/tmp/x", "/var/www/site", "/opt/x", "/x"]
)
def test_the_same_path_as_outside(layout, path):
    assert of(layout, path) == places.Places((Mount(path, path),))


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/usr/src/linux", "/usr"), ("/root/api", "/root"), ("/home", "/home"), ("/srv", "/srv"),
        ("/home/agent/api", "/home/agent"), ("/tmp", "/tmp"), ("/var/lib/docker/x", "/var"),
        ("/run/user/1000/x", "/run"), ("/dev/shm/x", "/dev"), ("/proc/1", "/proc"), ("/", "/"),
        ("/mnt/agent-data", "/mnt/agent-data"), ("/mnt", "/mnt"), ("/var", "/var"),
    ],
)  # fmt: skip
def test_what_is_the_boxs_own_is_not_hidden(layout, path, by):
    seen = of(layout, path)
    assert (seen.mounts, seen.start) == ((), IN_BOX)
    assert f"{by} is the box's own" in seen.news[0]


def test_a_workspace_that_is_there_already_is_said_nothing_of(layout):
    assert of(layout, IN_BOX) == places.Places()


WORKTREE = Linked("/srv/r/.git/worktrees/w", "/srv/r/.git", ("objects", "refs"), ())


def test_a_worktree(layout, monkeypatch):
    monkeypatch.setattr(repository, "linked", lambda path, home: WORKTREE)
    seen = of(layout, "/srv/w")
    own = [(mount.target, mount.writable) for mount in seen.mounts]
    assert own == [
        ("/srv/w", True),
        ("/srv/r/.git", False),
        ("/srv/r/.git/objects", True),
        ("/srv/r/.git/refs", True),
        ("/srv/r/.git/worktrees/w", True),
        ("/srv/r/.git/worktrees/w/gitdir", False),
        ("/srv/r/.git/worktrees/w/commondir", False),
    ]
    assert all(mount.source == mount.target for mount in seen.mounts[:5])
    assert [mount.source for mount in seen.mounts[5:]] == [path for path, _ in seen.files]
    assert [text for _, text in seen.files] == ["/srv/w/.git\n", "/var/lib/containai/git\n"]
    assert seen.start == "/srv/w"
    assert "'/srv/r/.git'" in seen.news[0]
    assert places.given(seen) == {"etc/containai/repository": ("/srv/r/.git\n", 0o644)}


def test_a_worktree_that_has_its_own_path_not(layout, monkeypatch):
    monkeypatch.setattr(repository, "linked", lambda path, home: WORKTREE)
    seen = of(layout, "/root/w")
    assert seen.start == IN_BOX
    assert seen.files[0][1] == f"{IN_BOX}/.git\n"


def test_a_submodule(layout, monkeypatch):
    monkeypatch.setattr(repository, "linked", lambda path, home: Linked("/srv/o/.git/modules/p"))
    seen = of(layout, "/srv/o/p")
    assert seen.mounts[1:] == (Mount("/srv/o/.git/modules/p", "/srv/o/.git/modules/p"),)
    assert (seen.start, seen.repository, places.given(seen)) == ("/srv/o/p", "", {})


def test_a_repository_where_the_box_has_its_own(layout, monkeypatch):
    linked = Linked("/root/r/.git/worktrees/w", "/root/r/.git")
    monkeypatch.setattr(repository, "linked", lambda path, home: linked)
    seen = of(layout, "/srv/w")
    assert seen.mounts == (Mount("/srv/w", "/srv/w"),)
    assert "not in the box: /root is the box's own" in seen.news[0]


@pytest.mark.parametrize("wrong", [NotLinkedError("it is evil"), OSError(13, "Permission denied")])
def test_what_is_not_taken_is_said(layout, monkeypatch, wrong):
    def refuse(path, home):
        raise wrong

    monkeypatch.setattr(repository, "linked", refuse)
    seen = of(layout, "/srv/w")
    assert seen.mounts == (Mount("/srv/w", "/srv/w"),)
    assert wrong.args[-1] in seen.news[0]


def test_the_files_are_later_than_any_day_that_git_looks_at(layout, tmp_path):
    path = tmp_path / "a/b"
    places.prepare(places.Places(files=((str(path), "text\n"),)))
    assert path.read_text() == "text\n"
    assert path.stat().st_mtime > 4e9


def test_what_is_held_is_so_at_both_paths(layout, tmp_path):
    for name in (".git/hooks", ".vscode"):
        (tmp_path / name).mkdir(parents=True)
    seen = places.of(layout, Workspace(str(tmp_path)), (".git/hooks", ".vscode", ".envrc"))
    assert [(mount.target, mount.writable) for mount in seen.mounts[1:]] == [
        (f"{IN_BOX}/.git", True),
        (f"{tmp_path}/.git", True),
        (f"{IN_BOX}/.vscode", False),
        (f"{tmp_path}/.vscode", False),
        (f"{IN_BOX}/.git/hooks", False),
        (f"{tmp_path}/.git/hooks", False),
    ]
    assert (seen.news, seen.directories) == ((), ())


def test_a_workspace_that_can_only_be_read_needs_nothing_held(layout, tmp_path):
    (tmp_path / ".git/hooks").mkdir(parents=True)
    workspace = Workspace(str(tmp_path), read_only=True)
    mount = Mount(str(tmp_path), str(tmp_path), writable=False)
    assert places.of(layout, workspace, (".git/hooks",)) == places.Places((mount,))


def test_hooks_of_a_submodule_are_where_its_git_directory_is(layout, tmp_path, monkeypatch):
    (tmp_path / "modules/p/hooks").mkdir(parents=True)
    linked = Linked(str(tmp_path / "modules/p"))
    monkeypatch.setattr(repository, "linked", lambda path, home: linked)
    seen = places.of(layout, Workspace("/srv/o/p"), (".git/hooks", ".vscode"))
    hooks = f"{linked.directory}/hooks"
    assert seen.mounts[-1] == Mount(hooks, hooks, writable=False)


def test_what_a_user_gives_is_said(layout):
    seen = places.joined(of(layout, "/srv/a"), [Mount("/srv/d", "/d", writable=False)])
    assert seen.mounts[-1].target == "/d"
    assert seen.news == ("cai: the box has of the host, too: '/srv/d' as '/d' (read-only)\n",)
