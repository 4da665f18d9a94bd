"""Spare boxes: which are claimed, by what, and what is left where that fails."""

import json
import os
import socket
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from containai.boxes import claiming, spares, volumes
from containai.boxes.design import Order
from containai.boxes.limits import Limits
from containai.boxes.places import Places
from containai.boxes.spec import data_labels
from containai.boxes.workspace import Workspace, box_name
from containai.config.amounts import AUTO, Amount
from containai.engine.container import Container, Mount, Port, State
from containai.errors import EngineError
from containai.host.machine import Capacity
from containai.layout import LABEL_KIND, LABEL_MANAGED, LABEL_OWNER, LABEL_SPARE
from containai.light import sha256
from containai.ssh import hosts
from harness.app import PUBLIC_KEY

GIB = 1 << 30


@pytest.fixture
def order(app, workspace):
    """An order for a box of the workspace, complete."""
    path = str(workspace)
    name = box_name(path, app.layout.uid)
    app.docker.by_reference["i:t"] = app.docker.by_reference.get("i:t") or image()
    return app.boxes.completed(Order(name, Workspace(path), "i:t"))


def image(identity="sha256:1"):
    from containai.engine.container import Image

    return Image(identity)


class Waiting:
    """What waits for a claim beside a spare, in place of the runtime: it answers what it is told.

    With a record it is as if it had done it, and written that.
    """

    def __init__(self, layout, container, answer=b".", records=True):
        os.makedirs(layout.attached, exist_ok=True)
        self.asked = []
        self._path = os.path.join(layout.attached, container)
        self._answer, self._records = answer, records
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = os.open(layout.attached, os.O_PATH)
        self._socket.bind(f"/proc/self/fd/{here}/{container}{spares.SOCKET}")
        os.close(here)
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            with connection:
                raw = connection.recv(1 << 16)
                if raw in (b"", spares.END):
                    continue
                said = json.loads(raw)
                self.asked.append(said)
                if self._records:
                    with open(self._path, "w") as file:
                        json.dump({"added": [], **said}, file)
                    os.chmod(self._path, 0o644)
                connection.sendall(self._answer)


def spare(app, order, name="spare.1", *, digest=None, state=State.RUNNING, owner=None):
    """Have a spare as good as a box of the order, where no other digest is said."""
    _, own = spares.ordered(app.boxes, order.image)
    owner = app.layout.uid if owner is None else owner
    made = Container(
        id=f"id-{name}",
        name=name,
        image="i:t",
        state=state,
        running=state is State.RUNNING,
        labels=(
            (LABEL_MANAGED, "true"),
            (LABEL_OWNER, str(owner)),
            (LABEL_SPARE, digest or own or ""),
        ),
        mounts=(
            Mount("volume", "", "/var/lib/docker"),
            Mount("volume", f"data-{name}", "/mnt/agent-data"),
        ),
        ports=(Port("22/tcp", "127.0.0.1", 2305),),
    )
    app.docker.named_volumes.add(f"data-{name}")
    hosts.publish(app.layout, name, "Port 2305\n", PUBLIC_KEY)
    return app.docker.add(made)


def test_which_are_there(app, order):
    mine = spare(app, order)
    spare(app, order, "spare.2", owner=app.layout.uid + 1)
    spare(app, order, "api-1")
    assert [each.id for each in spares.unclaimed(app.engine)] == [mine.id]


@pytest.mark.parametrize(
    ("said", "memory", "free", "count"),
    [
        (Amount(3), 1, 1, 3),
        (Amount(0), 64 * GIB, 64 * GIB, 0),
        (AUTO, 4 * GIB, 3 * GIB, 1),
        (AUTO, 3 * GIB, 3 * GIB, 0),
        (AUTO, 64 * GIB, GIB, 0),
    ],
)
def test_how_many_there_are_to_be(app, monkeypatch, said, memory, free, count):
    monkeypatch.setattr(app.host, "capacity", lambda: Capacity(memory, 0, 2, 1000))
    monkeypatch.setattr(app.host, "free_memory", lambda: free)
    assert spares.wanted(app.host, said) == count


