import os

import pytest

from containai.away import forking, record
from containai.away.place import Seen
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.errors import BoxNotFoundError, BoxStartError, NameTakenError, NoSpaceError
from containai.host import files
from containai.ssh import session
from harness.place import OTHER, OWN

from .doing import Doing


def quiet(text, share):
    pass


class Forking(Doing):
    """The same, with a box `api` that runs."""

    def __init__(self, *words):
        super().__init__(*words)
        self.up()
        self.place.asked.clear()

    def fork(self, name="api-2", hand_on=lambda: None):
        boxes = self.boxes()
        with forking.of_now(boxes, self.entry(), quiet) as snapshot:
            return forking.make(boxes, self.entry(), name, snapshot, self.workspace, quiet, hand_on)

    def tidy(self):
        forking.tidy(self.boxes(), self.entry(), self.said.append)


@pytest.fixture
def doing(app, workspace, monkeypatch):
    return Forking(app, workspace, monkeypatch)


def test_a_fork_has_keys_and_an_identity_of_its_own_before_it_is_whole(doing):
    made = doing.fork()
    assert doing.did == ["take", "copy", "put", "finish", "drop"]
    assert made == Entry("api-2", "work", "api-2", doing.workspace.path) == doing.entry("api-2")
    given = doing.place.files["api-2"]
    # Root alone could read one that was made without its mode: networkd has no address then.
    assert given["etc/machine-id"] == ("", 0o444)
    assert {"etc/ssh/ssh_host_ed25519_key", "etc/containai/authorized_keys/agent"} <= set(given)
    assert given["etc/ssh/ssh_host_ed25519_key.pub"][0] == doing.pinned("api-2") + "\n"
    twin = next(each[1] for each in doing.place.asked if each[0] == "copy")
    assert (twin.name, twin.host_key, twin.origin) == ("api-2", doing.pinned("api-2"), "api")
    assert session.place_of(doing.layout, "api-2") == "work"
    block = files.read(doing.layout.ssh_block("api-2")) or ""
    assert "ProxyCommand /py /stream.py work api-2\n" in block
    assert doing.place.boxes["api"].status is Status.RUNNING


def test_a_new_box_has_no_machine_id_of_ours(doing):
    assert "etc/machine-id" not in doing.place.files["api"]


def test_names_that_are_free(doing):
    boxes = doing.boxes()
    record.put(doing.layout, Entry("api-3", "home", "api-3", "/srv"))
    doing.place.boxes["api-4"] = doing.place.boxes["api"]._replace(instance="api-4", name="api-4")
    with open(doing.layout.ssh_block("api-5"), "w", encoding="utf-8") as file:
        file.write("# of this machine\n")
    # Noted, and neither a block nor a box: of one that was killed.
    record.put(doing.layout, Entry("api-6", "work", "api-6", doing.workspace.path))
    assert forking.names(boxes, doing.entry(), 3) == ["api-2", "api-6", "api-7"]


def test_the_name_of_somebody_elses_leaves_the_second_one(doing):
    doing.place.boxes["api-2"] = doing.place.boxes["api"]._replace(instance="api-2", owner=OTHER)
    assert forking.names(doing.boxes(), doing.entry(), 1) == ["api-2"]
    assert doing.fork().instance == f"api-2-{OWN[:8]}"


@pytest.mark.parametrize("name", ["a" * 63, f"{'a' * 60}-b1"])
def test_a_long_name_stays_one(doing, name):
    (made,) = forking.names(doing.boxes(), doing.entry()._replace(name=name), 1)
    assert len(made) <= 63
    assert made.endswith("a-2")


def test_a_name_that_is_taken_is_refused_and_nothing_of_it_touched(doing):
    doing.fork()
    doing.place.asked.clear()
    with pytest.raises(NameTakenError, match="there is a box 'api-2'"):
        doing.fork()
    assert doing.did == ["take", "drop"]
    assert doing.entry("api-2") is not None


