import hashlib
import json
import os

import pytest

from containai.errors import ContainAIError, EngineError, NoSpaceError, UnsupportedError
from containai.flows import uninstall
from containai.host.perform import perform
from containai.layout import Layout
from containai.provision import apply as going
from containai.provision import record
from containai.provision.step import Scope
from containai.provision.steps import boxes, engine, platform, user
from containai.work.actions import Do, Finding, Run, WriteFile
from containai.work.user import User

MACHINE = Layout("/", "/home/u", 1000)


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize("systemd", [True, False])
@pytest.mark.parametrize("wsl", [True, False])
def test_system(layout, monkeypatch, systemd, wsl):
    monkeypatch.setattr(platform.machine, "has_systemd", lambda: systemd)
    monkeypatch.setattr(platform.machine, "is_wsl", lambda: wsl)
    monkeypatch.setattr(platform.machine, "selinux_enforcing", lambda: False)
    found = platform.System().check(layout)
    assert found.ok
    assert ("background process" in found.seen) == (not systemd)
    assert ("WSL" in found.seen) == (wsl and not systemd)


def test_selinux_that_enforces(layout, monkeypatch):
    monkeypatch.setattr(platform.machine, "selinux_enforcing", lambda: True)
    with pytest.raises(UnsupportedError, match="SELinux"):
        platform.System().check(layout)


def test_space(layout, monkeypatch):
    monkeypatch.setattr(platform.machine, "free_bytes", lambda path: 1 << 30)
    with pytest.raises(NoSpaceError, match=r"1024 MiB left, 5120 are needed"):
        platform.Space().check(layout)
    write(layout.engine_config)
    assert platform.Space().check(layout).ok


def context(home, host):
    name = hashlib.sha256(b"docker-containai").hexdigest()
    path = os.path.join(home, ".docker/contexts/meta", name, "meta.json")
    write(path, json.dumps({"Endpoints": {"docker": {"Host": host}}}))
    return path


