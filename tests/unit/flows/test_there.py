"""A box on a remote place, by what a user does with it."""

import json
import os
import socket

import pytest

from containai.away import record
from containai.boxes.box import Status
from containai.boxes.logs import Wanted
from containai.boxes.target import Target
from containai.cli.commands import jobs, ls, rm, start, stop
from containai.errors import (
    BoxNotFoundError,
    ContainAIError,
    EngineError,
    NotThereError,
    RemoteError,
    UsageError,
)
from containai.flows import away, away_work, enter, several, whereabouts
from containai.flows.there import There
from containai.host import files
from containai.layout import LOCAL
from containai.ssh import connect, hosts
from harness.place import OWN, FakePlace


@pytest.fixture
def places(app, workspace, monkeypatch):
    """Two places, "home" and "work", each with a box of this user's that is called as it is."""
    made = {}
    hosts.ensure_user(app.host)
    for name in ("home", "work"):
        made[name] = place = FakePlace(name)
        box = f"at-{name}"
        place.create_as(box, OWN, "mine")
        place._set(box, workspace=str(workspace))
        block = hosts.host_block(
            app.layout, box, proxy="/bin/false", place=name, workspace=str(workspace),
            inode="1:2", forward_agent=False,
        )  # fmt: skip
        hosts.publish(app.layout, box, block, "ssh-ed25519 FAR")
        record.put(app.layout, record.Entry(box, name, box, str(workspace)))
    app.place = made.__getitem__
    monkeypatch.setattr(connect, "open_master", lambda *_, **__: None)
    monkeypatch.setattr(away_work, "send_first", lambda *_: None)
    monkeypatch.setattr(away_work, "unfetched", lambda *_: "")
    return made


WORK = Target(name="at-work")


@pytest.fixture
def box(app, places):
    return whereabouts.box(app, WORK)


def test_its_place_is_not_asked_to_find_it(app, box, places, workspace):
    assert isinstance(box, There)
    assert (box.name, box.on, box.shown) == ("at-work", "work", "at-work on work")
    assert (box.box.name, box.box.data) == ("at-work", "")
    assert box.at(WORK).path == str(workspace)
    assert whereabouts.of(app, box.box) == box
    assert [each.on for each in whereabouts.boxes_there(app)] == ["home", "work"]
    assert places["work"].asked == app.docker.requests == []


def test_a_box_that_was_found_is_started_where_it_is(app, box, places):
    places["work"]._set("at-work", status=Status.STOPPED)
    enter.started(app, box.box)
    assert ("start", "at-work") in places["work"].asked


def test_a_restart_says_where(app, box, places):
    box.restart()
    assert app.user.said[0] == "stopping the box at-work on work"
    asked = [each[0] for each in places["work"].asked]
    assert asked.index("stop") < asked.index("start")


def test_it_goes_and_no_volume_of_this_machine(app, box, places):
    box.remove(["one"])
    assert places["work"].boxes == {}
    assert app.docker.requests == []


def test_limits_are_as_its_place_has_them(box):
    assert box.limit().value == {"limits.memory": "mine", "limits.cpu": "mine"}


def test_how_it_is(box, places):
    seen = box.now().look(with_sizes=False, with_processes=False)
    assert (seen.value["on"], seen.value["instance"]) == ("work", "at-work")
    assert ["on", "work/mine"] in seen.rows
    assert not seen.problems
    places["work"]._set("at-work", status=Status.BROKEN, problem="its node is away", node="")
    seen = box.look(with_sizes=False, with_processes=False)
    assert ["on", "work"] in seen.rows
    assert seen.problems == [("at-work: its node is away", "see: cai ls")]


def test_its_console_is_not_followed(box):
    assert box.said(Wanted(9), console=False).of == "journal"
    assert box.said(Wanted(9), console=True).of == "console"
    with pytest.raises(UsageError, match="is not followed"):
        box.said(Wanted(9, follow=True), console=True)


def test_work_is_carried_over_ssh(app, box, places, workspace):
    places["work"]._set("at-work", status=Status.STOPPED)
    reach, carried = box.carry()
    assert (reach.box, carried) == ("at-work", str(workspace))
    assert ("start", "at-work") in places["work"].asked


