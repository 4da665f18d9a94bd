"""A box of this machine, by what a user does with it."""

import os

import pytest

from containai.boxes.logs import Wanted
from containai.boxes.target import Target
from containai.engine.container import State
from containai.errors import BoxNotFoundError, CopyError, NotThereError
from containai.flows import enter, whereabouts
from containai.flows.here import Here
from containai.flows.placed import Forks
from containai.layout import LOCAL


@pytest.fixture
def box(app, workspace):
    app.add_box(workspace, name="api")
    return whereabouts.box(app, Target(name="api"))


def again(app):
    return whereabouts.box(app, Target(name="api"))


def test_it_is_one_of_this_machine(app, box, workspace):
    assert isinstance(box, Here)
    assert (box.name, box.on, box.shown) == ("api", LOCAL, "api")
    assert box.reached() == box.box
    assert box.at(Target(name="api")).path == str(workspace)
    assert whereabouts.of(app, box.box) == box
    assert whereabouts.boxes_here(app) == [box]
    assert whereabouts.boxes_there(app) == []


@pytest.mark.parametrize(
    ("what", "ask"),
    [
        ("a fork", lambda box: box.fork(Forks())),
        ("a move to another node", lambda box: box.move("node2")),
        ("a snapshot", lambda box: box.snapshots.add(None)),
    ],
)
def test_what_only_boxes_elsewhere_have(app, box, what, ask):
    with pytest.raises(NotThereError, match=f"^{what} is not to be had of the box") as raised:
        ask(box)
    assert raised.value.exit_code == 33
    assert "which is on this machine" in str(raised.value)
    assert "for now" in raised.value.hint
    assert app.docker.requests == []


def test_nothing_of_its_work_goes_with_it_nor_has_to_be_carried(box):
    assert box.lost() == ""
    with pytest.raises(CopyError, match="has the workspace"):
        box.carry()


def test_it_is_looked_at_again_until_it_is_gone(app, box):
    assert box.now().box == box.box
    app.docker.by_id.clear()
    with pytest.raises(BoxNotFoundError, match="'api' is gone"):
        box.now()


def test_it_goes_with_its_data_where_that_is_said(app, box):
    app.docker.named_volumes |= {"one", "two"}
    box.remove(["one"])
    assert app.docker.by_id == {}
    assert app.docker.named_volumes == {"two"}


@pytest.mark.parametrize(("state", "stops"), [(State.RUNNING, True), (State.EXITED, False)])
def test_a_restart_stops_what_runs(app, workspace, monkeypatch, state, stops):
    app.add_box(workspace, name="api", state=state)
    done = []
    monkeypatch.setattr(Here, "start", lambda box: done.append(box.name))
    again(app).restart()
    assert done == ["api"]
    assert ("stop" in [words[0] for words in app.docker.requests]) is stops
    assert app.user.said == ["stopping the box api"] * stops


def test_it_is_entered_where_it_is_running_by_then(app, box, workspace, monkeypatch):
    monkeypatch.setattr(Here, "start", lambda box: enter.checked(app.layout, box.at(Target())))
    monkeypatch.chdir(workspace)
    entered = box.enter(["true"], [])
    assert (entered.box, list(entered.command)) == ("api", ["true"])


@pytest.mark.parametrize(
    ("state", "console", "of", "note"),
    [
        (State.RUNNING, False, "journal", ""),
        (State.RUNNING, True, "console", ""),
        (State.EXITED, False, "console", "api is stopped: this is its console"),
    ],
)
def test_what_it_said_is_its_journal_where_it_runs(app, workspace, state, console, of, note):
    app.add_box(workspace, name="api", state=state)
    said = again(app).said(Wanted(9), console=console)
    assert (said.of, said.note) == (of, note)


def test_a_block_that_leads_elsewhere_is_stale(app, box):
    assert not box.block().is_stale
    os.unlink(app.layout.ssh_block("api"))
    assert box.block().is_stale
    assert "Host api" in box.block().text
