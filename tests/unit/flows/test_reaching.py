"""Boxes wherever they are: found, reached, and given what is asked for."""

import json
import os

import pytest

from containai.boxes import jobs as of_box
from containai.boxes.box import Box, Status
from containai.boxes.saved import Reader
from containai.boxes.target import Target
from containai.boxes.way import ByEngine, BySsh
from containai.errors import BoxNotFoundError, CopyError, NotThereError, RemoteError
from containai.flows import away, bringing, copying, jobs, reaching, saving
from containai.host import below
from containai.ssh import connect, session
from containai.sync.choice import Choice
from harness.app import FakeApp
from harness.place import far_box

JOB = {
    "name": "make-1", "status": "running", "code": None, "when": 5.5, "created": 1, "restarts": 0,
    "command": ["make"], "terminal": False, "restart": "no", "calendar": "",
}  # fmt: skip


def elsewhere(app, workspace, monkeypatch):
    """Have a box "far" on a place "work", which runs and to which a connection is made."""
    place = far_box(app, workspace, "ssh-ed25519 FAR")
    monkeypatch.setattr(connect, "open_master", lambda *_, **__: None)
    monkeypatch.setattr(away.away_work, "send_first", lambda *_: None)
    return place


@pytest.fixture
def place(app, workspace, monkeypatch):
    return elsewhere(app, workspace, monkeypatch)


@pytest.fixture
def login(app):
    """Have something to bring."""
    with open(os.path.join(app.layout.home, ".gitconfig"), "w", encoding="utf-8") as file:
        file.write("[user]\n\tname = Ada\n")


FAR = Target(name="far")


class TestFound:
    def test_one_that_is_connected_asks_nobody(self, app, place, monkeypatch):
        monkeypatch.setattr(session, "is_live", lambda layout, box: True)
        assert reaching.existing(app, FAR).status is Status.RUNNING
        assert place.asked == []

    def test_one_that_runs_is_connected_to(self, app, place, monkeypatch):
        made = []
        monkeypatch.setattr(connect, "open_master", lambda host, box, *_, **__: made.append(box))
        assert reaching.existing(app, FAR).status is Status.RUNNING
        assert made == ["far"]

    def test_one_that_is_off_stays_so(self, app, place):
        place._set("far", status=Status.STOPPED)
        box = reaching.existing(app, FAR)
        assert box.status is Status.STOPPED
        assert ("start", "far") not in place.asked
        with pytest.raises(BoxNotFoundError, match="is stopped"):
            of_box.every(reaching.way(app, box))

    def test_one_that_is_gone(self, app, place):
        place.boxes.clear()
        with pytest.raises(BoxNotFoundError, match="gone from work"):
            reaching.existing(app, FAR)

    def test_each_has_its_way(self, app, place, tmp_path):
        (tmp_path / "near").mkdir()
        near = Box.from_container(app.add_box(tmp_path / "near", name="near"))
        assert reaching.way(app, near) == ByEngine(app.engine, near)
        far = reaching.existing(app, FAR)
        assert reaching.way(app, far) == BySsh(app.host, far)


class TestGuarded:
    def test_workspaces_of_both(self, app, place, workspace, tmp_path):
        (tmp_path / "near").mkdir()
        app.add_box(tmp_path / "near", name="near")
        both = {str(workspace), str(tmp_path / "near")}
        assert {*reaching.workspaces(app)} == both
        assert below.identities(both) <= reaching.shared(app)

    def test_without_an_engine_nobody_is_asked(self, layout, workspace, monkeypatch):
        layout.uid = os.getuid()
        app = FakeApp(layout)
        elsewhere(app, workspace, monkeypatch)
        assert reaching.workspaces(app) == [str(workspace)]
        assert reaching.shared(app) == below.identities([str(workspace)])
        assert not app.ran("docker")


class TestJobs:
    def test_of_a_box_elsewhere(self, app, place):
        app.machine.answer("ssh", out=json.dumps({"jobs": [JOB]}))
        [(box, job)] = jobs.listed(app, FAR, everywhere=False)
        assert (box, job.name) == ("far", "make-1")
        assert jobs.found(jobs.way_to(app, FAR, None), None).name == "make-1"

    def test_of_all_boxes(self, app, place, tmp_path):
        (tmp_path / "near").mkdir()
        app.add_box(tmp_path / "near", name="near")
        os.makedirs(app.layout.config_dir, exist_ok=True)
        app.machine.answer(*app.engine.argv("exec"), out=json.dumps({"jobs": [JOB]}))
        app.machine.answer("ssh", out=json.dumps({"jobs": [JOB | {"name": "far-1"}]}))
        listed = jobs.listed(app, Target(), everywhere=True)
        assert [(box, job.name) for box, job in listed] == [("near", "make-1"), ("far", "far-1")]
        place.fails["every"] = RemoteError("work: it does not answer", hint="wait")
        listed = jobs.listed(app, Target(), everywhere=True)
        assert [box for box, _ in listed] == ["near"]
        assert app.user.told == ["cai: work: it does not answer\n"]

    def test_one_that_is_off_is_none_that_runs(self, app, place):
        place._set("far", status=Status.STOPPED)
        assert jobs.listed(app, Target(), everywhere=True) == []
        assert not app.ran("ssh")


