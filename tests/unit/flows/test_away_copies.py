"""Forks, snapshots and moves of boxes on a remote place, from end to end."""

import os

import pytest

from containai.away import forking, record
from containai.away.place import Node
from containai.boxes.box import Status
from containai.boxes.target import Target
from containai.errors import (
    BoxNotFoundError,
    BoxStartError,
    ContainAIError,
    NameTakenError,
    NoSpaceError,
    NotThereError,
    RemoteError,
    SshConnectError,
    UsageError,
)
from containai.flows import (
    away,
    away_fork,
    away_image,
    away_move,
    away_snapshots,
    away_work,
    enter,
)
from containai.flows.placed import Forks
from containai.host import files
from containai.ssh import connect, hosts, session
from containai.transfer import exchange, state
from containai.transfer.push import Pushed
from harness.app import FakeApp
from harness.place import FakePlace


class There:
    """A box `api` on a place in memory; ssh's connections are noted, and not made."""

    def __init__(self, app, monkeypatch):
        self.app, self.place = app, FakePlace()
        self.did = []
        self.refused = set()
        app.place = lambda name: self.place
        monkeypatch.setattr(connect, "open_master", self._connect)
        monkeypatch.setattr(connect, "stands", lambda layout, box: True)
        monkeypatch.setattr(hosts, "close", lambda host, box: self.did.append(("close", box)))
        monkeypatch.setattr(away_image, "fingerprint", lambda *_: "f" * 64)
        monkeypatch.setattr(exchange, "push", self._push)
        app.flags = {"box.on": "work"}
        enter.made(app, Target(name="api"), ["true"], enter.Wanted())
        self.entry = record.every(app.layout)["api"]
        self.place.asked.clear()
        self.did.clear()

    def _connect(self, host, box, *_, **__):
        if box in self.refused:
            raise SshConnectError(f"{box} does not answer", hint="wait")
        self.did.append(("connect", box))

    def _push(self, host, layout, reach, workspace, **_):
        self.did.append(("push", reach.box))
        with state.held(layout, reach.box) as place:
            place.save(state.State(workspace, "files"))
        return Pushed("", 1)

    @property
    def asked(self):
        looks = ("find", "every", "snapshots", "nodes")
        return [each[:2] for each in self.place.asked if each[0] not in looks]

    def pinned(self):
        return hosts.pinned_key(files.read(self.app.layout.known_hosts) or "", "api")

    def names(self):
        return sorted(record.every(self.app.layout))

    def fork(self, *words):
        return away_fork.fork(self.app, self.entry, Forks(*words))


@pytest.fixture
def there(app, workspace, monkeypatch):
    return There(app, monkeypatch)


@pytest.fixture
def refusing(layout, workspace, monkeypatch):
    """The same, with a user who agrees to nothing more."""
    layout.uid = os.getuid()
    app = FakeApp(layout).set_up()
    made = There(app, monkeypatch)
    app.user.agrees = False
    return made


