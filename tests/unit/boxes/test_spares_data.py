"""A spare box that gets a data volume: which one is claimed, held, released, and listed."""

import json
import os

import pytest

from containai.boxes import claiming, design, holding, spares, volumes
from containai.boxes.spec import data_labels
from containai.engine import attached, runtimes
from containai.errors import EngineError, NameTakenError
from containai.host import files
from containai.layout import DATA_IN_BOX

from .test_spares import Waiting, order, spare  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def chosen(app, order):  # noqa: F811
    """An order for a box with a data volume that is there."""
    app.docker.make_volume("chosen", data_labels(app.layout.uid, "/elsewhere"))
    return order._replace(data="chosen")


def at(app, volume):
    return f"{app.layout.engine_data}/volumes/{volume}/_data"


def held(app):
    return dict(holding.holders(app.engine))


def test_it_is_mounted_and_held(app, chosen):
    one = spare(app, chosen)
    waiting = Waiting(app.layout, one.id)
    assert claiming.claimed(app.boxes, chosen, app.ui.say)
    assert [at(app, "chosen"), DATA_IN_BOX, False] in waiting.asked[0]["claimed"]
    assert held(app) == {one.id: "chosen"}
    box = app.docker.container(one.id)
    assert box.mount(DATA_IN_BOX).source == "chosen"
    assert attached.replaced(box) == "data-spare.1"
    # The spare's own is nobody's.
    assert volumes.adopted(app.layout) == {}
    takes = [argv for argv in app.host.ran if argv[-1] == "/usr/local/lib/containai/volume"]
    assert len(takes) == 1


def test_a_new_one_is_made_for_it(app, order):  # noqa: F811
    Waiting(app.layout, spare(app, order).id)
    assert claiming.claimed(app.boxes, order._replace(data="new"), app.ui.say)
    assert volumes.get(app.engine, "new").workspace == order.workspace.path


@pytest.mark.parametrize("answer", [b".it broke", b""])
def test_where_the_claim_fails_nothing_is_held_or_made(app, order, answer):  # noqa: F811
    Waiting(app.layout, spare(app, order).id, answer, records=False)
    assert not claiming.claimed(app.boxes, order._replace(data="new"), app.ui.say)
    assert held(app) == {}
    assert volumes.get(app.engine, "new") is None


def test_one_that_was_there_stays_where_the_claim_fails(app, chosen):
    Waiting(app.layout, spare(app, chosen).id, b".it broke", records=False)
    assert not claiming.claimed(app.boxes, chosen, app.ui.say)
    assert volumes.get(app.engine, "chosen") is not None


def test_somebody_elses_costs_no_spare(app, chosen):
    app.docker.volume_labels["chosen"] = data_labels(app.layout.uid + 1, "")
    waiting = Waiting(app.layout, spare(app, chosen).id)
    assert not claiming.claimed(app.boxes, chosen, app.ui.say)
    assert not waiting.asked
    with pytest.raises(NameTakenError):
        volumes.get(app.engine, "chosen")


def test_with_sysbox_a_box_is_made(app, chosen, monkeypatch):
    monkeypatch.setattr(runtimes, "chosen", lambda _: "sysbox-runc")
    waiting = Waiting(app.layout, spare(app, chosen).id)
    assert not claiming.claimed(app.boxes, chosen, app.ui.say)
    assert not waiting.asked


def test_what_goes_with_such_a_box(app, chosen):
    one = spare(app, chosen)
    Waiting(app.layout, one.id)
    assert claiming.claimed(app.boxes, chosen, app.ui.say)
    assert design.removing(app.docker.container(one.id))[1:] == [
        ("rm", design.holder(one.id)),
        ("volume", "rm", "data-spare.1"),
    ]
    app.boxes.discard(one.id)
    assert held(app) == {}
    assert {"chosen", "data-spare.1"} & app.docker.named_volumes == {"chosen"}


def test_a_box_that_could_not_get_its_name_leaves_the_users_volume(app, chosen):
    Waiting(app.layout, spare(app, chosen).id)
    app.docker.fail("rename", EngineError("is already in use by container"))
    with pytest.raises(EngineError):
        claiming.claimed(app.boxes, chosen, app.ui.say)
    assert {"chosen", "data-spare.1"} & app.docker.named_volumes == {"chosen"}
    assert held(app) == {}


def test_a_spares_own_is_hidden_when_another_came_in_its_place(app, chosen):
    labels = data_labels(app.layout.uid, "")
    app.docker.make_volume("data-spare.1", labels)
    Waiting(app.layout, spare(app, chosen).id)
    assert claiming.claimed(app.boxes, chosen, app.ui.say)
    assert [each.name for each in volumes.every(app.engine)] == ["chosen"]


def test_another_that_was_held_for_a_spare_is_let_go(app, chosen):
    one = spare(app, chosen)
    holding.hold(app.engine, "other", one)
    holding.hold(app.engine, "chosen", one)
    holding.hold(app.engine, "chosen", one)
    assert held(app) == {one.id: "chosen"}


def test_what_is_held_for_nobody_is_let_go(app, chosen):
    had, killed, gone, busy = (spare(app, chosen, f"spare.{n}") for n in range(4))
    for each in (had, killed, gone, busy):
        holding.hold(app.engine, "chosen", each)
    os.makedirs(app.layout.attached)
    path = os.path.join(app.layout.attached, had.id)
    claimed = [["/w", "/home/agent/workspace", False], [at(app, "chosen"), DATA_IN_BOX, False]]
    files.write(path, json.dumps({"claimed": claimed, "hostname": "a"}), 0o644)
    app.docker.docker("rm", gone.id)
    # Whoever claims one has its lock.
    with spares.held(app.layout, busy.name):
        spares.release_unneeded(app.engine)
    assert held(app) == {had.id: "chosen", busy.id: "chosen"}


def test_at_a_start_it_is_there_and_held(app, chosen):
    one = spare(app, chosen)
    Waiting(app.layout, one.id)
    assert claiming.claimed(app.boxes, chosen, app.ui.say)
    holding.release(app.engine, one.id)
    app.docker.remove_volume("chosen")
    holding.mend(app.engine, one.id)
    assert held(app) == {one.id: "chosen"}
    assert volumes.get(app.engine, "chosen").workspace == chosen.workspace.path
    holding.mend(app.engine, spare(app, chosen, "spare.2").id)
    assert len(held(app)) == 1


def test_only_a_volume_of_the_engines_is_one(app, chosen):
    """What else stands in the record for that place is a mount of the host's."""
    one = spare(app, chosen)
    os.makedirs(app.layout.attached)
    for source in ("/srv/data", f"{at(app, 'a')}/b", f"/else{at(app, 'a')}"):
        said = {"claimed": [[source, DATA_IN_BOX, False]], "hostname": "a"}
        files.write(os.path.join(app.layout.attached, one.id), json.dumps(said), 0o644)
        assert app.docker.container(one.id).mount(DATA_IN_BOX).kind == "bind"