def says(app, text):
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.config_file, "w", encoding="utf-8") as file:
        file.write(text)
    app.__dict__.pop("settings", None)


@pytest.fixture
def connected(app):
    """The directory of control sockets, which a connection makes."""
    files.private_directory(app.layout.control_dir)


def forwarded(app):
    """Return what was asked of control connections."""
    return [words[words.index("forward") + 1 :] for words in app.machine.ran if "forward" in words]


def test_ports_of_the_settings_stand_as_long_as_its_connection(
    app, box, places, connected, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    says(app, f'[ssh]\nlocal_forward = ["{port}:80"]\nremote_forward = ["5432"]\n')
    places["work"]._set("at-work", status=Status.STOPPED)
    box.start()
    assert forwarded(app) == [
        ("-L", f"localhost:{port}:localhost:80", "--", "box"),
        ("-R", "localhost:5432:localhost:5432", "--", "box"),
    ]
    # A connection that stands has them.
    monkeypatch.setattr(connect, "stands", lambda layout, box: True)
    box.start()
    assert len(forwarded(app)) == 2
    assert app.docker.requests == []


def test_a_port_of_the_settings_that_is_taken_is_said_and_it_is_entered(
    app, box, places, connected
):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        says(app, f'[ssh]\nlocal_forward = ["{port}"]\n')
        assert box.enter(["true"], []).box == "at-work"
    [told] = [text for text in app.user.told if "local_forward" in text]
    assert told.startswith(f"cai: port {port} is not forwarded (ssh.local_forward): somebody")


def test_an_agent_for_some_hosts_alone_is_not_to_be_had(app, box, places):
    says(app, '[ssh]\nforward_agent = ["github.com"]\n')
    box.start()
    assert "ForwardAgent no" in box.block().text
    [told] = [text for text in app.user.told if "forward_agent" in text]
    assert "at-work has no agent: one for github.com alone is not for work" in told
    says(app, "[ssh]\nforward_agent = true\n")
    whereabouts.box(app, WORK).start()
    assert "ForwardAgent yes" in box.block().text


def test_it_has_snapshots(box):
    assert box.snapshots.add("one") == "one"
    assert [each.name for each in box.snapshots.listed()] == ["one"]
    assert box.snapshots.restore("one")
    box.snapshots.remove("one")
    with pytest.raises(BoxNotFoundError):
        box.snapshots.remove("one")


def test_what_is_only_done_here(app, places, workspace):
    with pytest.raises(NotThereError, match="that is not to be had on work"):
        whereabouts.only_here(app, WORK, "that", "leave it out")
    files.write(app.layout.config_file, '[box]\non = "work"\n')
    app.__dict__.pop("settings", None)
    new = Target(name="new")
    whereabouts.only_here(app, new, "that", "leave it out")
    with pytest.raises(NotThereError, match="that is not to be had on work"):
        whereabouts.only_made_here(app, new, "that", "leave it out")


class TestAll:
    """What cannot be asked is named at the end, and the others have their turn."""

    SILENT = RemoteError("work: the server does not answer", hint="wait")

    @pytest.fixture
    def near(self, app, places, tmp_path):
        (tmp_path / "near").mkdir()
        app.add_box(tmp_path / "near", name="near")
        return places

    @pytest.fixture
    def dead(self, app, places, monkeypatch):
        """An engine that cannot be started."""
        error = EngineError("the engine does not start", hint="cai doctor")

        def fail(app):
            raise error

        monkeypatch.setattr(whereabouts, "boxes_here", fail)
        return error

    def test_of_everywhere(self, app, near, monkeypatch):
        names = [box.name for box in several.own(app, Target()).boxes]
        assert names == ["near", "at-home", "at-work"]
        assert [box.on for box in several.own(app, Target()).boxes] == [LOCAL, "home", "work"]

    @pytest.mark.parametrize("command", [stop, rm])
    def test_a_place_that_does_not_answer(self, app, near, command):
        near["work"].fails["every"] = self.SILENT
        done = command.run(app, Target(), all=True)
        assert [row["name"] for row in done.value] == ["near", "at-home"]
        assert [note.text for note in done.notes] == [str(self.SILENT)]
        assert done.code == RemoteError.exit_code
        assert [each[0] for each in near["work"].asked] == ["every"]

    def test_one_that_fails_by_then(self, app, near):
        near["work"].fails["find"] = self.SILENT
        done = rm.run(app, Target(), all=True)
        assert [row["name"] for row in done.value] == ["near", "at-home"]
        assert done.code == RemoteError.exit_code
        assert "at-work" not in app.user.asked[0]

    @pytest.mark.parametrize("command", [start, stop, rm])
    def test_an_engine_that_is_dead(self, app, places, dead, command):
        done = command.run(app, Target(), all=True)
        assert [row["name"] for row in done.value] == ["at-home", "at-work"]
        assert [note.text for note in done.notes] == [str(dead)]
        assert done.code == EngineError.exit_code

    @pytest.mark.parametrize(("place", "box"), [("local", "near"), ("work", "at-work")])
    @pytest.mark.parametrize("command", [stop, rm])
    def test_those_of_one_place(self, app, near, command, place, box):
        app.flags = {"box.on": place}
        near["home"].fails["every"] = self.SILENT
        done = command.run(app, Target(), all=True)
        assert ([row["name"] for row in done.value], done.code) == ([box], 0)
        assert near["home"].asked == []

    def test_those_of_a_place_that_nobody_added(self, app, near):
        app.flags = {"box.on": "gone"}
        for ask in (lambda: stop.run(app, Target(), all=True), lambda: ls.run(app, all=False)):
            with pytest.raises(UsageError, match="no remote place 'gone'"):
                ask()

    @pytest.mark.parametrize(("place", "boxes"), [("local", ["near"]), ("work", ["at-work"])])
    def test_a_list_of_one_place(self, app, near, place, boxes):
        app.flags = {"box.on": place}
        near["home"].fails["every"] = self.SILENT
        listed = ls.run(app, all=False)
        assert [row["name"] for row in listed.value] == boxes
        assert listed.notes == []

    def test_a_list_of_a_place_without_boxes(self, app, places):
        app.flags = {"box.on": "work"}
        record.put(app.layout, record.Entry("gone", "work", "gone", "/srv/gone"))
        record.forget(app.layout, "at-work")
        places["work"].boxes.clear()
        assert [row["status"] for row in ls.run(app, all=False).value] == ["broken"]

    def test_jobs_of_one_place(self, app, near):
        app.flags = {"box.on": "work"}
        job = {
            "name": "make-1", "status": "running", "code": None, "when": 5.5, "created": 1,
            "restarts": 0, "command": ["make"], "terminal": False, "restart": "no", "calendar": "",
        }  # fmt: skip
        app.machine.answer("ssh", out=json.dumps({"jobs": [job]}))
        assert [row["box"] for row in jobs.run(app, Target(), all=True).value] == ["at-work"]
        assert near["home"].asked == []

    def test_where_nothing_answers_that_is_all(self, app, places, dead):
        for place in places.values():
            place.fails["every"] = self.SILENT
        with pytest.raises(EngineError):
            stop.run(app, Target(), all=True)

    def test_what_of_the_work_would_go_is_asked_about(self, app, near, monkeypatch):
        monkeypatch.setattr(away_work, "unfetched", lambda app, entry: "commits: 2")
        app.user.agrees = False
        with pytest.raises(ContainAIError, match="nothing was removed"):
            rm.run(app, Target(), all=True)
        assert app.user.asked[0].endswith("at-home: commits: 2. at-work: commits: 2. Go on?")

    def test_jobs_of_all_but_those_of_a_dead_engine(self, app, places, monkeypatch):
        def fail(engine):
            raise EngineError("the engine does not start", hint="cai doctor")

        monkeypatch.setattr("containai.boxes.locate.listed", fail)
        app.machine.answer("ssh", out='{"jobs": []}')
        assert jobs.run(app, Target(), all=True).value == []
        assert app.user.told == ["cai: the engine does not start\n"]
        for name in ("at-home", "at-work"):
            away.remove(app, record.every(app.layout)[name])
        with pytest.raises(EngineError):
            jobs.run(app, Target(), all=True)
