"""`cai doctor --attack`: how the probes get into a box, and what becomes of their answers."""

import json

import pytest

from containai.attack import facts, report, send
from containai.attack.probe import INSIDE, OUTSIDE
from containai.away import record
from containai.away.place import Ended
from containai.cli import selftest as of_selftest
from containai.cli.commands import doctor
from containai.cli.report import Table
from containai.engine.container import State
from containai.errors import BoxNotFoundError, BoxStartError, NameTakenError, SelfTestError
from containai.flows import away, selftest
from harness.app import ANOTHER
from harness.attack_facts import known
from harness.place import OWN, FakePlace


@pytest.fixture(autouse=True)
def from_host(monkeypatch):
    """What is seen from the host is tried elsewhere."""
    monkeypatch.setattr(facts, "gather", lambda engine, name, asked: known())
    monkeypatch.setattr(report, "from_host", lambda known: [])


def attack(app, name=""):
    return doctor.run(app, fix=False, attack=name)


def answers(status="ok", seen="nothing"):
    rows = [{"probe": each.name, "status": status, "seen": seen} for each in INSIDE]
    return "".join(json.dumps(row) + "\n" for row in rows)


def have(app, out, **options):
    app.machine.answer("ssh", out=out, **options)
    app.machine.answer(*app.engine.argv("exec"), out=out, **options)


def test_all_probes_are_run_over_every_way_in(app, workspace):
    box = app.add_box(workspace, name="api")
    have(app, answers())
    shown = attack(app)
    assert shown.code == 0
    assert (shown.value["box"], shown.value["fine"]) == ("api", True)
    assert [each["probe"] for each in shown.value["probes"]] == [each.name for each in INSIDE]
    (table, _, last) = shown.views
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["ok"] * len(INSIDE)
    assert last == f"\napi: {len(INSIDE)} probes, {len(INSIDE)} ok, 0 found, 0 unverified\n"
    inside = [each[-1] for each in app.machine.ran if "-T" in each]
    python = "exec {}/usr/bin/python3 -IS -"
    assert sorted(each.partition(" && ")[2] for each in inside) == [
        python.format(""),
        python.format("sudo -n "),
    ]
    assert len(app.ran("exec", "-i", box.id)) == 1


def test_a_stopped_box_is_started(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    have(app, answers())
    assert attack(app, "api").value["box"] == "api"
    assert app.docker.requests == [("start", box.id)]


@pytest.mark.parametrize("status", ["found", "unverified"])
def test_what_is_not_fine_is_the_exit_code(app, workspace, status):
    app.add_box(workspace, name="api")
    have(app, answers(status, "a way out"))
    shown = attack(app, "api")
    assert (shown.code, shown.value["fine"]) == (1, False)
    assert isinstance(shown.views[0], Table)
    first, stands_for, hint = shown.views[0].rows[:3]
    assert (first[0], first[1]) == (status, INSIDE[0].name)
    assert first[2].endswith("] a way out")
    assert stands_for[2] == f"stands for: {INSIDE[0].stands_for}"
    assert hint[2] == f"hint: {INSIDE[0].remedy}"


def test_a_box_that_leaves_probes_out_is_not_fine(app, workspace):
    app.add_box(workspace, name="api")
    have(app, "")
    shown = attack(app, "api")
    assert shown.code == 1
    assert {each["seen"] for each in shown.value["probes"]} == {"0 answers from the box"}


@pytest.mark.parametrize("said", ["no probe's\n", '{"probe": 1}\n', "[]\n"])
def test_what_is_no_answer_of_a_probe_is_another_exit_code(app, workspace, said):
    app.add_box(workspace, name="api")
    have(app, said)
    with pytest.raises(SelfTestError) as raised:
        attack(app, "api")
    assert raised.value.exit_code == 25


def test_facts_that_cannot_be_had(app, workspace, monkeypatch):
    def refuse(engine, name, asked):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(facts, "gather", refuse)
    app.add_box(workspace, name="api")
    with pytest.raises(SelfTestError, match="Input/output error"):
        attack(app, "api")


@pytest.mark.parametrize("state", [State.CREATED, State.DEAD, State.PAUSED])
def test_a_box_that_cannot_be_looked_at(app, workspace, state):
    app.add_box(workspace, name="api", state=state)
    with pytest.raises(BoxStartError) as raised:
        attack(app, "api")
    assert raised.value.exit_code == 11
    assert app.docker.requests == []


@pytest.mark.parametrize("name", ["", "none"])
def test_where_there_is_no_box(app, workspace, name):
    with pytest.raises(BoxNotFoundError) as raised:
        attack(app, name)
    assert raised.value.exit_code == 10


def test_on_a_bare_machine(bare, workspace):
    with pytest.raises(BoxNotFoundError):
        attack(bare)
    assert bare.machine.ran == []


@pytest.mark.parametrize("uid", [0, ANOTHER - 1])
def test_another_users_box_is_not_entered(app, workspace, uid):
    app.layout.uid = uid
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError) as raised:
        attack(app, "api")
    assert raised.value.exit_code == 15