class TestCopying:
    def test_no_link_of_its_workspace_is_followed(self, app, place, workspace, tmp_path):
        (tmp_path / "secret").mkdir()
        (workspace / "out").symlink_to(tmp_path / "secret")
        with pytest.raises(CopyError, match="leads through the link"):
            copying.out(app, FAR, "x", str(workspace / "out/y"), follow=False)


class TestBringing:
    SAID = json.dumps({"new": [".gitconfig"], "replaced": [], "same": [], "failed": []})

    def test_into_a_box_elsewhere(self, app, place, login):
        app.machine.answer("ssh", out=self.SAID)
        brought = bringing.bring(app, FAR, Choice(), "", dry_run=False)
        assert (brought.box, brought.place, brought.volume) == ("far", "work", "")
        assert brought.done.new == [".gitconfig"]
        line = app.machine.ran[-1][-1]
        assert "exec /usr/bin/python3 -IS -c " in line
        assert "/mnt/agent-data /home/agent " in line
        assert not app.ran("docker", "run")

    def test_one_that_is_off_is_started_only_where_something_goes_there(self, app, place, login):
        place._set("far", status=Status.STOPPED)
        bringing.bring(app, FAR, Choice(), "", dry_run=True)
        bringing.bring(app, FAR, Choice(exclude=["*"]), "", dry_run=False)
        assert ("start", "far") not in place.asked
        app.machine.answer("ssh", out=self.SAID)
        bringing.bring(app, FAR, Choice(), "", dry_run=False)
        assert ("start", "far") in place.asked

    def test_what_the_box_did_not_take(self, app, place, login):
        app.machine.answer("ssh", code=127, err="python3: not found")
        with pytest.raises(CopyError, match=r"far took nothing \(code 127\): python3: not found"):
            bringing.bring(app, FAR, Choice(), "", dry_run=False)

    def test_before_there_is_a_box_it_is_refused(self, app, workspace, login):
        os.makedirs(app.layout.config_dir, exist_ok=True)
        with open(app.layout.config_file, "w", encoding="utf-8") as file:
            file.write('[box]\non = "work"\n')
        app.__dict__.pop("settings", None)
        with pytest.raises(NotThereError, match="data without its box"):
            bringing.bring(app, Target(), Choice(), "", dry_run=True)

    @pytest.mark.parametrize("how", ["ask", "always"])
    def test_it_is_offered_and_the_place_is_named(self, app, place, login, how):
        self.settle(app, how)
        app.machine.answer("ssh", out=self.SAID)
        bringing.offer(app, "far", "work")
        assert "this box on work" in app.user.asked[0]
        assert "brought git: 1 file" in app.user.told[-1]

    @pytest.mark.parametrize("how", ["ask", "always", "never"])
    def test_nothing_goes_there_unasked(self, app, place, login, how):
        self.settle(app, how)
        app.at_terminal = how == "never"
        bringing.offer(app, "far", "work")
        assert app.user.asked == []
        app.at_terminal, app.user.agrees = True, False
        bringing.offer(app, "far", "work")
        assert len(app.user.asked) == (how != "never")
        assert not app.ran("ssh")

    def settle(self, app, how):
        os.makedirs(app.layout.config_dir, exist_ok=True)
        with open(app.layout.config_file, "w", encoding="utf-8") as file:
            file.write(f'[import]\nauto = "{how}"\n')
        app.__dict__.pop("settings", None)
        app.at_terminal = True


class TestSaving:
    """What a box sends is taken as it is: it says nothing of what the file is."""

    SENT = b"an archive, as tar makes one" * 5000

    def sending(self, app, tmp_path, code=0):
        (tmp_path / "sent").write_bytes(self.SENT)
        app.machine.beside = ["sh", "-c", f"cat {tmp_path}/sent; exit {code}"]

    @pytest.mark.parametrize("code", [0, 1])
    def test_the_data_of_a_box_elsewhere_is_in_one_file(self, app, place, tmp_path, code):
        self.sending(app, tmp_path, code)
        done = saving.export(app, FAR, str(tmp_path / "x.tar"))
        assert done.data_size == len(self.SENT)
        with open(done.file, "rb") as file:
            reader = Reader(file)
            said = b""
            while part := reader.read(1 << 16):
                said += part
            reader.check()
        assert said == self.SENT
        assert (reader.manifest.volume, reader.manifest.box["on"]) == ("far", "work")
        assert ("run", "far", (saving.ADOPT,)) in [each[:3] for each in place.asked]
        assert "exec /usr/bin/tar --create" in app.machine.ran[-1][-1]

    def test_one_that_was_cut_off_leaves_no_file(self, app, place, tmp_path):
        self.sending(app, tmp_path, 255)
        with pytest.raises(CopyError, match="not come whole: code 255"):
            saving.export(app, FAR, str(tmp_path / "x.tar"))
        assert {path.name for path in tmp_path.iterdir()}.isdisjoint({"x.tar"})
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".x.tar")]

    def test_nothing_is_put_back(self, app, place):
        with pytest.raises(NotThereError) as raised:
            saving.restore(app, "a file", FAR)
        assert "tar -xOf 'a file' data.tar.gz" in raised.value.hint
