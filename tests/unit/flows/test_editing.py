import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import code
from containai.cli.report import Become
from containai.config.editors import EDITORS
from containai.errors import ContainAIError, SshSetupError
from containai.flows import enter
from containai.host import files
from containai.ssh import include
from harness.app import FakeApp

PROGRAMS = {program for editor in EDITORS for program in editor.programs}
URI = "vscode-remote://ssh-remote+{}/home/agent/workspace"


class Desk:
    """A machine with some editors, and a workspace whose box is there at once."""

    def __init__(self, layout, workspace, monkeypatch):
        self.layout, self.workspace = layout, workspace
        self.asked: list[str] = []
        monkeypatch.setattr(enter, "made", lambda *_: self.asked.append("made"))

    def code(self, *installed, at="", **options):
        """Return what `cai code` does, as the last words say."""
        app = FakeApp(self.layout, flags=options.pop("flags", {})).set_up()
        app.machine.missing = PROGRAMS - {*installed}
        self.box = app.add_box(self.workspace).name
        flags = {"force": False, "skip_mounts": False} | options
        return code.run(app, Target(str(self.workspace / at)), **flags)


@pytest.fixture
def desk(layout, tmp_path, monkeypatch):
    workspace = tmp_path / "api"
    (workspace / "src").mkdir(parents=True)
    return Desk(layout, workspace, monkeypatch)


def installed(path, target=""):
    """Have a program at a path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if target:
        os.symlink(target, path)
    else:
        files.write(path, "#!/bin/sh\n", 0o755)


def test_the_first_that_is_installed_is_opened_on_the_workspace(desk):
    become = desk.code("zed", "cursor")
    assert isinstance(become, Become)
    assert become.argv == ["/usr/bin/cursor", "--folder-uri", URI.format(desk.box)]
    assert "DISPLAY" in become.keep
    assert desk.asked == ["made"]


def test_the_one_that_is_wanted_is_opened_where_it_was_asked_for(desk):
    become = desk.code("zed", "cursor", at="src", flags={"editor.default": "zed"})
    assert become.argv == ["/usr/bin/zed", f"ssh://{desk.box}/home/agent/workspace/src"]


def test_a_program_of_the_user_s_own_is_found(desk):
    installed(f"{desk.layout.home}/.local/bin/zed")
    assert desk.code().argv[0] == f"{desk.layout.home}/.local/bin/zed"


def test_nothing_that_lies_in_a_workspace_is_started(desk):
    """An agent could have written it."""
    evil = f"{desk.workspace}/target/zed"
    installed(evil)
    installed(f"{desk.layout.home}/.local/bin/zed", evil)
    with pytest.raises(ContainAIError, match="no editor on this machine"):
        desk.code()
    other = os.path.join(os.path.dirname(desk.workspace), "other")
    os.makedirs(other)
    FakeApp(desk.layout).set_up().add_box(other)
    os.rename(evil, f"{other}/zed")
    os.unlink(f"{desk.layout.home}/.local/bin/zed")
    installed(f"{desk.layout.home}/.local/bin/zed", f"{other}/zed")
    with pytest.raises(ContainAIError, match="no editor on this machine"):
        desk.code()


@pytest.mark.parametrize("flags", [{}, {"editor.default": "zed"}])
def test_without_one_nothing_is_made(desk, flags):
    with pytest.raises(ContainAIError, match="on this machine") as refused:
        desk.code(flags=flags)
    assert "cai code --show" in refused.value.hint
    assert desk.asked == []


def test_what_another_machine_is_to_run_is_printed(desk):
    report = desk.code(flags={"editor.default": "emacs"}, show=True)
    assert report.views == [f"emacs /ssh:{desk.box}:/home/agent/workspace/\n"]
    assert report.value == {
        "editor": "emacs", "argv": ["emacs", f"/ssh:{desk.box}:/home/agent/workspace/"],
        "box": desk.box, "port": 2301, "directory": "/home/agent/workspace",
    }  # fmt: skip


def test_without_the_include_no_editor_would_find_it(desk, monkeypatch):
    monkeypatch.setattr(include, "is_put", lambda _: False)
    monkeypatch.setattr(include, "is_ours", lambda _: False)
    with pytest.raises(SshSetupError, match="does not lead to boxes"):
        desk.code("code")
