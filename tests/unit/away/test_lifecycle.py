import os

import pytest

from containai.away import record
from containai.away.place import Ended, Seen
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.boxes.variables import Variables
from containai.boxes.workspace import Workspace
from containai.errors import (
    BoxNotFoundError,
    BoxStartError,
    NameTakenError,
    NoSpaceError,
    RemoteError,
)
from containai.host import files
from containai.ssh import connect, session
from containai.ssh.connect import KeyRefusedError
from harness.app import PUBLIC_KEY
from harness.place import OTHER, OWN


def test_a_new_box_gets_all_before_it_runs(doing):
    assert doing.up() is True
    assert doing.did == ["create", "put", "finish", "start"]
    order = next(each[1] for each in doing.place.asked if each[0] == "create")
    assert (order.instance, order.name, order.image) == ("api", "api", "f" * 64)
    assert order.workspace == doing.workspace.path
    assert order.limits == {"limits.cpu": "2"}
    given = doing.place.files["api"]
    assert {
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "etc/containai/authorized_keys/agent",
        "etc/containai/kept",
    } <= set(given)
    assert doing.entry() == Entry("api", "work", "api", doing.workspace.path)
    assert doing.pinned() == order.host_key
    assert given["etc/ssh/ssh_host_ed25519_key.pub"][0] == order.host_key + "\n"
    assert doing.connected == ["api"]


def test_its_host_block_leads_there(doing):
    doing.up()
    assert session.place_of(doing.layout, "api") == "work"
    block = files.read(doing.layout.ssh_block("api")) or ""
    assert "    ProxyCommand /py /stream.py work api\n" in block
    assert session.workspace_of(doing.layout, "api") == doing.workspace.path


def test_no_warm_way_leads_there_until_it_has_the_work(doing, monkeypatch):
    monkeypatch.setattr(session, "is_live", lambda layout, box: True)
    path, inode = doing.workspace.path, doing.workspace.inode
    for _ in range(2):
        doing.up()
        assert not session.is_warm(doing.layout, "api", path, inode)
    doing.boxes().settle("api", doing.workspace)
    assert session.is_warm(doing.layout, "api", path, inode)
    doing.up()
    assert session.is_warm(doing.layout, "api", path, inode)
    doing.up(fresh=True)
    assert not session.is_warm(doing.layout, "api", path, inode)


def test_one_that_runs_is_left_as_it_is(doing):
    doing.up()
    doing.place.asked.clear()
    assert doing.up(make=None) is False
    assert (doing.did, doing.connected) == ([], ["api"])


def test_one_that_was_stopped_is_started(doing):
    doing.up()
    doing.boxes().stop(doing.entry())
    assert doing.up(make=None) is False
    assert doing.did[-2:] == ["stop", "start"]
    assert doing.connected == ["api", "api"]


def test_a_connection_that_is_gone_is_made_anew(doing):
    doing.up()
    doing.stands = False
    doing.up()
    assert doing.connected == ["api", "api"]


def test_the_key_that_was_pinned_here_counts(doing):
    doing.up()
    key = doing.pinned()
    doing.place._set("api", host_key="ssh-ed25519 ANOTHER")
    doing.up()
    assert doing.pinned() == key


def test_the_places_key_counts_where_none_is_pinned(doing):
    doing.up()
    key = doing.pinned()
    os.unlink(doing.layout.known_hosts)
    doing.up()
    assert doing.pinned() == key


@pytest.mark.parametrize("step", ["create", "put", "finish", "start"])
def test_what_fails_in_the_middle_leaves_nothing_or_what_a_second_try_ends(doing, step):
    doing.place.fails[step] = NoSpaceError("work has no room", hint="ask")
    with pytest.raises(NoSpaceError):
        doing.up()
    if step in ("put", "finish"):
        assert (doing.place.boxes, doing.entry(), doing.pinned()) == ({}, None, None)
    del doing.place.fails[step]
    assert doing.up() is (step != "start")
    assert doing.place.boxes["api"].status is Status.RUNNING
    assert doing.entry() is not None


@pytest.mark.parametrize("step", ["create", "put", "finish", "start"])
def test_what_is_killed_in_the_middle_a_second_try_ends(doing, step):
    def die(*_):
        # No undo has a chance: it is as after SIGKILL.
        doing.place.fails["remove"] = KeyboardInterrupt()
        raise KeyboardInterrupt

    ask = doing.place._ask
    doing.place._ask = lambda *words: die() if words[0] == step else ask(*words)
    with pytest.raises(KeyboardInterrupt):
        doing.up()
    doing.place._ask = ask
    doing.place.fails.clear()
    assert "api" in doing.place.boxes
    doing.up()
    seen = doing.place.boxes["api"]
    assert (seen.status, seen.is_whole) == (Status.RUNNING, True)
    assert doing.pinned() == seen.host_key
    if step != "start":
        assert any("interrupted" in text for text in doing.said)


def test_one_of_somebody_elses_leaves_the_second_name(doing):
    doing.up("other")
    doing.place.boxes["api"] = doing.place.boxes["other"]._replace(
        instance="api", name="api", owner=OTHER
    )
    doing.up()
    instance = f"api-{OWN[:8]}"
    assert doing.entry() == Entry("api", "work", instance, doing.workspace.path)
    assert doing.place.boxes["api"].owner == OTHER
    assert "remove" not in doing.did
    # And again, it is that.
    assert doing.up(make=None) is False


