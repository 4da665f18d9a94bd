"""Data volumes: which there are, and how they go."""

import os

import pytest

from containai.boxes import lookup
from containai.boxes.spec import data_labels
from containai.boxes.target import Target
from containai.cli.commands import rm
from containai.engine.container import Mount
from containai.errors import BoxNotFoundError, ContainAIError, NameTakenError
from containai.flows import volumes
from containai.layout import DATA_IN_BOX
from harness.app import ANOTHER, FakeApp


@pytest.fixture
def app(layout):
    layout.uid = os.getuid()
    return FakeApp(layout).set_up()


def have(app, name, *boxes, owner=None):
    app.docker.make_volume(name, data_labels(app.layout.uid if owner is None else owner, "/w"))
    for box in boxes:
        made = app.add_box(f"/srv/{box}", name=box)
        mounts = (*made.mounts, Mount("volume", name, DATA_IN_BOX))
        app.docker.add(made._replace(mounts=mounts))


def test_ones_own_are_listed_with_the_boxes_that_have_them(app):
    have(app, "b", "web", "api")
    have(app, "a")
    have(app, "anothers", owner=ANOTHER)
    app.docker.named_volumes.add("nobodys")
    rows = volumes.listed(app, sizes=False)
    assert [(row.name, row.boxes, row.size) for row in rows] == [
        ("a", [], None),
        ("b", ["api", "web"], None),
    ]
    assert volumes.listed(app, sizes=True)[0].size == 0


def test_on_a_bare_machine_there_is_none(layout):
    app = FakeApp(layout)
    assert volumes.listed(app, sizes=True) == []
    with pytest.raises(BoxNotFoundError):
        volumes.remove(app, ["a"])


def test_one_that_no_box_has_goes_if_the_user_agrees(app):
    have(app, "a")
    have(app, "b")
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was removed"):
        volumes.remove(app, ["a", "b"])
    app.user.agrees = True
    assert volumes.remove(app, ["b", "a", "b"]) == ["b", "a"]
    assert app.docker.volume_labels == {}


@pytest.mark.parametrize(
    ("name", "error"),
    [("used", NameTakenError), ("missing", BoxNotFoundError), ("anothers", NameTakenError)],
)
def test_where_one_cannot_go_none_goes(app, name, error):
    have(app, "a")
    have(app, "used", "api")
    have(app, "anothers", owner=ANOTHER)
    with pytest.raises(error):
        volumes.remove(app, ["a", name])
    assert "a" in app.docker.volume_labels
    assert app.user.asked == []


def test_a_box_goes_and_its_data_stays_which_is_said(app):
    have(app, "a", "api")
    report = rm.run(app, Target(name="api"), all=False)
    assert report.value["volume_kept"] == "a"
    assert [note.text for note in report.notes] == ["its data volume a stays"]
    assert (app.user.asked, "a" in app.docker.volume_labels) == ([], True)


def test_a_box_goes_with_its_data(app):
    have(app, "a", "api")
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was removed"):
        rm.run(app, Target(name="api"), all=False, data=True)
    assert lookup.get(app.engine, "api") is not None
    app.user.agrees = True
    report = rm.run(app, Target(name="api"), all=False, data=True)
    assert (report.value["volumes_removed"], report.notes) == (["a"], [])
    assert app.docker.volume_labels == {}


def test_data_that_another_box_has_too_stays_and_so_does_the_box(app):
    have(app, "a", "api", "web")
    with pytest.raises(NameTakenError, match="also that of web"):
        rm.run(app, Target(name="api"), all=False, data=True)
    assert lookup.get(app.engine, "api") is not None
    rm.run(app, Target(), all=True, data=True)
    assert (app.docker.by_id, app.docker.volume_labels) == ({}, {})


def test_what_is_no_data_volume_of_the_boxs_owner_stays(app):
    have(app, "a", "api", owner=ANOTHER)
    with pytest.raises(NameTakenError, match="no data volume of that user's"):
        rm.run(app, Target(name="api"), all=False, data=True)
    assert lookup.get(app.engine, "api") is not None
