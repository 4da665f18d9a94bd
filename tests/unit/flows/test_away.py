import json
import os
import subprocess
import sys

import pytest

from containai.away import record
from containai.away.record import Entry
from containai.boxes.claiming import NoSpareError
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace, box_name
from containai.engine.container import Image
from containai.errors import ImageError, NameTakenError, RemoteError, WorkspaceError
from containai.flows import (
    away,
    away_image,
    away_look,
    away_work,
    bringing,
    enter,
    whereabouts,
)
from containai.flows.whereabouts import Where
from containai.images import incus, recipe
from containai.images.incus import Split
from containai.ssh import connect, hosts, session
from containai.transfer import exchange
from containai.transfer.push import Pushed
from harness.app import FakeApp
from harness.place import OTHER, OWN, FakePlace

PIN = "c" * 64


@pytest.fixture
def place(app):
    """A place in memory that the App has by the name "work"."""
    made = FakePlace()

    def find(name):
        if name != "work":
            raise RemoteError(f"there is no remote place {name!r}", hint="see: cai remote ls")
        return made

    app.place = find
    return made


@pytest.fixture
def name(app, workspace):
    return box_name(str(workspace), app.layout.uid)


def remotes(app, default="local"):
    said = {"addresses": ["127.0.0.1:1"], "pin": PIN, "project": "boxes"}
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.remotes, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "default": default, "remotes": {"work": said}}, file)


def flagged(app, place):
    app.flags = {"box.on": place}
    app.__dict__.pop("settings", None)
    return app


def configured(app, text):
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.config_file, "w", encoding="utf-8") as file:
        file.write(text)
    app.__dict__.pop("settings", None)


class TestWhere:
    def test_here_unless_something_is_said(self, app, workspace):
        assert whereabouts.where(app, Target()) is None

    def test_where_a_flag_says(self, app, workspace):
        assert whereabouts.where(flagged(app, "work"), Target()) == Where("work", None)

    def test_where_the_setting_says(self, app, workspace):
        configured(app, '[box]\non = "work"\n')
        assert whereabouts.where(app, Target()) == Where("work", None)
        assert whereabouts.where(flagged(app, "local"), Target()) is None

    def test_of_a_workspace_only_its_user_says_it(self, app, workspace):
        configured(app, f'[workspace."{workspace}".box]\non = "work"\n')
        assert whereabouts.where(app, Target()) == Where("work", None)
        configured(app, "")
        (workspace / ".containai").mkdir()
        (workspace / ".containai/config.toml").write_text('[box]\non = "work"\n', encoding="utf-8")
        assert whereabouts.where(app, Target()) is None

    def test_where_the_default_is(self, app, workspace):
        remotes(app, default="work")
        assert whereabouts.where(app, Target()) == Where("work", None)
        configured(app, '[box]\non = "local"\n')
        assert whereabouts.where(app, Target()) is None

    def test_a_box_that_is_there_stays_there(self, app, workspace, name):
        entry = Entry(name, "work", name, str(workspace))
        record.put(app.layout, entry)
        assert whereabouts.where(app, Target()) == Where("work", entry)
        assert whereabouts.where(flagged(app, "work"), Target()) == Where("work", entry)
        for other in ("local", "home"):
            with pytest.raises(NameTakenError, match="is on work, and stays there"):
                whereabouts.where(flagged(app, other), Target())

    def test_a_box_of_this_machine_stays_here(self, app, workspace):
        app.add_box(workspace)
        configured(app, '[box]\non = "work"\n')
        assert whereabouts.where(app, Target()) is None
        with pytest.raises(NameTakenError, match="is on this machine, and stays there"):
            whereabouts.where(flagged(app, "work"), Target())

    def test_no_spare_is_a_box_elsewhere(self, app, workspace):
        app.only_spares = True
        with pytest.raises(NoSpareError):
            whereabouts.where(flagged(app, "work"), Target())


