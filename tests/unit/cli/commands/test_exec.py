import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import exec as command
from containai.engine.container import State
from containai.errors import BoxNotFoundError, BoxStartError, NameTakenError, WorkspaceError
from harness.app import ANOTHER, FakeApp

UNAME = ["uname", "-a"]


def line_of(outcome):
    """Return the box that a session is in, and what the shell there is told."""
    return outcome.argv[-2], outcome.argv[-1].removeprefix(b"cd -- /home/agent/")


def test_a_command_in_the_box_of_this_directory(app, workspace):
    box = app.add_box(workspace)
    outcome = command.run(app, Target(), UNAME)
    assert line_of(outcome) == (box.name, b"workspace && exec uname -a")
    assert app.docker.requests == []


def test_it_is_run_where_one_is(app, workspace, monkeypatch):
    box = app.add_box(workspace)
    (workspace / "a b").mkdir()
    monkeypatch.chdir(workspace / "a b")
    outcome = command.run(app, Target(), ["ls"])
    assert outcome.argv[-1] == b"cd -- '/home/agent/workspace/a b' && exec ls"
    assert outcome.argv[-2] == box.name


def test_by_name_from_another_directory(app, workspace, elsewhere):
    app.add_box(workspace, name="api")
    outcome = command.run(app, Target(name="api"), UNAME)
    assert line_of(outcome) == ("api", b"workspace && exec uname -a")


def test_a_stopped_box_is_started(app, workspace):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    command.run(app, Target(name="api"), UNAME)
    assert app.docker.requests == [("start", box.id)]
    assert app.user.said == ["starting the box api"]


def test_on_a_bare_machine_there_is_no_box(bare, workspace):
    with pytest.raises(BoxNotFoundError) as raised:
        command.run(bare, Target(), UNAME)
    assert raised.value.exit_code == 10
    assert (bare.machine.ran, bare.user.asked) == ([], [])


def test_none_is_made(app, workspace):
    with pytest.raises(BoxNotFoundError) as raised:
        command.run(app, Target(), UNAME)
    assert raised.value.exit_code == 10
    assert app.docker.requests == []


@pytest.mark.parametrize("uid", [0, ANOTHER - 1])
def test_another_users_box_is_not_entered(app, workspace, uid):
    app.layout.uid = uid
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError) as raised:
        command.run(app, Target(name="api"), UNAME)
    assert raised.value.exit_code == 15
    assert app.docker.requests == []


def test_a_workspace_that_is_gone_is_said(app, workspace, elsewhere):
    app.add_box(workspace, name="api", state=State.EXITED)
    os.rmdir(workspace)
    with pytest.raises(WorkspaceError) as raised:
        command.run(app, Target(name="api"), UNAME)
    assert raised.value.exit_code == 23
    assert app.docker.requests == []


def test_a_box_that_dies(app, workspace):
    box = app.add_box(workspace, name="api", state=State.EXITED)

    def die():
        app.docker.add(box._replace(running=False))

    app.machine.answer("ssh", act=die)
    with pytest.raises(BoxStartError) as raised:
        command.run(app, Target(name="api"), UNAME)
    assert raised.value.exit_code == 11


def test_limits_of_a_box_stay_as_they_are(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.memory": "1g"}).set_up()
    app.add_box(workspace, name="api")
    command.run(app, Target(name="api"), UNAME)
    assert app.docker.requests == []