def test_one_of_somebody_elses_that_is_not_whole_is_not_touched(doing):
    doing.up("other")
    doing.place.boxes["api"] = doing.place.boxes["other"]._replace(
        instance="api", name="api", owner=OTHER, is_whole=False
    )
    doing.up()
    assert "remove" not in doing.did


def test_a_name_of_another_workspace_is_refused(doing, tmp_path):
    doing.up()
    doing.workspace = Workspace(str(tmp_path))
    with pytest.raises(NameTakenError, match="of another workspace"):
        doing.up()


def test_a_name_that_is_on_another_place_is_refused(doing):
    record.put(doing.layout, Entry("api", "home", "api", doing.workspace.path))
    with pytest.raises(NameTakenError, match="on home"):
        doing.up()


def test_one_that_is_gone_is_no_box_to_enter_and_made_anew_to_run(doing):
    doing.up()
    doing.place.boxes.clear()
    with pytest.raises(BoxNotFoundError, match="gone from work"):
        doing.up(make=None)
    assert doing.up() is True


def test_a_fresh_one(doing):
    doing.up()
    before = doing.pinned()
    doing.place.asked.clear()
    os.unlink(doing.layout.known_hosts)
    assert doing.up(fresh=True) is True
    assert doing.did == ["remove", "create", "put", "finish", "start"]
    assert before is not None


def test_limits_that_are_asked_for_are_given_where_they_are_others(doing):
    doing.up()
    doing.up(asked={"limits.cpu": "2"})
    assert "limit" not in doing.did
    doing.up(asked={"limits.cpu": "4"})
    assert doing.place.asked[-1] == ("limit", "api", {"limits.cpu": "4"})


def test_a_node_that_is_away(doing):
    doing.up()
    doing.place._set("api", status=Status.BROKEN, problem="its node n2 is away")
    with pytest.raises(BoxStartError, match="its node n2 is away"):
        doing.up()


def test_of_a_node_that_is_away_only_the_name_is_known_and_nothing_is_touched(doing):
    doing.up()
    key = doing.pinned()
    away = Seen("api", Status.BROKEN, node="n2", problem="its node n2 is away")
    doing.place.boxes["api"] = away
    doing.place.asked.clear()
    for words in ({}, {"fresh": True}):
        with pytest.raises(BoxStartError, match="its node n2 is away"):
            doing.up(**words)
    boxes, entry = doing.boxes(), doing.entry()
    for refused in (boxes.stop, boxes.remove, boxes.reachable):
        with pytest.raises(BoxStartError, match="its node n2 is away"):
            refused(entry)
    assert boxes.existing(entry) == away
    assert (doing.did, doing.pinned()) == ([], key)


def test_one_that_dies_as_it_boots_is_said_with_its_console(doing, monkeypatch):
    doing.up()
    monkeypatch.setattr("containai.away.lifecycle._LOOK", 0.0)
    doing.watch()
    doing.place._set("api", status=Status.STOPPED)
    with pytest.raises(BoxStartError, match="something is wrong"):
        doing.watch()


def test_variables_are_told_where_they_changed(doing):
    doing.up(boxes=doing.boxes(variables=Variables({"A": "1"})))
    assert doing.place.files["api"]["etc/containai/variables"] == ("A=1\0", 0o600)
    doing.up(boxes=doing.boxes(variables=Variables({"A": "1"})))
    assert "run" not in doing.did
    doing.up(boxes=doing.boxes(variables=Variables({"A": "2"})))
    assert doing.place.asked[-1][0::3] == ("run", b"A=2\0")
    doing.boxes().stop(doing.entry())
    doing.up(boxes=doing.boxes(variables=Variables({"A": "3"})))
    assert doing.place.files["api"]["etc/containai/variables"] == ("A=3\0", 0o600)


def test_removed_nothing_is_left(doing):
    doing.up()
    doing.boxes().remove(doing.entry())
    assert (doing.place.boxes, doing.entry(), doing.pinned()) == ({}, None, None)
    assert not os.path.exists(doing.layout.ssh_block("api"))
    assert os.listdir(f"{doing.layout.state_dir}/away") == []


def test_one_that_is_gone_is_forgotten(doing):
    doing.up()
    doing.place.boxes.clear()
    doing.boxes().remove(doing.entry())
    assert doing.entry() is None
    assert "remove" not in doing.did


def test_one_of_a_place_that_is_away_stays_known(doing):
    doing.up()
    doing.place.fails["find"] = RemoteError("work does not answer", hint="wait")
    with pytest.raises(RemoteError):
        doing.boxes().remove(doing.entry())
    assert doing.entry() is not None


class TestKey:
    """This user's key was made anew: boxes of this machine are told, and so are others."""

    @pytest.fixture
    def refusing(self, doing, monkeypatch):
        doing.up()
        doing.stands = False

        def connect_to(*_, **__):
            if not any(each[0] == "run" for each in doing.place.asked):
                raise KeyRefusedError("permission denied (publickey)")

        monkeypatch.setattr(connect, "open_master", connect_to)
        return doing

    def test_a_box_that_does_not_know_it_is_given_it(self, refusing):
        assert refusing.up() is False
        (asked,) = [each for each in refusing.place.asked if each[0] == "run"]
        assert "/etc/containai/authorized_keys/agent" in asked[2][-1]
        assert asked[3] == f"{PUBLIC_KEY} containai\n".encode()

    def test_one_that_does_not_take_it_refuses(self, refusing):
        refusing.place.ends = Ended(1, b"", b"")
        with pytest.raises(KeyRefusedError):
            refusing.up()