class TestImage:
    @pytest.fixture
    def made_of(self, app):
        return recipe.wanted(app.settings)

    @pytest.fixture
    def packed(self, app, monkeypatch):
        """What is packed: nothing takes its time."""
        done = []

        def pack(engine, image, made_of, directory, progress):
            done.append(image.id)
            return Split("m", "r", incus.alias(made_of), "f" * 64, 1)

        monkeypatch.setattr(incus, "pack", pack)
        return done

    def test_it_is_brought_once(self, app, place, made_of, packed):
        for _ in range(2):
            assert away_image.fingerprint(app, place, made_of) == "f" * 64
        assert len(packed) == 1
        assert [each[0] for each in place.asked].count("add_image") == 1
        assert place.named == {incus.alias(made_of): "f" * 64}

    def test_one_that_went_there_is_brought_again(self, app, place, made_of, packed):
        away_image.fingerprint(app, place, made_of)
        place.images.clear()
        assert away_image.fingerprint(app, place, made_of) == "f" * 64
        assert list(place.images) == ["f" * 64]

    def test_one_that_somebody_else_brought_is_not_sent(self, app, place, made_of, packed):
        place.images["f" * 64] = "x"
        assert away_image.fingerprint(app, place, made_of) == "f" * 64
        assert "add_image" not in [each[0] for each in place.asked]

    def test_a_name_there_is_not_believed_where_there_is_an_image_here(
        self, app, place, made_of, packed
    ):
        place.named[incus.alias(made_of)] = "e" * 64
        assert away_image.fingerprint(app, place, made_of) == "f" * 64
        assert app.user.asked == []

    def test_a_name_there_is_asked_about_where_there_is_none_here(
        self, app, place, made_of, packed
    ):
        app.docker.by_reference.clear()
        place.named[incus.alias(made_of)] = "e" * 64
        place.images["e" * 64] = "x"
        assert away_image.fingerprint(app, place, made_of) == "e" * 64
        assert len(app.user.asked) == 1
        assert away_image.fingerprint(app, place, made_of) == "e" * 64
        assert len(app.user.asked) == 1
        assert packed == []

    def test_nobody_agrees(self, layout, place, packed):
        layout.uid = os.getuid()
        app = FakeApp(layout, agrees=False).set_up()
        made_of = recipe.wanted(app.settings)
        app.docker.by_reference.clear()
        place.named[incus.alias(made_of)] = "e" * 64
        with pytest.raises(ImageError, match="is not to be used"):
            away_image.fingerprint(app, place, made_of)

    def test_without_any_it_is_made_here(self, app, place, made_of, packed, monkeypatch):
        image = app.docker.by_reference.pop(made_of.reference)

        def have(app, layer, *, is_new):
            app.docker.by_reference[layer.reference] = image

        monkeypatch.setattr(enter, "have", have)
        assert away_image.fingerprint(app, place, made_of) == "f" * 64
        assert packed == [image.id]
        assert isinstance(image, Image)


class TestRun:
    @pytest.fixture
    def did(self, app, place, monkeypatch):
        """What of a first run is done elsewhere, in order."""
        done = []
        monkeypatch.setattr(connect, "open_master", lambda *_, **__: done.append("connect"))
        monkeypatch.setattr(connect, "stands", lambda layout, box: True)
        monkeypatch.setattr(away_image, "fingerprint", lambda *_: "f" * 64)

        def push(host, layout, reach, workspace, *, ignored=(), tell):
            tell(100)
            done.append("push")
            return Pushed("", 100)

        monkeypatch.setattr(exchange, "push", push)
        monkeypatch.setattr(exchange, "forget", lambda *_: done.append("forget"))
        return done

    def run(self, app, place="work", **wanted):
        return enter.made(flagged(app, place), Target(), ["true"], enter.Wanted(**wanted))

    def test_the_work_is_there_before_the_command(self, app, did, place, workspace, name):
        entered = self.run(app)
        assert (entered.box, list(entered.command)) == (name, ["true"])
        assert entered.directory == "/home/agent/workspace"
        assert did == ["forget", "connect", "push"]
        assert place.boxes[name].workspace == str(workspace)

    def test_logins_and_settings_are_offered_once(
        self, app, did, place, workspace, name, monkeypatch
    ):
        monkeypatch.setattr(bringing, "offer", lambda app, *box: did.append(box))
        self.run(app)
        self.run(app)
        assert did.count((name, "work")) == 1
        assert did.index((name, "work")) > did.index("push")

    def test_a_push_that_broke_is_done_by_the_next(
        self, app, did, place, workspace, name, monkeypatch
    ):
        monkeypatch.setattr(session, "is_live", lambda layout, box: True)
        push = exchange.push

        def broken(*_, **__):
            raise RemoteError("the connection broke", hint="again")

        monkeypatch.setattr(exchange, "push", broken)
        with pytest.raises(RemoteError):
            self.run(app)
        monkeypatch.setattr(exchange, "push", push)
        did.clear()
        assert enter.at_once(app.layout, Target(), ["true"]) is None
        self.run(app)
        assert did == ["push"]
        assert enter.at_once(app.layout, Target(), ["true"]) is not None

    def test_news_of_boxes_here_are_none_of_its(
        self, app, did, place, workspace, name, monkeypatch
    ):
        monkeypatch.setattr(session, "is_live", lambda layout, box: True)
        self.run(app)
        os.makedirs(app.layout.kills)
        assert enter._has_news(app.layout)
        assert enter.at_once(app.layout, Target(), ["true"]) is not None

    def test_a_fresh_one_asks_and_forgets(self, app, did, place, workspace, name, monkeypatch):
        self.run(app)
        monkeypatch.setattr(away_work, "unfetched", lambda app, entry: "commits: 2")
        did.clear()
        self.run(app, fresh=True)
        assert "commits: 2" in app.user.asked[-1]
        assert did[0] == "forget"

    def test_without_a_box_there_is_none_to_execute_in(self, app, did, place, workspace):
        self.run(app)
        place.boxes.clear()
        with pytest.raises(Exception, match="gone from work"):
            enter.existing(app, Target(), ["true"])

    @pytest.fixture
    def moved(self, app, did, place, workspace, name):
        """A workspace whose box is elsewhere, which has another name by now."""
        hosts.ensure_user(app.host)
        self.run(app)
        app.flags = {}
        app.__dict__.pop("settings", None)
        new = workspace.rename(workspace.parent / "new name")
        os.chdir(new)
        return new

    @pytest.mark.parametrize("on", ["", "work"])
    def test_no_second_box_is_made_unasked(self, app, place, moved, workspace, name, on):
        with pytest.raises(WorkspaceError) as refused:
            self.run(app, on)
        was = f"{str(moved)!r} was {str(workspace)!r} when its box {name!r} on work got its work"
        assert str(refused.value) == f"{was}, and a box cannot follow"
        assert f"mv '{moved}' {workspace}" in refused.value.hint
        assert f"git fetch cai-{name}" in refused.value.hint
        assert "volume" not in refused.value.hint
        assert list(place.boxes) == [name]

    def test_nothing_else_says_that_there_is_no_box(self, app, moved, name):
        with pytest.raises(WorkspaceError, match="when its box"):
            whereabouts.box(app, Target(str(moved)))
        assert whereabouts.box(app, Target(name=name)).name == name

    def test_moved_back_it_is_entered(self, app, place, moved, workspace, name):
        moved.rename(workspace)
        os.chdir(workspace)
        assert self.run(app, "").box == name

    def test_a_second_one_can_be_had(self, app, place, moved, name):
        entered = enter.made(flagged(app, "work"), Target(here=True), ["true"], enter.Wanted())
        assert entered.box != name
        assert len(place.boxes) == 2