def elsewhere(app, said=None, code=0):
    """Attack a box on another machine, whose root says something through its place."""
    asked = []

    def through(words, stdin):
        asked.append((words, stdin))
        return code, (answers() if said is None else said).encode(), b"wrong"

    return selftest.selftest_elsewhere(app, "api", through), asked


def test_a_box_on_another_machine_is_probed_from_inside_and_its_host_is_not_called_fine(app):
    app.machine.answer("ssh", out=answers())
    tested, asked = elsewhere(app)
    inside = [row for row in tested.rows if row.probe in INSIDE]
    assert [row.status for row in inside] == ["ok"] * len(INSIDE)
    others = {(row.status, row.way, row.seen) for row in tested.rows if row.probe in OUTSIDE}
    assert others == {("unverified", "host", "could not look: the host is another machine")}
    assert len(tested.rows) == len(INSIDE) + len(OUTSIDE)
    assert not tested.is_fine
    assert asked == [(send.PYTHON, send.program().encode())]
    assert app.ran("exec") == []
    shown = of_selftest.shown(tested, code=1)
    assert (shown.code, shown.value["box"]) == (1, "api")


def test_the_worst_way_into_a_box_on_another_machine_counts(app):
    app.machine.answer("ssh", out=answers())
    tested, _ = elsewhere(app, answers("found", "a way out"))
    assert {(row.status, row.way) for row in tested.rows if row.probe in INSIDE} == {
        ("found", "exec"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "code"), [("hello\n", 0), ("x" * (send.OUTPUT_LIMIT + 1), 0), ("", 127)]
)
def test_what_a_box_on_another_machine_says_otherwise(app, said, code):
    app.machine.answer("ssh", out=answers())
    with pytest.raises(SelfTestError):
        elsewhere(app, said, code)


def test_a_place_that_breaks_off_is_no_finding(app):
    def through(words, stdin):
        raise ConnectionResetError(104, "cut")

    app.machine.answer("ssh", out=answers())
    with pytest.raises(SelfTestError, match="cut"):
        selftest.selftest_elsewhere(app, "api", through)


def test_a_box_on_a_remote_place_is_probed_through_that(app, workspace, monkeypatch):
    place = FakePlace()
    place.create_as("api", OWN, "text")
    place.ends = Ended(0, answers().encode(), b"")
    record.put(app.layout, record.Entry("api", "work", "api", str(workspace)))
    monkeypatch.setattr(type(app), "place", lambda self, name: place)
    monkeypatch.setattr(away, "started", lambda app, entry: None)
    app.machine.answer("ssh", out=answers())
    report = attack(app, "api")
    assert report.value["box"] == "api"
    assert ("run", "api") in [asked[:2] for asked in place.asked]
    assert app.ran("exec") == []
