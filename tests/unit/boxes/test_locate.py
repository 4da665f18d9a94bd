"""Which box is meant: by a path, by a name, from wherever one is."""

import os

import pytest

from containai.boxes import locate
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace, box_name
from containai.engine.container import Container
from containai.errors import BoxNotFoundError, NameTakenError, WorkspaceError
from harness.app import ANOTHER


def test_a_path_is_of_its_box(app, elsewhere, workspace):
    box = app.add_box(workspace)
    located = locate.locate(app.engine, Target(str(workspace)))
    assert located.box is not None
    assert (located.name, located.box.container) == (box.name, box.id)
    assert located.workspace.path == str(workspace)


def test_without_a_path_it_is_the_current_directory(app, workspace):
    box = app.add_box(workspace)
    assert locate.locate(app.engine, Target()).name == box.name


def test_below_a_workspace_it_is_that_workspace(app, workspace, monkeypatch):
    box = app.add_box(workspace)
    below = workspace / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    located = locate.locate(app.engine, Target())
    assert located.name == box.name
    assert (located.workspace.path, located.workspace.directory) == (str(workspace), "a/b")


def test_a_path_below_a_workspace_is_of_it_unless_it_is_to_be_its_own(app, workspace):
    box = app.add_box(workspace)
    below = workspace / "a"
    below.mkdir()
    located = locate.locate(app.engine, Target(str(below)))
    assert (located.name, located.workspace) == (box.name, Workspace(str(workspace), "a"))
    named = locate.locate(app.engine, Target(str(below), box.name))
    assert (named.name, named.workspace) == (box.name, Workspace(str(workspace), "a"))
    for target in (Target(str(below), here=True), Target(str(below), "inner")):
        located = locate.locate(app.engine, target)
        assert (located.workspace.path, located.box) == (str(below), None)


def test_a_box_of_another_name_is_found_by_its_workspace(app, workspace):
    app.add_box(workspace, name="api")
    assert locate.locate(app.engine, Target()).name == "api"


def test_of_several_boxes_the_one_without_a_name_is_meant(app, workspace):
    app.add_box(workspace, name="api")
    box = app.add_box(workspace)
    assert locate.locate(app.engine, Target()).name == box.name


def test_several_boxes_that_all_have_names_have_to_be_told_apart(app, workspace):
    app.add_box(workspace, name="api")
    app.add_box(workspace, name="web")
    with pytest.raises(BoxNotFoundError, match="several boxes: api, web"):
        locate.locate(app.engine, Target())


def test_another_users_box_of_the_same_workspace_is_not_meant(app, workspace):
    app.add_box(workspace, owner=ANOTHER)
    located = locate.locate(app.engine, Target())
    assert (located.name, located.box) == (box_name(str(workspace), app.layout.uid), None)


def test_a_name_is_found_from_everywhere(app, elsewhere, workspace):
    box = app.add_box(workspace, name="api")
    located = locate.locate(app.engine, Target(name="api"))
    assert located.box is not None
    assert located.box.container == box.id
    assert (located.workspace.path, located.workspace.directory) == (str(workspace), "")


def test_a_session_by_name_starts_where_one_is_in_the_workspace(app, workspace, monkeypatch):
    app.add_box(workspace, name="api")
    (workspace / "a").mkdir()
    monkeypatch.chdir(workspace / "a")
    assert locate.locate(app.engine, Target(name="api")).workspace.directory == "a"


def test_a_name_that_nobody_has_is_for_the_current_directory(app, workspace):
    located = locate.locate(app.engine, Target(name="new"))
    assert (located.name, located.box) == ("new", None)
    assert located.workspace.path == str(workspace)


def test_a_name_and_a_path_have_to_belong_together(app, workspace, elsewhere):
    app.add_box(workspace, name="api")
    assert locate.locate(app.engine, Target(str(workspace), "api")).box is not None
    with pytest.raises(NameTakenError, match="of another workspace"):
        locate.locate(app.engine, Target(str(elsewhere), "api"))


def test_a_name_of_another_user_is_taken(app, workspace):
    app.layout.uid = ANOTHER - 1
    app.add_box(workspace, name="api", owner=ANOTHER)
    for to_enter in (False, True):
        with pytest.raises(NameTakenError, match="belongs to"):
            locate.locate(app.engine, Target(name="api"), to_enter=to_enter)


def test_root_has_everybodys_box_but_does_not_enter_it(app, workspace):
    app.layout.uid = 0
    app.add_box(workspace, name="api", owner=ANOTHER)
    assert locate.locate(app.engine, Target(name="api")).box is not None
    with pytest.raises(NameTakenError, match="belongs to") as raised:
        locate.locate(app.engine, Target(name="api"), to_enter=True)
    assert raised.value.hint == f"it is user {ANOTHER}'s to use"


def test_a_container_that_is_no_box_is_none(app, workspace):
    app.docker.add(Container(id="1", name="api"))
    assert locate.locate(app.engine, Target(name="api")).box is None
    app.docker.add(Container(id="2", name=box_name(str(workspace), app.layout.uid)))
    with pytest.raises(NameTakenError, match="not ContainAI's"):
        locate.locate(app.engine, Target())


def test_a_path_that_cannot_be_a_workspace(app, workspace):
    with pytest.raises(WorkspaceError, match="does not exist"):
        locate.locate(app.engine, Target(str(workspace / "none")))
    with pytest.raises(WorkspaceError, match="the root of this machine"):
        locate.locate(app.engine, Target("/"), force=False)
    assert locate.locate(app.engine, Target("/")).workspace.path == "/"


def test_a_box_whose_workspace_is_gone_is_found_by_its_name(app, workspace, elsewhere):
    app.add_box(workspace, name="api")
    os.rmdir(workspace)
    box = locate.existing(app.engine, Target(name="api"))
    assert box.problems == (f"its workspace {str(workspace)!r} is gone",)


@pytest.mark.parametrize("target", [Target(), Target(name="api")])
def test_on_a_bare_machine_there_is_no_box(bare, workspace, target):
    with pytest.raises(BoxNotFoundError, match="not set up, so there is no box") as raised:
        locate.existing(bare.engine, target)
    assert raised.value.hint == "make one: cai run"
    # Nothing was started for that.
    assert bare.machine.ran == []


def test_where_there_is_none_it_is_said_how_to_have_one(app, workspace):
    with pytest.raises(BoxNotFoundError, match="has no box") as raised:
        locate.existing(app.engine, Target())
    assert raised.value.hint == f"make one: cai run {str(workspace)!r}"
    with pytest.raises(BoxNotFoundError, match="there is no box 'api'") as raised:
        locate.existing(app.engine, Target(name="api"))
    assert raised.value.hint == "see: cai ls"