class TestLook:
    @pytest.fixture
    def there(self, app, place, workspace, name):
        remotes(app)
        record.put(app.layout, Entry(name, "work", name, str(workspace)))
        place.create_as(name, OWN, "mine")
        place.create_as("theirs", OTHER, "other")
        return place

    def test_ones_own_and_everybodys(self, app, there, name):
        (answer,) = away_look.listed(app)
        assert [each.name for each in answer.boxes] == [name]
        (answer,) = away_look.listed(app, everybodys=True)
        assert [(each.name, each.owner) for each in answer.boxes] == [
            (name, ""),
            ("theirs", "other"),
        ]

    def test_a_place_that_fails_is_said_and_its_boxes_are_unknown(self, app, there, name):
        there.fails["every"] = RemoteError("work: the server does not answer", hint="wait")
        (answer,) = away_look.listed(app)
        assert (answer.problem, answer.hint) == ("work: the server does not answer", "wait")
        assert [(each.name, each.status) for each in answer.boxes] == [(name, "unknown")]

    def test_a_place_that_does_not_answer_is_not_waited_for(self, app, there, name, monkeypatch):
        import threading

        never = threading.Event()
        monkeypatch.setattr(there, "every", lambda timeout: never.wait(60))
        (answer,) = away_look.listed(app, timeout=0.05)
        assert "did not answer" in answer.problem
        assert [each.status for each in answer.boxes] == ["unknown"]
        never.set()

    def test_one_that_is_gone(self, app, there, name):
        del there.boxes[name]
        (answer,) = away_look.listed(app)
        assert [(each.status, each.problems) for each in answer.boxes] == [
            ("broken", ("it is gone from work",))
        ]

    def test_without_places_nothing_is_asked(self, app):
        assert away_look.listed(app) == []

    def test_the_node_of_a_cluster(self, app, there, name):
        there._set(name, node="n2")
        (answer,) = away_look.listed(app)
        assert answer.boxes[0].where == "work/n2"


def test_how_the_work_gets_there(app):
    way = away_work.reach(app, "api")
    assert way.argv[0] == "ssh"
    assert way.argv[-2:] == ("--", "api")
    assert app.layout.ssh_block("api") in way.argv
    assert app.layout.control_socket("api") in way.ssh
    assert way.url == "api:workspace"


def test_the_workspace_is_as_deep_as_the_target(app, workspace):
    (workspace / "src").mkdir()
    entry = Entry("api", "work", "api", str(workspace))
    there = away.workspace_of(app, entry, Target(path="src"))
    assert there == Workspace(str(workspace), "src")
    with pytest.raises(NameTakenError):
        away.workspace_of(app, entry, Target(path="/"))


def test_who_has_no_remote_place_imports_nothing_of_one():
    code = (
        "import sys; from containai.flows import enter, whereabouts; "
        "from containai.cli.commands import run, ls, stop, rm, exec, shell; "
        "heavy = {'ssl', 'tempfile', 'containai.away.lifecycle', 'containai.transfer.exchange'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-Ic", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
