import hashlib
import json
import os

import pytest

from containai.errors import ContainAIError, EngineError, NoSpaceError, UnsupportedError
from containai.flows import uninstall
from containai.host.fake import FakeMachine
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.layout import Layout
from containai.provision import apply as going
from containai.provision import record
from containai.provision.step import Area, Described, Scope
from containai.provision.steps import boxes, engine, platform, user
from containai.work.actions import Do, Finding, Run, WriteFile, unknown
from containai.work.user import User
from harness.host import HOST


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize("systemd", [True, False])
@pytest.mark.parametrize("wsl", [True, False])
def test_system(host, systemd, wsl):
    host.systemd, host.wsl = systemd, wsl
    found = platform.System().check(host)
    assert found.ok
    assert ("background process" in found.seen) == (not systemd)
    assert ("in WSL" in found.seen) == wsl
    assert ("not on a drive of Windows" in found.hint) == wsl
    assert ("systemd=true in /etc/wsl.conf" in found.hint) == (wsl and not systemd)


def test_the_first_wsl_has_no_kernel_of_its_own(host):
    host.wsl, host.version = True, (4, 4)
    with pytest.raises(UnsupportedError, match=r"kernel 4\.4: this is WSL 1") as refused:
        platform.Kernel().check(host)
    assert "wsl --set-version" in refused.value.hint


def test_selinux_that_enforces(host):
    host.selinux = True
    with pytest.raises(UnsupportedError, match="SELinux"):
        platform.System().check(host)


def test_space(host):
    host.free = 1 << 30
    with pytest.raises(NoSpaceError, match=r"1024 MiB left, 5120 are needed"):
        platform.Space().check(host)
    write(host.layout.engine_config)
    assert platform.Space().check(host).ok


def context(home, socket):
    name = hashlib.sha256(b"docker-containai").hexdigest()
    path = os.path.join(home, ".docker/contexts/meta", name, "meta.json")
    write(path, json.dumps({"Endpoints": {"docker": {"Host": socket}}}))
    return path


