import json
import os

import pytest

from containai.boxes import kills, lookup
from containai.boxes.kills import Kill
from containai.flows import enter
from harness.app import FakeApp

ROW = {"time": 1e9, "process": "python3", "below": "", "limit": 512 << 20, "of_machine": False}


@pytest.fixture
def app(layout, workspace):
    layout.uid = os.getuid()
    made = FakeApp(layout).set_up()
    made.add_box(workspace, name="api")
    return made


def note(app, *rows, container="api-id"):
    os.makedirs(app.layout.kills, exist_ok=True)
    path = os.path.join(app.layout.kills, container)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(rows, file)
    os.rename(path + ".new", path)


def test_each_is_told_once(app):
    assert (kills.news(app.engine), enter._has_news(app.layout)) == ([], False)
    note(app, ROW)
    assert enter._has_news(app.layout)
    assert [kill.process for kill in kills.news(app.engine)] == ["python3"]
    assert (kills.news(app.engine), enter._has_news(app.layout)) == ([], False)
    note(app, ROW, ROW | {"time": 2e9, "process": "node"})
    assert enter._has_news(app.layout)
    assert [kill.process for kill in kills.news(app.engine)] == ["node"]


def test_those_of_other_containers_are_nobodys_news(app):
    note(app, ROW, container="another")
    assert kills.news(app.engine) == []
    assert not enter._has_news(app.layout)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"time": "x"}]', "[", '"x"', "null"])
def test_what_is_no_note(app, text):
    note(app)
    with open(os.path.join(app.layout.kills, "api-id"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(app.layout.kills_seen, "w", encoding="utf-8") as file:
        file.write(text)
    assert kills.news(app.engine) == []
    (box,) = lookup.own(app.engine)
    assert kills.of(app.layout, box) == []


@pytest.mark.parametrize(
    ("below", "limit", "of_machine", "said"),
    [
        ("", 512 << 20, False, "the limit of 512 MiB on the memory of the box was reached"),
        ("", 0, False, "the limit on the memory of the box was reached"),
        ("", 0, True, "this machine had no memory left"),
        ("/user.slice", 1 << 30, False, "of 1 GiB on the memory of '/user.slice' in it was"),
        (
            f"/system.slice/docker-{'c' * 64}.scope",
            64 << 20,
            False,
            "the limit of 64 MiB on the memory of its container cccccccccccc was reached",
        ),
    ],
)
def test_in_words(below, limit, of_machine, said):
    kill = Kill("api", "api-id", 1e9, "python3", below, limit, of_machine)
    assert kill.described().startswith("the kernel ended 'python3' in the box api at ")
    assert said in kill.described()
    assert kill.hint
