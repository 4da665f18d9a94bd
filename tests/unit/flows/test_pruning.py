import datetime
import os

import pytest

from containai.boxes import keeping, lookup
from containai.boxes.target import Target
from containai.cli.commands import keep as keep_command
from containai.cli.commands import prune as command
from containai.engine.container import State
from containai.errors import ContainAIError, EngineError, UsageError
from containai.flows import pruning
from containai.flows.pruning import Wanted
from containai.layout import LABEL_PART_OF
from harness.app import ANOTHER, FakeApp
from harness.ui import Silent

MONTH = Wanted(30 * 86400)


def ago(days):
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    return then.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


def add(app, path, name, *, days=100.0, state=State.EXITED, owner=None):
    path.mkdir(exist_ok=True)
    app.add_box(path, name=name, state=state, owner=owner, port=2301 + len(app.docker.by_id))
    made = app.docker.container(name)
    return app.docker.add(made._replace(finished=ago(days) if days is not None else ""))


def the(app, name):
    box = lookup.get(app.engine, name)
    assert box is not None
    return box


def names(rows):
    return {(row.kind, row.name) for row in rows}


def run(app, *, older_than=None, all=False, data=False, dry_run=False):  # noqa: A002
    return command.run(app, older_than=older_than, all=all, data=data, dry_run=dry_run)


@pytest.fixture
def app(app):
    """An App without images."""
    app.docker.by_reference.clear()
    return app


@pytest.fixture
def boxes(app, tmp_path):
    """One of each that stays, and of each that goes."""
    top = tmp_path / "ws"
    top.mkdir()
    add(app, top / "a", "old")
    add(app, top / "b", "young", days=29)
    add(app, top / "c", "runs", state=State.RUNNING)
    add(app, top / "d", "paused", state=State.PAUSED)
    add(app, top / "e", "restarting", state=State.RESTARTING)
    add(app, top / "f", "anothers", owner=ANOTHER)
    add(app, top / "g", "kept")
    add(app, top / "h", "nobody-knows", days=None)
    add(app, top / "i", "unfinished", state=State.CREATED, days=None)
    add(app, top / "j", "gone", days=1)
    add(app, top / "k", "half.before")
    add(app, top / "l", "runs-and-gone", state=State.RUNNING)
    (top / "j").rmdir()
    (top / "l").rmdir()
    keeping.keep(app.layout, the(app, "kept"))
    return app


GOING = {("box", "old"), ("box", "unfinished"), ("box", "gone")}


def test_what_was_not_used_for_long_or_is_left_over_goes(boxes):
    rows = pruning.found(boxes, MONTH)
    assert names(rows) == GOING
    assert {row.name: row.why for row in rows if row.name != "gone"} == {
        "old": "stopped 100 days ago",
        "unfinished": "it was never finished",
    }
    assert boxes.docker.requests == []


def test_every_age(boxes):
    assert names(pruning.found(boxes, Wanted(0))) == GOING | {("box", "young")}


def test_a_dry_run_says_the_same_and_changes_nothing(boxes):
    seen = run(boxes, dry_run=True)
    assert (names(seen.value["removed"]), seen.value["changed"]) == (GOING, False)
    assert (boxes.docker.requests, boxes.user.asked) == ([], [])
    done = run(boxes)
    assert (names(done.value["removed"]), done.value["changed"]) == (GOING, True)
    assert len(boxes.user.asked) == 1
    left = {container.name for container in boxes.docker.by_id.values()}
    assert not left & {name for _, name in GOING}
    assert len(left) == 9
    assert run(boxes).views == ["nothing to remove\n"]


def test_nobody_agrees(layout, tmp_path):
    layout.uid = os.getuid()
    app = FakeApp(layout, ui=Silent(agrees=False)).set_up()
    add(app, tmp_path / "a", "old")
    with pytest.raises(ContainAIError, match="nothing was removed"):
        run(app)
    assert app.docker.requests == []


def test_what_is_used_again_by_now_stays(boxes):
    rows = pruning.found(boxes, MONTH)
    old = boxes.docker.container("old")
    boxes.docker.add(old._replace(state=State.RUNNING, running=True))
    done = pruning.remove(boxes, rows, MONTH)
    assert names(done.removed) == GOING - {("box", "old")}
    assert boxes.docker.container("old") is not None
    assert not any(request[0] == "stop" for request in boxes.docker.requests)


def test_one_that_fails_is_said_and_the_others_go(boxes):
    boxes.docker.fail("rm", EngineError("busy"))
    report = run(boxes)
    assert len(report.value["removed"]) == 2
    assert (report.code, report.notes[0].text) == (EngineError.exit_code, "busy")


def test_parts_of_boxes_that_are_gone(app):
    uid = app.layout.uid
    app.docker.by_filters[(f"label={LABEL_PART_OF}", "dangling=true")] = ["mine", "yours"]
    app.docker.named_volumes = {"mine", "yours"}
    app.docker.volume_labels = {
        "mine": {LABEL_PART_OF: f"{uid}:api"},
        "yours": {LABEL_PART_OF: f"{uid}1:api"},
    }
    (row,) = pruning.found(app, MONTH)
    assert (row.kind, row.name, row.why) == (
        "volume",
        "mine",
        "a part of the box api, which is gone",
    )
    run(app)
    assert app.docker.requests == [("volume", "rm", "mine")]


def test_data_of_no_box_only_when_asked_for(app):
    uid = str(app.layout.uid)
    of_ours = {
        "containai.managed": "true",
        "containai.kind": "data",
        "containai.owner": uid,
        "containai.workspace": "/srv/x",
    }
    app.docker.by_filters[("label=containai.kind=data", "dangling=true")] = ["mine", "yours"]
    app.docker.named_volumes = {"mine", "yours"}
    app.docker.volume_labels = {
        "mine": of_ours,
        "yours": {**of_ours, "containai.owner": f"{uid}1"},
    }
    assert pruning.found(app, MONTH) == []
    (row,) = pruning.found(app, MONTH._replace(data=True))
    assert (row.kind, row.name) == ("data", "mine")


def test_who_cannot_ask_the_engine_does_not_judge(app, tmp_path):
    add(app, tmp_path / "a", "old")

    def gone(*_, **__):
        raise EngineError("it does not answer", hint="see: cai engine logs")

    app.docker.containers = gone
    with pytest.raises(EngineError):
        run(app, all=True)
    assert app.docker.requests == []


def test_on_a_bare_machine_there_is_nothing(bare):
    report = run(bare)
    assert (report.value["removed"], report.code) == ([], 0)
    assert bare.machine.ran == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43200), ("1d", 86400), ("2w", 1209600), ("0d", 0)]
)
def test_ages(text, seconds):
    assert pruning.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1y", "999999d", "1d\n", "\u0661d"])
def test_what_is_no_age(text):
    with pytest.raises(ValueError, match="12h, 30d or 2w"):
        pruning.seconds(text)


def test_every_age_is_not_one(app):
    with pytest.raises(UsageError):
        run(app, all=True, older_than=5)


def test_a_mark_is_put_on_and_taken_away(app, workspace):
    app.add_box(workspace, name="api")
    box = the(app, "api")
    assert keep_command.run(app, Target(), off=False).value == {"name": "api", "kept": True}
    assert keeping.is_kept(app.layout, box)
    assert keep_command.run(app, Target(), off=True).value == {"name": "api", "kept": False}
    assert not keeping.is_kept(app.layout, box)
    assert app.docker.requests == []
