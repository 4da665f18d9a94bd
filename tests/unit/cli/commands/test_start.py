"""`cai start` and `restart`."""

import pytest

from containai.boxes.target import Target
from containai.cli.commands import restart, start
from containai.engine.container import State
from containai.errors import BoxNotFoundError, NameTakenError, UsageError
from harness.app import ANOTHER


def test_a_stopped_box_is_started(app, workspace):
    box = app.add_box(workspace, state=State.EXITED)
    report = start.run(app, Target(), all=False)
    assert report.value == {"name": box.name, "running": True}
    assert app.docker.requests == [("start", box.id)]


def test_one_that_runs_is_left_alone(app, workspace):
    box = app.add_box(workspace, name="api")
    assert start.run(app, Target(name="api"), all=False).value["running"] is True
    assert app.docker.requests == []
    assert app.docker.container(box.id).state is State.RUNNING


def test_all_of_ones_own(app, workspace, elsewhere):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.add_box(elsewhere, name="web", port=2302, state=State.EXITED)
    other = app.add_box("/srv/other", name="other", port=2303, owner=ANOTHER, state=State.EXITED)
    report = start.run(app, Target(), all=True)
    assert [row["name"] for row in report.value] == ["api", "web"]
    assert (report.code, report.notes) == (0, [])
    assert app.docker.container(other.id).state is State.EXITED


def test_a_running_box_is_stopped_and_started(app, workspace):
    box = app.add_box(workspace, name="api")
    assert restart.run(app, Target(name="api")).value == {"name": "api", "running": True}
    assert app.docker.requests == [("stop", box.id), ("start", box.id)]


def test_a_stopped_one_is_only_started(app, workspace):
    box = app.add_box(workspace, state=State.EXITED)
    restart.run(app, Target())
    assert app.docker.requests == [("start", box.id)]


def _start(app, target):
    return start.run(app, target, all=False)


@pytest.mark.parametrize("run", [_start, restart.run], ids=["start", "restart"])
def test_what_cannot_be(bare, app, workspace, run):
    with pytest.raises(BoxNotFoundError):
        run(bare, Target())
    with pytest.raises(BoxNotFoundError):
        run(app, Target(name="none"))
    # Nobody but its owner has the key to enter it.
    app.layout.uid = 0
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError):
        run(app, Target(name="api"))
    assert app.docker.requests == []


def test_all_are_not_one(app, workspace):
    with pytest.raises(UsageError, match="--all is for every box of yours"):
        start.run(app, Target(str(workspace)), all=True)