@pytest.mark.parametrize("step", ["copy", "put", "hand on", "finish"])
def test_what_fails_in_the_middle_is_undone(doing, step):
    def hand_on():
        if step == "hand on":
            raise NoSpaceError("there is no room", hint="make some")

    doing.place.fails[step] = NoSpaceError("work has no room", hint="ask")
    with pytest.raises(NoSpaceError):
        doing.fork(hand_on=hand_on)
    doing.place.fails.clear()
    if step != "copy":
        assert set(doing.place.boxes) == {"api"}
    doing.tidy()
    assert set(doing.place.boxes) == {"api"}
    assert (doing.entry("api-2"), doing.pinned("api-2")) == (None, None)
    assert not os.path.exists(doing.layout.ssh_block("api-2"))
    assert doing.place.taken == {}


@pytest.mark.parametrize("step", ["take", "copy", "put", "finish"])
def test_what_is_killed_in_the_middle_the_next_fork_removes(doing, step):
    def die(*_):
        # No undo has a chance: it is as after SIGKILL.
        doing.place.fails |= {"remove": KeyboardInterrupt(), "drop": KeyboardInterrupt()}
        raise KeyboardInterrupt

    ask = doing.place._ask
    doing.place._ask = lambda *words: die() if words[0] == step else ask(*words)
    with pytest.raises(KeyboardInterrupt):
        doing.fork()
    doing.place._ask = ask
    doing.place.fails.clear()
    doing.place.boxes["api-9"] = doing.place.boxes["api"]._replace(
        instance="api-9", owner=OTHER, is_whole=False, origin="api"
    )
    doing.tidy()
    assert set(doing.place.boxes) == {"api", "api-9"}
    assert (doing.place.taken, doing.entry("api-2")) == ({}, None)
    del doing.place.boxes["api-9"]
    assert forking.names(doing.boxes(), doing.entry(), 1) == ["api-2"]
    doing.fork()
    assert doing.place.boxes["api-2"].is_whole


def test_a_fork_that_is_whole_is_not_tidied_away_nor_what_another_makes(doing):
    doing.fork()
    # A cai run, or a fork of another box, that goes on just now.
    for name, origin in (("web", ""), ("web-2", "web")):
        doing.place.boxes[name] = doing.place.boxes["api"]._replace(
            instance=name, name=name, is_whole=False, origin=origin
        )
    doing.tidy()
    assert set(doing.place.boxes) == {"api", "api-2", "web", "web-2"}


@pytest.mark.parametrize(
    ("changes", "said", "hint"),
    [
        ({"status": Status.BROKEN, "problem": "its node n2 is away"}, "n2 is away", "comes back"),
        (
            {"status": Status.BROKEN, "problem": "half put back", "restoring": "before"},
            "half put back",
            "cai snapshot restore api before",
        ),
        ({"is_whole": False, "status": Status.UNFINISHED}, "half made", "cai run --name api"),
    ],
)
def test_what_no_snapshot_can_be_of(doing, changes, said, hint):
    doing.place._set("api", **changes)
    with pytest.raises(BoxStartError, match=said) as raised:
        forking.ready(doing.boxes(), doing.entry())
    assert hint in raised.value.hint


def test_a_snapshot_that_there_is_not(doing):
    with pytest.raises(BoxNotFoundError, match="no snapshot 'before'") as raised:
        forking.existing(doing.boxes(), doing.entry(), "before")
    assert raised.value.hint == "see: cai snapshot ls api"


def test_no_two_names_have_one_lock(doing):
    held = 0
    with doing.boxes().held("api"):
        for number in range(300):
            with doing.boxes().held(f"api-{number}"):
                held += 1
    assert held == 300


def test_of_a_node_that_is_away_there_is_no_snapshot(doing):
    doing.place.boxes["api"] = Seen("api", Status.BROKEN, node="n2", problem="its node n2 is away")
    with pytest.raises(BoxStartError, match="its node n2 is away"):
        forking.ready(doing.boxes(), doing.entry())
