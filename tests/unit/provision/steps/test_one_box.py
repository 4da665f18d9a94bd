"""One box, from outside."""

import json
import os
import time

import pytest

from containai.boxes import kills
from containai.boxes.box import Box
from containai.engine.container import Image, State
from containai.host.cgroups import Reading
from containai.machine_layout import RUNTIME
from containai.provision.apply import look
from containai.provision.steps import one_box

#: What is looked at from outside.
OUTSIDE = (one_box.Standing, one_box.Made, one_box.Port, one_box.Memory, one_box.Ended)


@pytest.fixture
def looked(app, workspace, monkeypatch):
    """Have a box with some properties; return its rows by title, and say what it shows."""
    monkeypatch.setattr(one_box, "Engine", lambda host: app.docker)
    monkeypatch.setattr(one_box.runtimes, "programs", lambda layout: {RUNTIME: "/x"})
    monkeypatch.setattr(one_box.ports, "is_free", lambda port: False)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: READING)
    os.makedirs(app.layout.kills)

    def rows(*, owner=None, before=lambda box: None, **properties):
        made = app.add_box(workspace, name="one", owner=owner)
        made = app.docker.add(made._replace(**{"memory": 1 << 30, **properties}))
        box = Box.from_container(made)
        before(box)
        every = [kind(box) for kind in OUTSIDE]
        return {step.title: (step, look(app.machine, step).finding) for step in every}

    return rows


READING = Reading(0.0, 1 << 20, 1.0, 20, 0)


def states(rows):
    return {title: finding.state.value for title, (_, finding) in rows.items()}


def test_all_is_right_with_a_box_that_runs(looked):
    assert set(states(looked()).values()) == {"ok"}


def test_a_box_that_is_off_is_no_less_right(looked, monkeypatch):
    monkeypatch.setattr(one_box.ports, "is_free", lambda port: True)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: None)
    rows = looked(state=State.EXITED, running=False)
    assert set(states(rows).values()) == {"ok"}
    assert rows["limits"][1].seen.endswith("it does not run")


def test_a_workspace_that_is_gone(looked, workspace):
    rows = looked(before=lambda box: None, state=State.RESTARTING)
    assert rows["state"][1].hint == "see why it ends: cai logs --name one"
    workspace.rmdir()
    _, found = looked()["state"]
    assert "is gone" in found.seen
    assert found.hint == "remove it: cai rm --name one"


def test_what_it_was_made_with_is_no_more(looked, app):
    _, found = looked(runtime="sysbox-runc")["container"]
    assert not found.ok
    assert "the engine has no such runtime, but cai-runc" in found.seen
    _, found = looked(image_id="2" * 64)["container"]
    assert found.seen.endswith("its image is gone")
    app.docker.by_reference["2" * 64] = Image("2" * 64)
    assert looked(image_id="2" * 64)["container"][1].ok


def test_who_has_its_port(looked, monkeypatch):
    monkeypatch.setattr(one_box.ports, "is_free", lambda port: True)
    _, found = looked()["port"]
    assert (found.state, found.seen) == ("wrong", "127.0.0.1:2301: nobody listens")
    monkeypatch.setattr(one_box.ports, "is_free", lambda port: False)
    _, found = looked(state=State.EXITED)["port"]
    assert (found.state, found.seen) == ("none", "127.0.0.1:2301: another has it")


def test_a_limit_that_is_near(looked, monkeypatch):
    near = READING._replace(memory=(1 << 30) - 1)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: near)
    _, found = looked()["limits"]
    assert not found.ok
    assert found.hint.startswith("give it more: cai limit --name one --memory 2g; or see ")
    assert looked(memory=0)["limits"][1].ok
    blind = READING._replace(memory=None)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: blind)
    assert looked()["limits"][1].state == "unknown"


def test_what_was_ended_for_want_of_memory(looked, app, monkeypatch):
    row = {"process": "cc1", "below": "", "limit": 1 << 30, "of_machine": False}

    def note(at):
        text = json.dumps([{"time": at, **row}])
        path = os.path.join(app.layout.kills, "one-id")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    note(time.time())
    _, found = looked()["out of memory"]
    assert not found.ok
    assert "'cc1' in the box one" in found.seen
    assert found.hint == "give it more: cai limit --name one --memory 2g"
    note(time.time() - 2 * kills.RECENT)
    assert looked()["out of memory"][1].ok

    os.unlink(os.path.join(app.layout.kills, "one-id"))
    counted = READING._replace(kills=3)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: counted)
    assert looked()["out of memory"][1].seen == "3 processes were ended since its start"
    os.rmdir(app.layout.kills)
    monkeypatch.setattr(one_box.cgroups, "read", lambda pid, container: None)
    assert looked(state=State.EXITED)["out of memory"][1].state == "unknown"