class TestFork:
    def test_it_runs_beside_the_box_and_has_its_work(self, there):
        outcome = there.fork()
        assert (outcome.names, outcome.failures) == (["api-2"], [])
        assert there.did == [("connect", "api-2")]
        assert there.place.boxes["api-2"].status is Status.RUNNING
        assert there.place.taken == {}
        assert there.app.user.asked == []
        layout, path = there.app.layout, there.entry.workspace
        with state.held(layout, "api-2") as work:
            assert work.load("", "").workspace == path
        inode = away.workspace_of(there.app, there.entry).inode
        assert session.block_matches(layout, "api-2", path, inode)

    def test_several_at_once_of_one_snapshot(self, there):
        outcome = there.fork(3)
        assert sorted(outcome.names) == ["api-2", "api-3", "api-4"]
        assert [each[0] for each in there.asked].count("take") == 1
        assert [each[0] for each in there.asked].count("copy") == 3
        assert len(there.place.boxes) == 4

    def test_one_that_fails_is_undone_without_the_others(self, there):
        there.refused.add("api-3")
        outcome = there.fork(3)
        assert sorted(outcome.names) == ["api-2", "api-4"]
        assert [str(each) for each in outcome.failures] == ["api-3 does not answer"]
        assert outcome.code == 13
        assert there.names() == ["api", "api-2", "api-4"]
        assert sorted(there.place.boxes) == ["api", "api-2", "api-4"]
        transfer = os.path.join(there.app.layout.state_dir, "transfer")
        assert not os.path.exists(os.path.join(transfer, "api-3"))

    def test_without_room_nothing_stays(self, there):
        there.place.fails["copy"] = NoSpaceError("work has no room", hint="ask")
        outcome = there.fork(2)
        assert (outcome.names, len(outcome.failures), outcome.code) == ([], 2, 20)
        assert there.names() == ["api"]
        assert there.place.taken == {}

    def test_whoever_interrupts_has_none(self, there, monkeypatch):
        monkeypatch.setattr(connect, "open_master", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            there.fork(2)
        assert there.names() == ["api"]
        assert sorted(there.place.boxes) == ["api"]

    def test_by_a_name_of_ones_own(self, there):
        assert there.fork(1, "try").names == ["try"]
        (failed,) = there.fork(1, "try").failures
        assert isinstance(failed, NameTakenError)
        assert there.names() == ["api", "try"]

    def test_of_a_snapshot_which_stays(self, there):
        away_snapshots.add(there.app, there.entry, "before")
        assert there.fork(1, "", "before").names == ["api-2"]
        assert list(there.place.taken) == [("api", "before")]
        with pytest.raises(BoxNotFoundError, match="no snapshot 'other'"):
            there.fork(1, "", "other")

    def test_what_a_killed_one_left_is_removed_first(self, there):
        there.place.boxes["api-2"] = there.place.boxes["api"]._replace(
            instance="api-2", name="api-2", is_whole=False, origin="api"
        )
        there.place.taken["api", forking.SNAPSHOT] = there.place.boxes["api"]
        assert there.fork().names == ["api-2"]
        assert any("interrupted fork" in text for text in there.app.user.said)

    def test_where_snapshots_are_not_allowed(self, there):
        there.place.fails["take"] = NotThereError("a snapshot is not allowed", hint="ask")
        with pytest.raises(NotThereError):
            there.fork()
        assert there.names() == ["api"]


class TestSnapshot:
    def test_names_are_counted(self, there):
        app, entry = there.app, there.entry
        assert away_snapshots.add(app, entry, None) == "snapshot-1"
        assert away_snapshots.add(app, entry, "before") == "before"
        assert away_snapshots.add(app, entry, None) == "snapshot-2"
        names = [each.name for each in away_snapshots.listed(app, entry)]
        assert names == ["snapshot-1", "before", "snapshot-2"]

    def test_names_that_cannot_be(self, there):
        away_snapshots.add(there.app, there.entry, "before")
        with pytest.raises(NameTakenError, match="has a snapshot 'before' already"):
            away_snapshots.add(there.app, there.entry, "before")
        with pytest.raises(UsageError):
            away_snapshots.add(there.app, there.entry, forking.SNAPSHOT)

    def test_of_one_that_was_not_taken_nothing_is_noted(self, there):
        there.place.fails["take"] = NotThereError("a snapshot is not allowed", hint="ask")
        with pytest.raises(NotThereError):
            away_snapshots.add(there.app, there.entry, "before")
        transfer = os.path.join(there.app.layout.state_dir, "transfer/api")
        assert os.listdir(os.path.join(transfer, "snapshots")) == []

    def test_one_is_removed(self, there):
        away_snapshots.add(there.app, there.entry, "before")
        away_snapshots.remove(there.app, there.entry, "before")
        assert there.place.taken == {}
        with pytest.raises(BoxNotFoundError, match="no snapshot 'before'"):
            away_snapshots.remove(there.app, there.entry, "before")

    def test_the_box_and_what_is_known_of_its_work_are_put_back(self, there, monkeypatch):
        app, entry = there.app, there.entry
        away_snapshots.add(app, entry, "before")
        with state.held(app.layout, "api") as work:
            known = work.load("", "")
            work.save(known._replace(base=state.Point("", "e" * 40)))
        monkeypatch.setattr(away_work, "unfetched", lambda app, entry: "commits: 2")
        assert away_snapshots.restore(app, entry, "before") is True
        (question,) = app.user.asked
        assert "commits: 2" in question
        assert "2026-11-29" in question
        assert there.did[-1] == ("close", "api")
        with state.held(app.layout, "api") as work:
            assert work.load("", "") == known

    def test_nobody_agrees(self, refusing, monkeypatch):
        there = refusing
        away_snapshots.add(there.app, there.entry, "before")
        monkeypatch.setattr(away_work, "unfetched", lambda app, entry: "")
        with pytest.raises(ContainAIError, match="nothing was changed"):
            away_snapshots.restore(there.app, there.entry, "before")
        assert "restore" not in [each[0] for each in there.asked]

    def test_one_that_is_off_stays_off_and_is_not_asked_for_its_work(self, there, monkeypatch):
        away_snapshots.add(there.app, there.entry, "before")
        there.place._set("api", status=Status.STOPPED)
        monkeypatch.setattr(away_work, "unfetched", lambda *_: 1 / 0)
        assert away_snapshots.restore(there.app, there.entry, "before") is False

    def test_one_that_was_cut_off_is_entered_by_nobody_and_ended_by_the_next(self, there):
        away_snapshots.add(there.app, there.entry, "before")
        there.place._set("api", status=Status.BROKEN, problem="half", restoring="before")
        with pytest.raises(BoxStartError) as raised:
            away.started(there.app, there.entry)
        assert raised.value.hint == "end that: cai snapshot restore api before"
        with pytest.raises(BoxStartError):
            away_snapshots.add(there.app, there.entry, "other")
        away_snapshots.restore(there.app, there.entry, "before")
        assert there.place.boxes["api"].restoring == ""


class TestMove:
    @pytest.fixture
    def cluster(self, there):
        there.place.cluster = [Node("n1"), Node("n2"), Node("n3", "it is Offline there")]
        there.place._set("api", node="n1")
        return there

    def test_it_is_shut_down_moved_and_started(self, cluster):
        key = cluster.pinned()
        seen = away_move.move(cluster.app, cluster.entry, "n2")
        assert (seen.node, seen.status) == ("n2", Status.RUNNING)
        assert [each[0] for each in cluster.asked] == ["stop", "move", "start"]
        assert cluster.did == [("close", "api"), ("connect", "api")]
        assert len(cluster.app.user.asked) == 1
        assert cluster.pinned() == key

    def test_one_that_is_off_is_moved_without_a_question(self, cluster):
        cluster.place._set("api", status=Status.STOPPED)
        seen = away_move.move(cluster.app, cluster.entry, "n2")
        assert (seen.node, seen.status) == ("n2", Status.STOPPED)
        assert cluster.app.user.asked == []

    def test_nobody_agrees(self, refusing):
        refusing.place.cluster = [Node("n1"), Node("n2")]
        refusing.place._set("api", node="n1")
        with pytest.raises(ContainAIError, match="nothing was changed"):
            away_move.move(refusing.app, refusing.entry, "n2")
        assert refusing.asked == []

    @pytest.mark.parametrize(
        ("node", "said", "hint"),
        [
            ("n1", "is on n1 already", "its other nodes: n2, n3"),
            ("n3", "no box can go to n3: it is Offline there", "wait"),
            ("n9", "work has no node 'n9'", "its other nodes: n2, n3"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, cluster, node, said, hint):
        with pytest.raises(NotThereError, match=said) as raised:
            away_move.move(cluster.app, cluster.entry, node)
        assert hint in raised.value.hint
        assert (cluster.asked, cluster.app.user.asked) == ([], [])

    def test_one_server_is_no_cluster(self, there):
        with pytest.raises(NotThereError, match="work is one server, not a cluster"):
            away_move.move(there.app, there.entry, "n2")

    def test_a_node_that_is_away_lets_nothing_go(self, cluster):
        cluster.place._set("api", status=Status.BROKEN, problem="its node n1 is away")
        with pytest.raises(BoxStartError, match="its node n1 is away"):
            away_move.move(cluster.app, cluster.entry, "n2")

    def test_one_that_fails_runs_again_where_it_was(self, cluster):
        cluster.place.fails["move"] = NoSpaceError("work has no room", hint="ask")
        with pytest.raises(NoSpaceError):
            away_move.move(cluster.app, cluster.entry, "n2")
        seen = cluster.place.boxes["api"]
        assert (seen.node, seen.status) == ("n1", Status.RUNNING)

    def test_one_that_did_not_go_is_not_said_to_have(self, cluster, monkeypatch):
        monkeypatch.setattr(cluster.place, "move", lambda *_: None)
        with pytest.raises(RemoteError, match="did not move the box 'api' to n2"):
            away_move.move(cluster.app, cluster.entry, "n2")
        assert cluster.place.boxes["api"].status is Status.RUNNING
