"""`cai run --detach`, `jobs`, `attach`, `kill`, and `logs` of a job."""

import json

import pytest

from containai.boxes.jobs import PROGRAM
from containai.cli import registry
from containai.cli.command import parse
from containai.errors import BoxNotFoundError, JobError, UsageError
from unit.boxes.test_jobs import ONE


@pytest.fixture
def box(app, workspace):
    return app.add_box(workspace)


def answers(app, said):
    app.machine.answer(*app.engine.argv("exec", "--interactive"), out=json.dumps(said))


def do(app, line):
    row, words = registry.find(line.split())
    asked = parse(row, words)
    app.flags = asked.flags
    return row.run(app, **asked.keywords)


def has(app, **changes):
    answers(app, {"jobs": [ONE | changes]})


def test_a_job_is_started_and_its_name_printed(app, box):
    answers(app, {"name": "make-1"})
    report = do(app, "run --detach . -- make test")
    assert (report.value, report.views) == ({"box": box.name, "job": "make-1"}, ["make-1\n"])


def test_one_that_can_be_left_is_shown_at_once(app, box):
    answers(app, {"name": "bash-1"})
    assert do(app, "run --attach . -- bash").session.command == [PROGRAM, "attach", "bash-1"]


@pytest.mark.parametrize(
    "words",
    [
        "--restart always", "--job x", "--on-calendar daily", "--detach --restart now",
        "--detach --job X", "--detach --on-calendar soon", "--attach --on-calendar daily",
    ],
)  # fmt: skip
def test_options_that_do_not_fit(app, box, words):
    with pytest.raises(UsageError):
        do(app, f"run {words} . -- true")
    assert not app.docker.requests


def test_a_dry_run_of_a_job_starts_none(app, box):
    report = do(app, "run --detach --dry-run . -- make")
    assert "as a job of the box" in report.views[0]
    assert not app.ran("exec")


def test_jobs_are_listed(app, box):
    assert do_listed(app, "jobs") == []
    has(app)
    assert do_listed(app, "jobs") == [[box.name, "make-1"]]
    assert do_listed(app, "jobs --all") == [[box.name, "make-1"]]
    with pytest.raises(UsageError, match="--all is of no box"):
        do(app, "jobs --all .")


def do_listed(app, line):
    if not app.ran("exec"):
        answers(app, {"jobs": []})
    return [[each["box"], each["name"]] for each in do(app, line).value]


def test_a_word_is_a_directory_or_a_job(app, box, workspace):
    has(app)
    app.docker.outputs["exec"] = "  one\n\x1b[31mtwo\x1b[m\n"
    report = do(app, "logs make-1")
    assert report.value == {
        "name": box.name, "of": "job", "job": "make-1", "lines": ["  one", "two"],
    }  # fmt: skip
    assert app.docker.requests[-1][-4:] == ("output", "make-1", "100", "0")
    (workspace / "make-1").mkdir()
    assert do(app, "logs make-1").value["of"] == "journal"
    assert do(app, "logs . make-1").value["of"] == "job"


def test_words_of_a_journal_are_not_of_a_job(app, box):
    for option in ("--boot", "--console", "--unit ssh"):
        with pytest.raises(UsageError, match="not of a job"):
            do(app, f"logs {option} make-1")
    has(app, terminal=True, status="running", code=None)
    with pytest.raises(UsageError, match="has a terminal") as raised:
        do(app, "logs -f make-1")
    assert "cai attach --read-only" in raised.value.hint


def test_the_job_that_runs_is_meant_where_none_is_named(app, box):
    has(app)
    with pytest.raises(JobError, match="no job runs"):
        do(app, "attach")
    with pytest.raises(JobError, match="has ended, with code 2"):
        do(app, "attach make-1")
    has(app, status="running", code=None)
    assert do(app, "attach").session.command == [PROGRAM, "attach", "make-1"]
    assert do(app, "attach --read-only").session.command == [PROGRAM, "watch", "make-1"]
    assert (
        app.user.told
        == ["cai: make-1 has no terminal: this is its output; Ctrl-C leaves it running\n"] * 2
    )
    answers(app, {"jobs": [ONE | {"status": "running"}, ONE | {"status": "running", "name": "b"}]})
    with pytest.raises(JobError, match="several jobs that run: make-1, b"):
        do(app, "attach")


def test_a_job_is_ended_or_told_something(app, box):
    has(app, status="running")
    assert do(app, "kill make-1").value["ended"] is True
    for text in ("INT", "sigint", "2"):
        assert do(app, f"kill --signal {text} make-1").value["signal"] == 2
    for text in ("NOPE", "0", "99", "-1", ""):
        with pytest.raises(UsageError):
            do(app, f"kill --signal={text} make-1")
    with pytest.raises(UsageError, match="no name of a job"):
        do(app, "kill ../x")
    with pytest.raises(JobError, match="has no job 'gone'"):
        do(app, "kill gone")


def test_there_is_no_box(app, workspace):
    for line in ("jobs", "attach", "attach x", "kill x", "logs x"):
        with pytest.raises(BoxNotFoundError):
            do(app, line)