@pytest.mark.parametrize(
    "change",
    [
        lambda app, order: order._replace(limits=Limits(disk=4 * GIB)),
        lambda app, order: app.docker.by_reference.update({"i:t": image("sha256:2")}) or order,
        lambda app, order: order._replace(image="other") if add_other(app) else order,
    ],
)
def test_what_tells_one_from_a_box_that_would_be_made_now(app, order, change):
    def digest(of):
        return spares.digest(app.boxes, of, {"etc/x": ("a", 0o644)})

    before = digest(order)
    assert before == digest(order._replace(name="other", workspace=Workspace("/elsewhere")))
    assert digest(change(app, order)) != before
    assert spares.digest(app.boxes, order, {"etc/x": ("b", 0o644)}) != before
    assert spares.digest(app.boxes, order._replace(image="none"), {}) is None


def add_other(app):
    app.docker.by_reference["other"] = image("sha256:3")
    return True


def test_a_claim(app, order):
    one = spare(app, order)
    waiting = Waiting(app.layout, one.id)
    assert claiming.claimed(app.boxes, order, app.ui.say)
    path = order.workspace.path
    assert waiting.asked[0]["hostname"] == order.name
    assert [path, "/home/agent/workspace", False] in waiting.asked[0]["claimed"]
    assert ("rename", one.id, order.name) in app.docker.requests
    # Its data volume is the workspace's from now on.
    assert volumes.own(app.engine, path) == "data-spare.1"
    assert os.path.exists(app.layout.ssh_block(order.name))
    assert not os.path.exists(app.layout.ssh_block("spare.1"))
    assert app.user.said[-1].startswith(f"took a spare box for {order.name}")


def test_where_sessions_start_is_claimed_with_it(app, order):
    waiting = Waiting(app.layout, spare(app, order).id)
    path = order.workspace.path
    assert claiming.claimed(app.boxes, order._replace(places=Places(start=path)), app.ui.say)
    assert waiting.asked[0]["start"] == path


def test_a_spare_that_refuses_goes_and_the_next_one_is_tried(app, order):
    both = spare(app, order), spare(app, order, "spare.2")
    # Who comes at once with others begins with another.
    one, two = sorted(both, key=lambda each: sha256((each.id + order.name).encode()))
    Waiting(app.layout, one.id, b".it broke", records=False)
    Waiting(app.layout, two.id)
    assert claiming.claimed(app.boxes, order, app.ui.say)
    assert app.docker.container(one.id) is None
    assert f"data-{one.name}" not in app.docker.named_volumes
    assert ("rename", two.id, order.name) in app.docker.requests


@pytest.mark.parametrize("records", [True, False])
def test_what_waits_is_killed_before_it_answers(app, order, records):
    """It is the box where that was recorded; else something of the workspace may be in it."""
    one = spare(app, order)
    Waiting(app.layout, one.id, b"", records=records)
    assert claiming.claimed(app.boxes, order, app.ui.say) is records
    assert (app.docker.container(one.id) is not None) is records
    assert (("rename", one.id, order.name) in app.docker.requests) is records


def test_one_that_does_not_wait_is_left_alone(app, order):
    spare(app, order)
    assert not claiming.claimed(app.boxes, order, app.ui.say)
    assert app.docker.container("spare.1") is not None


def test_a_name_that_is_taken_meanwhile(app, order):
    one = spare(app, order)
    Waiting(app.layout, one.id)
    app.docker.fail("rename", EngineError("is already in use by container"))
    with pytest.raises(EngineError, match="already in use"):
        claiming.claimed(app.boxes, order, app.ui.say)
    assert app.docker.container(one.id) is None


@pytest.mark.parametrize("state", [State.EXITED, State.CREATED, State.PAUSED])
def test_one_that_does_not_run_is_none(app, order, state):
    Waiting(app.layout, spare(app, order, state=state).id)
    assert not claiming.claimed(app.boxes, order, app.ui.say)


