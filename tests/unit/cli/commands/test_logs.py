import io
import time

import pytest

from containai.boxes.target import Target
from containai.cli.commands import logs
from containai.cli.output import Output
from containai.engine.container import State
from containai.errors import BoxNotFoundError, ContainAIError

NOTHING = {
    "follow": False, "since": None, "lines": 7, "unit": None, "boot": False, "console": False,
}  # fmt: skip


def run(app, **options):
    return logs.run(app, Target(), **NOTHING | options)


def test_the_journal_of_a_box_that_runs(app, workspace):
    box = app.add_box(workspace)
    app.docker.outputs["exec"] = "one\n\n\x1b[31mtwo\x1b[2J\n"
    report = run(app, unit="docker", since=5, boot=True)
    assert report.value == {"name": box.name, "of": "journal", "lines": ["one", "two"]}
    assert (report.views, report.notes) == (["one\ntwo\n"], [])
    assert app.docker.requests == [
        (
            "exec", box.id, "/usr/bin/journalctl", "--no-pager", "--output=short-iso",
            "--lines=7", "--since=@5", "--boot", "--unit=docker",
        )
    ]  # fmt: skip


def test_the_console_of_one_that_does_not(app, workspace):
    box = app.add_box(workspace)
    app.docker.add(box._replace(state=State.EXITED, running=False))
    app.docker.outputs["logs"] = "[ OK ] one\n"
    report = run(app)
    assert report.value["of"] == "console"
    assert [note.text for note in report.notes] == [f"{box.name} is stopped: this is its console"]
    assert app.docker.requests == [("logs", "--tail", "7", box.id)]
    with pytest.raises(BoxNotFoundError, match="its journal can be read where it runs"):
        run(app, unit="docker")


def test_the_console_of_one_that_runs(app, workspace):
    box = app.add_box(workspace)
    run(app, console=True, since=9)
    assert app.docker.requests == [("logs", "--tail", "7", "--since", "9", box.id)]


def test_lines_are_shown_as_they_come(app, workspace):
    app.add_box(workspace)
    app.docker.outputs["exec"] = "one\n\x1b]0;two\x07\u202ethree\n"
    out = io.StringIO()
    report = run(app, follow=True)
    assert report.value is None
    Output(out, io.StringIO(), {}).show(report)
    assert out.getvalue() == "one\n]0;twothree\n"
    assert "--follow" in app.docker.requests[-1]


def test_a_box_that_says_without_end(app, workspace, monkeypatch):
    monkeypatch.setattr(logs, "_LIMIT", 1 << 20)
    app.add_box(workspace)
    app.docker.outputs["exec"] = ("x" * 1000 + "\n") * 1100
    with pytest.raises(ContainAIError, match="says more than 1 MB"):
        run(app)


def test_times(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 100_000.0)
    assert [logs._since(text) for text in ("10s", "2h", "900d")] == [99_990, 92_800, 1]
    assert logs._since("2026-11-27 14:30") - logs._since("2026-11-27") == 14 * 3600 + 1800
    for text in ("", "-1h", "1y", "@5", "2026-13-01", "--boot", "10m\n"):
        with pytest.raises(ValueError, match="expected a time"):
            logs._since(text)
