import os
import socket

import pytest

from containai.engine import daemon, lxcfs
from containai.host import cgroups
from containai.provision.steps import running
from containai.provision.steps.running import LxcfsRunning, Socket, Thawed
from containai.work.actions import Run


@pytest.fixture
def listening(host, monkeypatch):
    """An engine's socket, of whoever runs the tests."""
    path = host.layout.engine_socket
    os.makedirs(os.path.dirname(path))
    monkeypatch.setattr(host, "group_id", lambda name: os.getegid())
    with socket.socket(socket.AF_UNIX) as server:
        # A path of pytest's may be too long for a socket.
        directory = os.open(os.path.dirname(path), os.O_PATH)
        server.bind(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        os.close(directory)
        os.chmod(path, 0o660)
        yield path


def test_the_socket(host, listening, monkeypatch):
    step = Socket()
    assert step.check(host).ok
    os.chmod(listening, 0o666)
    found = step.check(host)
    assert found[:2] == (False, "its mode is 666, not 660")
    group = host.layout.engine_group
    mode, owner = step.plan(host, found)
    assert mode == Run(["chmod", "660", listening])
    assert owner == Run(["chown", "--no-dereference", f"root:{group}", listening])
    os.chmod(listening, 0o660)
    monkeypatch.setattr(host, "group_id", lambda name: os.getegid() + 1)
    assert "its group is" in step.check(host).seen
    monkeypatch.setattr(host, "group_id", lambda name: os.getegid())
    monkeypatch.setattr(host, "is_roots", lambda uid: False)
    assert "not root's" in step.check(host).seen


def test_what_is_no_socket_is_left_alone(host):
    path = host.layout.engine_socket
    assert Socket().check(host).ok
    os.makedirs(os.path.dirname(path))
    os.symlink("/etc/passwd", path)
    assert Socket().check(host).ok


def test_lxcfs_that_does_not_run_is_only_wanted(host, monkeypatch):
    monkeypatch.setattr(lxcfs, "missing", lambda: "")
    monkeypatch.setattr(lxcfs, "keeper", lambda layout: 0)
    monkeypatch.setattr(daemon, "answering", lambda host: True)
    assert LxcfsRunning().check(host).ok
    os.makedirs(host.layout.runtime_dir)
    with open(host.layout.runtime_program, "w", encoding="utf-8"):
        pass
    found = LxcfsRunning().check(host)
    assert (found.ok, found.optional) == (False, True)
    [start] = LxcfsRunning().plan(host, found)
    assert "start lxcfs" in start.describe()


def test_frozen_boxes(app, workspace, monkeypatch):
    host = app.machine
    app.add_box(workspace, name="held")
    monkeypatch.setattr(running, "Engine", lambda host: app.docker)
    monkeypatch.setattr(cgroups, "thaw", lambda pid, container: None)
    assert Thawed().check(host).ok
    monkeypatch.setattr(cgroups, "thaw", lambda pid, container: (f"/sys/{container}", "THAWED"))
    found = Thawed().check(host)
    assert (found.ok, "held" in found.seen) == (False, True)
    [run] = Thawed().plan(host, found)
    assert run.argv[-2:] == ["/sys/held-id", "THAWED"]
    app.stop_engine()
    assert Thawed().check(host).is_unknown


def test_a_freezer_of_either_kind(monkeypatch, tmp_path):
    own = {"freezer": str(tmp_path), "": str(tmp_path)}
    monkeypatch.setattr(cgroups, "groups", lambda pid, container: own)
    assert cgroups.thaw(1, "x") is None
    (tmp_path / "cgroup.freeze").write_text("1\n")
    assert cgroups.thaw(1, "x") == (str(tmp_path / "cgroup.freeze"), "0")
    (tmp_path / "freezer.state").write_text("FROZEN\n")
    assert cgroups.thaw(1, "x") == (str(tmp_path / "freezer.state"), "THAWED")
    (tmp_path / "freezer.state").write_text("THAWED\n")
    (tmp_path / "cgroup.freeze").write_text("0\n")
    assert cgroups.thaw(1, "x") is None
