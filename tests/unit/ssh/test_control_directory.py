"""/tmp/containai-UID, the last resort for control sockets, which anybody can have made first."""

import os
import shutil
import socket
from typing import Any

import pytest

from containai.errors import ContainAIError
from containai.host.fake import FakeMachine
from containai.layout import Layout
from containai.provision.step import Scope
from containai.provision.steps.user import Keys
from containai.ssh import connect, hosts, session
from containai.work.actions import Run

OTHER = 4321


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A layout whose home is too long for sockets below it. The directory is not the real one."""
    assert Layout("/", "/h" * 40, 1234).control_dir == "/tmp/containai-1234"
    path = f"/tmp/containai-test-{os.getpid()}"
    monkeypatch.setattr(Layout, "_shared_control_dir", path)
    home = tmp_path / ("long" * 20)
    home.mkdir()
    found = Layout(str(tmp_path), str(home), os.getuid())
    assert found.control_dir == path
    yield found
    if os.path.islink(found.control_dir):
        os.unlink(found.control_dir)
    shutil.rmtree(found.control_dir, ignore_errors=True)


def made_by_another(layout, tmp_path):
    os.mkdir(layout.control_dir, 0o700)
    os.chown(layout.control_dir, OTHER, OTHER)


def a_link(layout, tmp_path):
    (tmp_path / "own").mkdir(mode=0o700)
    os.symlink(tmp_path / "own", layout.control_dir)


def a_link_of_anothers(layout, tmp_path):
    a_link(layout, tmp_path)
    os.lchown(layout.control_dir, OTHER, OTHER)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("make", [made_by_another, a_link, a_link_of_anothers])
def test_what_somebody_else_made_is_used_for_nothing(shared, tmp_path, make):
    host = FakeMachine(shared)
    make(shared, tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(shared.control_socket("box"))
        listening.listen()
        listening.settimeout(0)
        assert not session.is_live(shared, "box")
        hosts.close(host, "box")
        assert host.ran == []
        with pytest.raises(ContainAIError, match="is not a directory of yours") as caught:
            connect.open_master(host, "box", lambda: None)
        assert host.ran == []
        assert ("XDG_RUNTIME_DIR" in caught.value.hint) == (make is not a_link)
        with pytest.raises(BlockingIOError):
            listening.accept()
    os.makedirs(shared.config_dir)
    with pytest.raises(ContainAIError, match="is not a directory of yours"):
        Keys().check(host)
    removed = [each for each in Keys().undo(host, Scope(purge=True)) if isinstance(each, Run)]
    named = any(shared.control_dir in each.argv for each in removed)
    assert named == (make is a_link)


def test_plain_ssh_is_led_to_no_socket_and_cai_to_its_own(shared, layout):
    words: dict[str, Any] = {"port": 1, "workspace": "/w", "inode": "1", "forward_agent": False}
    for each in (shared, layout):
        assert each.control_dir not in hosts.host_block(each, "box", **words)
        for argv in (
            session.ssh_argv(each, "box", [], terminal=False),
            connect.master_argv(each, "box", "/log"),
        ):
            assert argv[argv.index("-S") + 1] == each.control_socket("box")


def test_a_percent_sign_is_no_token_of_ssh():
    there = Layout("/", "/home/u", 1000)
    there._user_runtime_dir = "/run/50%d"
    (_, path) = session.control_path(there, "box")
    assert path == there.control_socket("box").replace("50%d", "50%%d")