def test_context(layout, host):
    step = user.Context()
    assert not step.check(host).ok
    assert step.undo(host, Scope()) == []
    [create] = step.plan(host, step.check(host))
    assert create.argv[:4] == ["docker", "context", "create", "docker-containai"]
    assert create.argv[-1] == f"host=unix://{layout.engine_socket}"
    assert not create.root
    path = context(layout.home, "unix:///elsewhere")
    assert step.plan(host, step.check(host))[0].argv[2] == "update"
    context(layout.home, f"unix://{layout.engine_socket}")
    found = step.check(host)
    assert found.ok
    assert step.plan(host, found) == []
    assert step.undo(host, Scope())[0].argv == ["rm", "-r", os.path.dirname(path)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Endpoints": 7}'])
def test_damaged_context(tmp_path, text):
    write(context(str(tmp_path), "x"), text)
    assert user.context_host(str(tmp_path)) is None


def test_context_through_sudo_is_the_callers(layout, host, tmp_path):
    """It is written as that user: root follows nobody's links in there."""
    host.user = User("ann", str(tmp_path))
    [create] = user.Context().plan(host, user.Context().check(host))
    words = ["runuser", "--user", "ann", "--", "env", "-u", "XDG_RUNTIME_DIR", f"HOME={tmp_path}"]
    assert create.describe().startswith("$ " + " ".join([*words, "docker", "context", "create"]))
    context(str(tmp_path), f"unix://{layout.engine_socket}")
    assert user.Context().check(host).ok


@pytest.mark.parametrize(
    ("uid", "sudo", "expected"), [(0, "0", None), (1, "1", None), (0, "", None)]
)
def test_no_caller(monkeypatch, uid, sudo, expected):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert HOST.invoker() is None


def test_caller(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    assert HOST.invoker().name == "daemon"


def test_group(monkeypatch):
    machine = FakeMachine(Layout("/", "/home/u", 1000))
    note, make = engine.Group().plan(machine, engine.Group().check(machine))
    assert isinstance(note, Do)
    assert make.argv == ["groupadd", "--system", "containai"]
    machine.groups["containai"] = ["ann", "bob"]
    found = engine.Group().check(machine)
    assert found == Finding(True, "containai: ann, bob")
    assert engine.Group().plan(machine, found) == []
    monkeypatch.setattr(record, "read", lambda layout: {})
    assert engine.Group().undo(machine, Scope(purge=True)) == []
    monkeypatch.setattr(record, "read", lambda layout: {"group": True})
    assert engine.Group().undo(machine, Scope())[0].argv == ["groupdel", "containai"]


def test_directories_that_every_containerd_makes(layout, tmp_path, monkeypatch, own_root):
    opt = tmp_path / "opt/containerd"
    monkeypatch.setattr(engine, "CONTAINERD_DIRECTORIES", (f"{opt}/bin", str(opt)))
    monkeypatch.setattr(engine.networks, "routes", lambda host: "")
    step, machine = engine.EngineFiles(), Machine(layout)

    def set_up():
        for action in step.plan(machine, step.check(machine)):
            if isinstance(action, Do | WriteFile):
                perform(machine, action, lambda *_: None)

    def taken_away():
        actions = step.undo(machine, Scope(purge=True))
        for action in actions:
            perform(machine, action, lambda *_: None)
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
def silent(host):
    """A machine whose engine is there and does not answer."""
    write(host.layout.engine_config, "{}")
    write(host.layout.engine_socket)
    host.answer("docker", code=1)
    return host


def test_what_cannot_be_verified_is_not_stale(silent):
    write(silent.layout.ssh_block("gone"))
    found = user.Entries().check(silent)
    assert found == unknown("the engine does not answer")
    assert user.Entries().plan(silent, found) == []


def test_uninstall_sees_boxes_behind_a_silent_engine(silent, monkeypatch):
    monkeypatch.setattr(boxes.shims, "alive", lambda layout: {"1": "id"})
    with pytest.raises(EngineError, match="containers run") as raised:
        boxes.Contents().undo(silent, Scope(purge=True))
    assert raised.value.hint.endswith("end what runs: cai engine stop")
    monkeypatch.setattr(boxes.shims, "alive", lambda layout: {})
    assert boxes.Contents().undo(silent, Scope(purge=True)) == []
    with pytest.raises(EngineError, match="cannot be seen") as raised:
        boxes.Contents().undo(silent, Scope(images=True))
    assert raised.value.hint.endswith("--purge alone")


class Fixed(Described):
    area = Area.HOST
    holds = otherwise = looks = means = ""

    def __init__(self, title, finding=None, error=None, actions=()):
        self.title, self.finding, self.error, self.actions = title, finding, error, actions

    def check(self, host):
        if self.error:
            raise self.error
        return self.finding

    def plan(self, host, finding):
        return list(self.actions)

    def undo(self, host, scope):
        return list(self.actions)


def test_a_check_that_raises_does_not_hide_the_others(host):
    wrong = UnsupportedError("too old", hint="buy another")
    rows = going.examine(host, [Fixed("a", error=wrong), Fixed("b", Finding(True, "fine"))])
    assert [(row.finding.ok, row.finding.seen) for row in rows] == [
        (False, "too old"),
        (True, "fine"),
    ]
    assert rows[0].finding.hint == "buy another"
    with pytest.raises(UnsupportedError):
        going.refuse(rows)
    going.refuse(rows[1:])


def test_a_step_that_stays_wrong_is_an_error(host):
    host.missing = {"apt-get"}
    with pytest.raises(ContainAIError, match="x is still not right: bad"):
        going.apply(host, [Fixed("x", Finding(False, "bad"))], lambda *_: lambda *_: None)


def test_record_of_packages(layout, host):
    def there(*names):
        host.answer("dpkg-query", "--show", out="".join(f"{name} ii \n" for name in names))

    there("a")
    with record.of_packages(host):
        there("a", "b")
        # As it is when the process is killed now: what was there before is on record.
        before = json.dumps(record.read(layout))
    assert record.read(layout) == {"packages": ["b"]}
    write(layout.install_record, before)
    with record.of_packages(host):
        there("a", "b", "c")
    assert record.read(layout) == {"packages": ["b", "c"]}
    assert uninstall.brought(layout) == ["b", "c"]
