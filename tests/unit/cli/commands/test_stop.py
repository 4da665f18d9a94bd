import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import rm, stop
from containai.cli.report import Note
from containai.engine.container import State
from containai.errors import BoxNotFoundError, EngineError, NameTakenError, UsageError
from harness.app import ANOTHER

BOTH = pytest.mark.parametrize("run", [stop.run, rm.run], ids=["stop", "rm"])


def test_the_box_of_this_directory(app, workspace):
    box = app.add_box(workspace)
    report = stop.run(app, Target(), all=False)
    assert (report.value, report.views) == ({"name": box.name, "stopped": True}, ())
    assert app.docker.requests == [("stop", box.id)]
    assert app.docker.container(box.id).state is State.EXITED


def test_a_box_by_its_name_from_another_directory(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api")
    app.add_box(elsewhere, name="web", port=2302)
    assert stop.run(app, Target(name="api"), all=False).value["name"] == "api"
    assert app.docker.requests == [("stop", box.id)]


@BOTH
def test_on_a_bare_machine_there_is_no_box(bare, workspace, run):
    with pytest.raises(BoxNotFoundError) as raised:
        run(bare, Target(), all=False)
    assert raised.value.exit_code == 10
    assert (bare.machine.ran, bare.docker.requests) == ([], [])


@BOTH
@pytest.mark.parametrize("target", [Target(), Target(name="none")])
def test_where_there_is_none(app, workspace, run, target):
    with pytest.raises(BoxNotFoundError) as raised:
        run(app, target, all=False)
    assert raised.value.exit_code == 10
    assert app.docker.requests == []


@BOTH
def test_another_users_is_that_users(app, workspace, run):
    app.layout.uid = ANOTHER - 1
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError) as raised:
        run(app, Target(name="api"), all=False)
    assert raised.value.exit_code == 15
    assert app.docker.requests == []


@BOTH
def test_root_may(app, workspace, run):
    app.layout.uid = 0
    box = app.add_box(workspace, name="api", owner=ANOTHER)
    assert run(app, Target(name="api"), all=False).code == 0
    assert app.docker.requests[0] == ("stop", box.id)


@BOTH
def test_a_box_whose_workspace_is_gone(app, workspace, elsewhere, run):
    box = app.add_box(workspace, name="api")
    os.rmdir(workspace)
    assert run(app, Target(name="api"), all=False).value["name"] == "api"
    assert app.docker.requests[0] == ("stop", box.id)


def test_all_of_ones_own(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api")
    app.add_box(elsewhere, name="web", port=2302, state=State.EXITED)
    app.add_box("/srv/other", name="other", port=2303, owner=ANOTHER)
    report = stop.run(app, Target(), all=True)
    assert (report.value, report.code) == ([{"name": "api", "stopped": True}], 0)
    assert app.docker.requests == [("stop", box.id)]
    assert app.user.said == ["stopping the box api"]


@BOTH
def test_all_of_none(bare, run):
    report = run(bare, Target(), all=True)
    assert (report.value, report.code) == ([], 0)
    assert (bare.machine.ran, bare.user.asked) == ([], [])


@BOTH
def test_all_are_not_one(app, workspace, run):
    app.add_box(workspace)
    for target in (Target("."), Target(name="api")):
        with pytest.raises(UsageError, match="--all is for every box of yours"):
            run(app, target, all=True)
    assert app.docker.requests == []


@BOTH
def test_one_that_fails_is_named_and_the_others_go_on(app, workspace, elsewhere, run):
    app.add_box(workspace, name="api")
    web = app.add_box(elsewhere, name="web", port=2302)
    app.docker.fail("stop", EngineError("it hangs", hint="wait"))
    report = run(app, Target(), all=True)
    assert [row["name"] for row in report.value] == ["web"]
    assert report.code == EngineError.exit_code
    assert report.notes == [Note("it hangs", "wait")]
    assert ("stop", web.id) in app.docker.requests