def test_context(layout, monkeypatch):
    monkeypatch.setattr(user.machine, "invoker", lambda: None)
    step = user.Context()
    assert not step.check(layout).ok
    assert step.undo(layout, Scope()) == []
    [create] = step.plan(layout, step.check(layout))
    assert create.argv[:4] == ["docker", "context", "create", "docker-containai"]
    assert create.argv[-1] == f"host=unix://{layout.engine_socket}"
    assert not create.root
    path = context(layout.home, "unix:///elsewhere")
    assert step.plan(layout, step.check(layout))[0].argv[2] == "update"
    context(layout.home, f"unix://{layout.engine_socket}")
    found = step.check(layout)
    assert found.ok
    assert step.plan(layout, found) == []
    assert step.undo(layout, Scope())[0].argv == ["rm", "-r", os.path.dirname(path)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Endpoints": 7}'])
def test_damaged_context(tmp_path, text):
    write(context(str(tmp_path), "x"), text)
    assert user.context_host(str(tmp_path)) is None


def test_context_through_sudo_is_the_callers(layout, monkeypatch, tmp_path):
    """It is written as that user: root follows nobody's links in there."""
    monkeypatch.setattr(user.machine, "invoker", lambda: User("ann", str(tmp_path)))
    [create] = user.Context().plan(layout, user.Context().check(layout))
    words = ["runuser", "--user", "ann", "--", "env", "-u", "XDG_RUNTIME_DIR", f"HOME={tmp_path}"]
    assert create.describe().startswith("$ " + " ".join([*words, "docker", "context", "create"]))
    context(str(tmp_path), f"unix://{layout.engine_socket}")
    assert user.Context().check(layout).ok


@pytest.mark.parametrize(
    ("uid", "sudo", "expected"), [(0, "0", None), (1, "1", None), (0, "", None)]
)
def test_no_caller(monkeypatch, uid, sudo, expected):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert user.machine.invoker() is None


def test_caller(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    assert user.machine.invoker().name == "daemon"


def test_group(monkeypatch):
    members = None
    monkeypatch.setattr(engine.machine, "group_members", lambda name: members)
    note, make = engine.Group().plan(MACHINE, engine.Group().check(MACHINE))
    assert isinstance(note, Do)
    assert make.argv == ["groupadd", "--system", "containai"]
    members = ["ann", "bob"]
    found = engine.Group().check(MACHINE)
    assert found == Finding(True, "containai: ann, bob")
    assert engine.Group().plan(MACHINE, found) == []
    monkeypatch.setattr(record, "read", lambda layout: {})
    assert engine.Group().undo(MACHINE, Scope(purge=True)) == []
    monkeypatch.setattr(record, "read", lambda layout: {"group": True})
    assert engine.Group().undo(MACHINE, Scope())[0].argv == ["groupdel", "containai"]


def test_directories_that_every_containerd_makes(layout, tmp_path, monkeypatch, own_root):
    opt = tmp_path / "opt/containerd"
    monkeypatch.setattr(engine, "CONTAINERD_DIRECTORIES", (f"{opt}/bin", str(opt)))
    monkeypatch.setattr(engine.networks, "routes", lambda: "")
    step = engine.EngineFiles()

    def set_up():
        for action in step.plan(layout, step.check(layout)):
            if isinstance(action, Do | WriteFile):
                perform(action, lambda *_: None)

    def taken_away():
        actions = step.undo(layout, Scope(purge=True))
        for action in actions:
            perform(action, lambda *_: None)
        return [action.argv for action in actions if isinstance(action, Run)]

    set_up()
    (opt / "bin").mkdir(parents=True)
    assert taken_away()[-1][-2:] == [f"{opt}/bin", str(opt)]
    assert not opt.exists()

    # Theirs, made before ours ran.
    opt.mkdir(parents=True)
    set_up()
    assert not any(str(opt) in argv for argv in taken_away())
    assert opt.exists()


@pytest.fixture
def silent(monkeypatch):
    """An engine that is there and does not answer."""
    for module in (user, boxes):
        monkeypatch.setattr(module.proc, "which", lambda program, **_: "/usr/bin/" + program)
        monkeypatch.setattr(module.daemon, "answering", lambda layout: False)
    monkeypatch.setattr(boxes.configuration, "read", lambda layout: {})


def test_what_cannot_be_verified_is_not_stale(layout, silent):
    write(layout.ssh_block("gone"))
    found = user.Entries().check(layout)
    assert found == Finding(False, "not checked: the engine does not answer")
    assert user.Entries().plan(layout, found) == []


def test_uninstall_sees_boxes_behind_a_silent_engine(layout, silent, monkeypatch):
    monkeypatch.setattr(boxes.shims, "alive", lambda layout: {"1": "id"})
    with pytest.raises(EngineError, match="cannot be seen"):
        boxes.Contents().undo(layout, Scope(purge=True))
    monkeypatch.setattr(boxes.shims, "alive", lambda layout: {})
    assert boxes.Contents().undo(layout, Scope(purge=True)) == []
    with pytest.raises(EngineError):
        boxes.Contents().undo(layout, Scope(images=True))


class Fixed:
    holds = otherwise = ""

    def __init__(self, title, finding=None, error=None, actions=()):
        self.title, self.finding, self.error, self.actions = title, finding, error, actions

    def check(self, layout):
        if self.error:
            raise self.error
        return self.finding

    def plan(self, layout, finding):
        return list(self.actions)

    def undo(self, layout, scope):
        return list(self.actions)


def test_a_check_that_raises_does_not_hide_the_others(layout):
    wrong = UnsupportedError("too old", hint="buy another")
    rows = going.examine(layout, [Fixed("a", error=wrong), Fixed("b", Finding(True, "fine"))])
    assert [(row.finding.ok, row.finding.seen) for row in rows] == [
        (False, "too old"),
        (True, "fine"),
    ]
    assert rows[0].finding.hint == "buy another"
    with pytest.raises(UnsupportedError):
        going.refuse(rows)
    going.refuse(rows[1:])


def test_a_step_that_stays_wrong_is_an_error(layout, monkeypatch):
    monkeypatch.setattr(record.packages, "has_apt", lambda: False)
    with pytest.raises(ContainAIError, match="x is still not right: bad"):
        going.apply(layout, [Fixed("x", Finding(False, "bad"))], lambda *_: lambda *_: None)


def test_record_of_packages(layout, monkeypatch):
    there = ["a"]
    monkeypatch.setattr(record.packages, "has_apt", lambda: True)
    monkeypatch.setattr(record.packages, "installed", lambda: list(there))
    monkeypatch.setattr(record.files, "write_as_root", lambda path, text: write(path, text))
    with record.of_packages(layout):
        there.append("b")
        # As it is when the process is killed now: what was there before is on record.
        before = json.dumps(record.read(layout))
    assert record.read(layout) == {"packages": ["b"]}
    write(layout.install_record, before)
    with record.of_packages(layout):
        there.append("c")
    assert record.read(layout) == {"packages": ["b", "c"]}
    assert uninstall.brought(layout) == ["b", "c"]
