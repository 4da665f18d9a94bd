import os

import pytest

from containai.away import record
from containai.away.record import Entry
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.errors import DamagedError


@pytest.fixture
def entry(layout, workspace):
    made = Entry(box_name(str(workspace), 1000), "work", "there-1", str(workspace))
    record.put(layout, made)
    return made


def test_what_is_put_is_found_and_forgotten(layout, entry):
    other = Entry("other", "work", "other", "/srv/other")
    record.put(layout, other)
    assert record.every(layout) == {entry.name: entry, "other": other}
    assert os.stat(layout.away).st_mode & 0o777 == 0o600
    record.forget(layout, "other")
    record.forget(layout, "none")
    assert record.every(layout) == {entry.name: entry}
    record.forget(layout, entry.name)
    assert not os.path.exists(layout.away)


def test_by_name_by_directory_and_by_the_current_one(layout, entry, workspace):
    assert record.find(layout, Target(name=entry.name)) == entry
    assert record.find(layout, Target(path=".")) == entry
    assert record.find(layout, Target()) == entry
    assert record.find(layout, Target(name="other")) is None
    assert record.find(layout, Target(path="/")) is None
    assert record.find(layout, Target(path="/gone")) is None


def test_a_box_of_another_name_is_the_workspaces_unless_there_is_one_here(layout, workspace):
    named = Entry("api", "work", "api", str(workspace))
    record.put(layout, named)
    assert record.find(layout, Target()) == named
    os.makedirs(layout.ssh_blocks, 0o700)
    with open(layout.ssh_block(box_name(str(workspace), 1000)), "w", encoding="utf-8"):
        pass
    assert record.find(layout, Target()) is None


def test_two_of_a_workspace_are_told_apart_by_their_names(layout, workspace):
    for name in ("api", "web"):
        record.put(layout, Entry(name, "work", name, str(workspace)))
    assert record.find(layout, Target()) is None
    assert record.find(layout, Target(name="web")) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "boxes": {}}',
        '{"version": 1, "boxes": []}',
        '{"version": 1, "boxes": {"a": {}}}',
        '{"version": 1, "boxes": {"a": 1}}',
    ],
)
def test_a_damaged_one_is_said(layout, text):
    os.makedirs(layout.state_dir)
    with open(layout.away, "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(DamagedError) as raised:
        record.every(layout)
    assert "mv " in raised.value.hint
