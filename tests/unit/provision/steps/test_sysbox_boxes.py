"""Boxes that a killed Sysbox left: which are found, and how they are put right."""

import json
import os

import pytest

from containai.engine import daemon, sysbox
from containai.engine.container import Container, State
from containai.engine.fake import FakeEngine
from containai.errors import ContainAIError
from containai.host.perform import perform
from containai.provision.steps import sysbox_boxes
from containai.provision.steps.sysbox_boxes import SysboxBoxes

OFF = Container("a1", "a", runtime="sysbox-runc", state=State.EXITED)
RUNS = OFF._replace(state=State.RUNNING, running=True)
FIRST = "2147221504"


def nothing(*_):
    pass


class Told(FakeEngine):
    """An engine that says where the files of a container are."""

    def inspect(self, kind, name):
        data = self.layout.engine_data
        return {
            "GraphDriver": {"Data": {"UpperDir": f"{data}/overlay2/{name}/diff"}},
            "Mounts": [
                {"Type": "volume", "Source": f"{data}/volumes/{name}/_data"},
                {"Type": "bind", "Source": "/home/me/project"},
                {"Type": "volume", "Source": "/elsewhere/_data"},
            ],
        }


@pytest.fixture
def engine(host, monkeypatch):
    made = Told(host)
    monkeypatch.setattr(sysbox_boxes, "Engine", lambda _: made)
    monkeypatch.setattr(daemon, "answering", lambda _: True)
    monkeypatch.setattr(sysbox, "SUBORDINATE_FILES", ("/none", "/none"))
    monkeypatch.setattr(sysbox, "has_lost", lambda _, pid: pid == 13)
    os.makedirs(host.layout.sysbox_dir)
    with open(host.layout.sysbox_program, "w", encoding="utf-8"):
        pass
    return made


def trees(layout, container):
    data = layout.engine_data
    return (f"{data}/overlay2/{container}/diff", f"{data}/volumes/{container}/_data")


def looks(host, container, changed, *, problems=(), act=True):
    """Say what is found, and what is done, in the files of a container."""
    out = json.dumps({"changed": changed, "problems": list(problems)})
    words = (FIRST, FIRST, container, *trees(host.layout, container))
    program = host.layout.runtime_program
    host.answer(program, "unshift", "--dry-run", *words, out=out)
    if act:
        host.answer(program, "unshift", *words, out=out)


def test_nothing_is_asked_where_there_is_no_sysbox(host, monkeypatch):
    monkeypatch.setattr(daemon, "answering", None)
    assert SysboxBoxes().check(host)[:2] == (True, "none: Sysbox is not there")


def test_an_engine_that_does_not_answer_is_no_fault_of_boxes(host, engine, monkeypatch):
    monkeypatch.setattr(daemon, "answering", lambda _: False)
    assert SysboxBoxes().check(host).is_unknown


def test_those_that_are_stopped_are_looked_through_and_no_others(host, engine):
    engine.add(OFF)
    engine.add(RUNS._replace(id="b2", name="b"))
    engine.add(Container("c3", "c", runtime="cai-runc", state=State.EXITED))
    looks(host, "a1", 0)
    assert SysboxBoxes().check(host).ok
    assert [words[-3] for words in host.ran] == ["a1"]


def test_what_was_left_is_put_right(host, engine):
    engine.add(OFF)
    engine.add(OFF._replace(id="b2", name="b"))
    looks(host, "a1", 1)
    looks(host, "b2", 0)
    step = SysboxBoxes()
    found = step.check(host)
    assert found[:2] == (False, "left half shifted by a Sysbox that was killed: a")
    (action,) = step.plan(host, found)
    assert " unshift " in action.describe()
    host.ran.clear()
    perform(host, action, nothing)
    (words,) = [words for words in host.ran if "unshift" in words]
    assert words[0] == "#"
    assert words[-5:] == (FIRST, FIRST, "a1", *trees(host.layout, "a1"))
    assert "--dry-run" not in words


def test_one_that_was_started_meanwhile_is_left_alone(host, engine):
    engine.add(OFF)
    looks(host, "a1", 1)
    step = SysboxBoxes()
    (action,) = step.plan(host, step.check(host))
    host.ran.clear()
    engine.add(RUNS)
    with pytest.raises(ContainAIError, match="runs again"):
        perform(host, action, nothing)
    del engine.by_id["a1"]
    perform(host, action, nothing)
    assert not [words for words in host.ran if "unshift" in words]


def test_what_cannot_be_put_right_is_named(host, engine):
    engine.add(OFF)
    looks(host, "a1", 1, problems=["./etc: Read-only file system"])
    step = SysboxBoxes()
    (action,) = step.plan(host, step.check(host))
    with pytest.raises(ContainAIError, match=r"not all files of a .*Read-only"):
        perform(host, action, nothing)


def test_one_that_runs_without_its_sysbox_fs_is_named_with_what_to_do(host, engine):
    engine.add(RUNS._replace(id="a1", name="a", pid=13))
    engine.add(RUNS._replace(id="b2", name="b", pid=14))
    step = SysboxBoxes()
    found = step.check(host)
    assert found[:2] == (False, "without /proc, as sysbox-fs was started anew: a")
    assert found.hint == "start it again: cai restart --name a"
    assert step.plan(host, found) == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a:100000:65536\nsysbox:165536:65536\nsysbox:300000:65536\n", 165536),
        ("sysboxer:1:2\n", 2147221504),
        ("sysbox\nsysbox:x:1\n", 2147221504),
        ("", 2147221504),
    ],
)
def test_the_range_is_the_one_that_sysbox_has(tmp_path, monkeypatch, text, first):
    paths = [str(tmp_path / name) for name in ("subuid", "subgid")]
    for path in paths:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    monkeypatch.setattr(sysbox, "SUBORDINATE_FILES", paths)
    assert sysbox.first_ids() == (first, first)
