import os

from containai.cli.commands import ls
from containai.cli.report import Note, Table
from containai.engine.container import State
from harness.app import ANOTHER

NONE = Note("there are no boxes yet", "make one: cai run")


def test_a_bare_machine_has_none_and_nothing_is_started(bare):
    report = ls.run(bare, all=False)
    assert (report.value, report.code, report.notes) == ([], 0, [NONE])
    assert (bare.machine.ran, bare.docker.requests) == ([], [])


def test_a_machine_without_boxes(app):
    report = ls.run(app, all=True)
    assert (report.value, report.notes) == ([], [NONE])


def test_ones_own(app, workspace):
    app.add_box(workspace, name="api")
    app.add_box("/srv/other", name="other", owner=ANOTHER)
    report = ls.run(app, all=False)
    (table,) = report.views
    assert table == Table(
        [["api", "running", "127.0.0.1:2301", str(workspace)]],
        ["BOX", "STATUS", "SSH", "WORKSPACE"],
    )
    assert [each["name"] for each in report.value] == ["api"]
    assert report.value[0]["status"] == "running"
    assert (report.code, report.notes) == (0, [])


def test_everybodys(app, workspace):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.add_box("/srv/other", name="other", owner=ANOTHER)
    report = ls.run(app, all=True)
    (table,) = report.views
    assert list(table.head) == ["BOX", "OWNER", "STATUS", "SSH", "WORKSPACE"]
    mine, other = table.rows
    assert (mine[0], mine[2]) == ("api", "stopped")
    assert other[:2] == ["other", f"user {ANOTHER}"]
    # What is wrong with another user's box is that user's affair.
    assert report.notes == []


def test_a_broken_box_is_listed_with_what_is_wrong(app, workspace):
    app.add_box(workspace, name="api", state=State.DEAD, port=0)
    os.rmdir(workspace)
    report = ls.run(app, all=False)
    (table,) = report.views
    assert table.rows == [["api", "broken", "-", str(workspace)]]
    gone = f"its workspace {str(workspace)!r} is gone"
    hint = "remove it: cai rm --name api"
    assert report.notes == [
        Note(f"api: {gone}", hint),
        Note("api: it has no ssh port on 127.0.0.1", hint),
    ]
    assert report.value[0]["problems"] == (gone, "it has no ssh port on 127.0.0.1")
    assert report.code == 0
