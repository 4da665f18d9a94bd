import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import rm, stop
from containai.engine.container import State
from containai.errors import BoxNotFoundError, NameTakenError
from harness.app import ANOTHER

BOTH = pytest.mark.parametrize("run", [stop.run, rm.run], ids=["stop", "rm"])


def test_the_box_of_this_directory(app, workspace):
    box = app.add_box(workspace)
    report = stop.run(app, Target())
    assert (report.value, report.views) == ({"name": box.name, "stopped": True}, ())
    assert app.docker.requests == [("stop", box.id)]
    assert app.docker.container(box.id).state is State.EXITED


def test_a_box_by_its_name_from_another_directory(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api")
    app.add_box(elsewhere, name="web", port=2302)
    assert stop.run(app, Target(name="api")).value["name"] == "api"
    assert app.docker.requests == [("stop", box.id)]


@BOTH
def test_on_a_bare_machine_there_is_no_box(bare, workspace, run):
    with pytest.raises(BoxNotFoundError) as raised:
        run(bare, Target())
    assert raised.value.exit_code == 10
    assert (bare.machine.ran, bare.docker.requests) == ([], [])


@BOTH
@pytest.mark.parametrize("target", [Target(), Target(name="none")])
def test_where_there_is_none(app, workspace, run, target):
    with pytest.raises(BoxNotFoundError) as raised:
        run(app, target)
    assert raised.value.exit_code == 10
    assert app.docker.requests == []


@BOTH
def test_another_users_is_that_users(app, workspace, run):
    app.layout.uid = ANOTHER - 1
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError) as raised:
        run(app, Target(name="api"))
    assert raised.value.exit_code == 15
    assert app.docker.requests == []


@BOTH
def test_root_may(app, workspace, run):
    app.layout.uid = 0
    box = app.add_box(workspace, name="api", owner=ANOTHER)
    assert run(app, Target(name="api")).code == 0
    assert app.docker.requests[0] == ("stop", box.id)


@BOTH
def test_a_box_whose_workspace_is_gone(app, workspace, elsewhere, run):
    box = app.add_box(workspace, name="api")
    os.rmdir(workspace)
    assert run(app, Target(name="api")).value["name"] == "api"
    assert app.docker.requests[0] == ("stop", box.id)
