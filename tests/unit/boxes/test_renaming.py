import os

import pytest

from containai.boxes import keeping, locate, lookup
from containai.boxes.target import Target
from containai.cli import command as words
from containai.cli import registry
from containai.cli.commands import rename as command
from containai.engine.container import State
from containai.errors import (
    BoxNotFoundError,
    ContainAIError,
    EngineError,
    NameTakenError,
    UsageError,
)
from containai.host import files
from containai.ssh import hosts
from harness.app import ANOTHER


class Killed(BaseException):
    """The process ended here."""


def published(app):
    return hosts.published(app.layout)


def the(app, name):
    box = lookup.get(app.engine, name)
    assert box is not None
    return box


def note(app):
    return os.path.join(app.layout.state_dir, "renaming")


@pytest.mark.parametrize("state", [State.RUNNING, State.EXITED])
def test_its_container_and_what_ssh_knows_of_it(app, workspace, elsewhere, state):
    box = app.add_box(workspace, name="api", state=state)
    report = command.run(app, Target(name="api"), new="web")
    assert report.value == {"name": "web", "renamed": True, "before": "api"}
    assert app.docker.requests == [("rename", box.id, "web")]
    assert published(app) == {"web"}
    block = files.read(app.layout.ssh_block("web")) or ""
    assert "Host web\n" in block
    assert "HostKeyAlias containai-web\n" in block
    assert hosts.pinned_key(files.read(app.layout.known_hosts) or "", "web") == "ssh-ed25519 AAAA"
    assert not os.path.exists(note(app))


def test_a_kept_box_stays_kept_and_only_it(app, workspace):
    app.add_box(workspace, name="api")
    keeping.keep(app.layout, the(app, "api"))
    command.run(app, Target(name="api"), new="web")
    web = the(app, "web")
    assert keeping.is_kept(app.layout, web)
    assert not keeping.is_kept(app.layout, web._replace(workspace="/srv"))
    app.boxes.remove(web)
    assert not keeping.is_kept(app.layout, web)


@pytest.mark.parametrize("taken", ["web", "web.before"])
def test_a_name_that_something_has(app, workspace, elsewhere, taken):
    app.add_box(workspace, name="api")
    app.add_box(elsewhere, name=taken, owner=ANOTHER)
    with pytest.raises(NameTakenError, match="'web' is taken"):
        command.run(app, Target(name="api"), new="web")
    with pytest.raises(NameTakenError, match="called 'api' already"):
        command.run(app, Target(name="api"), new="api")
    assert app.docker.requests == []
    assert published(app) == {"api"}


@pytest.mark.parametrize("uid", [0, ANOTHER - 1])
def test_another_users_is_that_users(app, workspace, uid):
    app.layout.uid = uid
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError, match="belongs to"):
        command.run(app, Target(name="api"), new="web")
    assert app.docker.requests == []


def test_a_box_that_is_half_made(app, workspace):
    app.add_box(workspace, name="api", state=State.CREATED)
    with pytest.raises(ContainAIError, match="is half made"):
        command.run(app, Target(name="api"), new="web")
    assert app.docker.requests == []


def test_none(app, workspace):
    with pytest.raises(BoxNotFoundError):
        command.run(app, Target(), new="web")


def test_a_failure_leaves_all_as_it_was(app, workspace):
    app.add_box(workspace, name="api")
    app.docker.fail("rename", EngineError("no"))
    with pytest.raises(EngineError):
        command.run(app, Target(name="api"), new="web")
    assert published(app) == {"api"}
    assert not os.path.exists(note(app))


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_interrupted_is_mended_by_the_next_command(app, workspace, monkeypatch, when):
    app.add_box(workspace, name="api")
    keeping.keep(app.layout, the(app, "api"))

    def die(*_):
        raise Killed

    # A process that is killed undoes nothing.
    monkeypatch.setattr(hosts, "forget", lambda *_: None)
    monkeypatch.setattr(files, "remove", lambda _: None)
    if when == "before":
        app.docker.before("rename", die)
    else:
        monkeypatch.setattr(hosts, "retire", die)
    with pytest.raises(Killed):
        command.run(app, Target(name="api"), new="web")
    monkeypatch.undo()
    assert (published(app), os.path.exists(note(app))) == ({"api", "web"}, True)
    (box,) = locate.listed(app.engine)
    assert box.name == ("api" if when == "before" else "web")
    assert (published(app), os.path.exists(note(app))) == ({box.name}, False)
    assert keeping.is_kept(app.layout, box)


@pytest.mark.parametrize(
    ("line", "target", "new"),
    [
        (["web"], Target(), "web"),
        (["/srv", "web"], Target(path="/srv"), "web"),
        (["--name", "api", "web"], Target(name="api"), "web"),
        (["--name=api", "/srv", "web"], Target("/srv", "api"), "web"),
    ],
)
def test_the_new_name_comes_last(line, target, new):
    (row,) = command.COMMANDS
    asked = words.parse(row, line)
    assert asked.keywords == {"target": target, "new": new}


@pytest.mark.parametrize("line", [[], ["a", "b", "c"], ["A"], ["../x"], [""], ["a" * 64]])
def test_what_does_not_fit(line):
    row, _ = registry.find(["rename"])
    with pytest.raises(UsageError) as raised:
        words.parse(row, line)
    assert raised.value.hint.startswith("usage: cai rename")