def test_what_a_box_that_runs_cannot_be_given(app, order):
    waiting = Waiting(app.layout, spare(app, order).id)
    order = order._replace(workspace=order.workspace._replace(skip_mounts=True))
    assert not claiming.claimed(app.boxes, order, app.ui.say)
    assert not waiting.asked


def test_one_that_became_a_box_gets_its_name(app, order):
    one = spare(app, order)
    os.makedirs(app.layout.attached)
    path = os.path.join(app.layout.attached, one.id)
    claimed = [[order.workspace.path, "/home/agent/workspace", False]]
    with open(path, "w") as file:
        json.dump({"added": [], "claimed": claimed, "hostname": order.name}, file)
    mounts = (*one.mounts, Mount("bind", order.workspace.path, "/home/agent/workspace"))
    app.docker.add(one._replace(mounts=mounts))
    assert spares.mend(app.engine)
    assert ("rename", one.id, order.name) in app.docker.requests
    assert volumes.own(app.engine, order.workspace.path) == "data-spare.1"


def test_nothing_to_mend(app, order):
    spare(app, order)
    assert not spares.mend(app.engine)


def test_nothing_but_a_spare(app, workspace):
    app.boxes.only_spares = True
    with pytest.raises(claiming.NoSpareError):
        app.boxes.bring_up(Workspace(str(workspace)), "i:t", app.ui.say, "api")
    assert not [each for each in app.docker.requests if each[0] == "create"]


def test_one_that_was_claimed_meanwhile_is_not_removed(app, order):
    one = spare(app, order)
    Waiting(app.layout, one.id)
    claiming._ask(app.layout, one, order)
    with open(os.path.join(app.layout.attached, one.id), "w") as file:
        json.dump({"claimed": [["/w", "/home/agent/workspace", False]], "hostname": "a"}, file)
    spares.remove(app.boxes, one)
    assert app.docker.container(one.id) is not None


def test_whose_data_volumes_are_listed(app, order):
    """Not a spare's; one whose note was lost is there to be found."""
    spare(app, order)
    labels = data_labels(app.layout.uid, "")
    for name in ("data-spare.1", "data-lost", "data-taken"):
        app.docker.volume_labels[name] = labels
        app.docker.named_volumes.add(name)
    volumes.adopt(app.layout, "data-taken", "/w")
    listed = {each.name: each.workspace for each in volumes.every(app.engine)}
    assert listed == {"data-lost": "", "data-taken": "/w"}


def test_one_that_is_being_made_may_have_a_volume_and_no_container():
    now = datetime.now(UTC)
    assert volumes._is_new(now.isoformat(timespec="seconds"))
    assert volumes._is_new(now.astimezone(timezone(timedelta(hours=9))).isoformat())
    assert not volumes._is_new((now - timedelta(minutes=2)).isoformat())
    assert not any(map(volumes._is_new, ("", "yesterday", "2026-11-28T20:35:01")))


def test_no_data_is_swept_away(app, order, monkeypatch):
    """Only what a spare that was killed in the making leaves, in which nothing is."""
    nobodys, owner = data_labels(app.layout.uid, ""), app.layout.uid
    sizes = {"data-lost": 1, "data-taken": 0, "data-empty": 0, "chosen": 0, "data-theirs": 0}
    for name in sizes:
        app.docker.volume_labels[name] = nobodys
        app.docker.named_volumes.add(name)
    app.docker.volume_labels["data-theirs"] = data_labels(owner + 1, "")
    volumes.adopt(app.layout, "data-taken", "/w")
    dangling = (f"label={LABEL_KIND}=data", f"label={LABEL_OWNER}={owner}", "dangling=true")
    app.docker.by_filters[dangling] = [each for each in sizes if each != "data-theirs"]
    monkeypatch.setattr(app.docker, "volume_sizes", lambda: sizes)
    spares.sweep(app.boxes)
    assert sizes.keys() - app.docker.named_volumes == {"data-empty"}
