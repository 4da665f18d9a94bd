import os
import pwd

import pytest

from containai.boxes import owner
from containai.boxes.owner import Caller
from containai.engine import client
from containai.errors import EngineError, WorkspaceError
from containai.host.proc import Done, ProcessError

ME = Caller(frozenset({1000}), frozenset({1000, 50}))


class Seen:
    def __init__(self, uid, gid, mode=0o40755):
        self.st_uid, self.st_gid, self.st_mode = uid, gid, mode


@pytest.fixture
def owned(monkeypatch):
    def by(uid, gid):
        monkeypatch.setattr(os, "stat", lambda path: Seen(uid, gid))
        monkeypatch.setattr(os, "lstat", lambda path: Seen(uid, gid))

    return by


@pytest.mark.parametrize(
    ("uid", "gid", "said"),
    [
        (1000, 1000, ""),
        (1000, 50, ""),
        (1000, 42, "belongs to the group"),
        (1001, 1000, "belongs to 1001"),
        (0, 0, "belongs to root"),
    ],
)
def test_owner_and_group_are_the_callers(layout, owned, uid, gid, said):
    owned(uid, gid)
    if not said:
        owner.check(layout, "/w", ME)
        return
    with pytest.raises(WorkspaceError, match=said) as caught:
        owner.check(layout, "/w", ME)
    assert "--force" in caught.value.hint


def test_root_has_every_group(layout, owned):
    layout.uid = 0
    owned(0, 42)
    owner.check(layout, "/w", Caller(frozenset({0}), frozenset({0})))


def test_what_a_box_made_is_to_be_reclaimed(layout, owned):
    owned(layout.stored_ids[0] + 7, 1000)
    with pytest.raises(WorkspaceError, match="made by another user of a box") as caught:
        owner.check(layout, "/w", ME)
    assert "cai reclaim '/w'" in caught.value.hint


@pytest.mark.parametrize(
    ("directory", "may"),
    [
        (Seen(0, 0, 0o755), True),
        (Seen(0, 0, 0o750), False),
        (Seen(0, 50, 0o710), True),
        (Seen(0, 50, 0o701), False),
        (Seen(1000, 0, 0o677), False),
        (Seen(1000, 0, 0o100), True),
    ],
)
def test_who_may_pass_a_directory(directory, may):
    assert owner._may_pass(directory, 1000, {1000, 50}) is may


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_is_exposed_to_people_only(tmp_path, monkeypatch):
    people = [pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh")) for name, uid in USERS]
    monkeypatch.setattr(pwd, "getpwall", lambda: people)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid])
    monkeypatch.setattr(owner, "_may_pass", lambda *_: True)
    assert owner.exposed_to(str(tmp_path)) == "alice"
    people[:] = people[:2]
    assert owner.exposed_to(str(tmp_path)) == ""
    os.chown(tmp_path, 1234, 1234)
    people.append(pwd.struct_passwd(("bob", "x", 1001, 1001, "", "/", "/bin/sh")))
    assert owner.exposed_to(str(tmp_path)) == ""


USERS = (("www-data", 33), ("nobody", 65534), ("alice", 1000))


def test_files_of_others(layout, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").touch()
    assert owner.others(layout, str(tmp_path)) is None
    if os.getuid() != 0:
        pytest.skip("needs root")
    os.chown(tmp_path / "a" / "f", layout.stored_ids[0], 0)
    assert owner.others(layout, str(tmp_path)) is None
    os.chown(tmp_path / "a" / "f", 0, 1)
    seen = owner.others(layout, str(tmp_path), seconds=60)
    assert (seen.path, seen.of_a_box) == ("a/f", False)
    os.chown(tmp_path / "a" / "f", layout.id_window[0], 0)
    assert owner.others(layout, str(tmp_path), seconds=60).of_a_box is True
    assert owner.of(layout, str(tmp_path / "a" / "f")) == (0, 0)


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("in it: fuse.x at /w/a b", "--skip-mounts"),
        ("it is on overlay at /; in it: fuse.x at /w/a", "move or copy"),
        ("Invalid argument", "move or copy"),
    ],
)
def test_what_cannot_map_ids_is_the_workspaces_fault(why, hint):
    said = f"cai-runc: create: bind source /w: cannot map ids [{why}]: unknown"
    wrong = client.engine_error(ProcessError("docker start", Done(1, "", said)))
    assert isinstance(wrong, WorkspaceError)
    assert why in str(wrong)
    assert hint in wrong.hint
    other = client.engine_error(ProcessError("docker start", Done(1, "", "cannot map ids")))
    assert isinstance(other, EngineError)
