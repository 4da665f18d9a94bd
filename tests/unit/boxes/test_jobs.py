"""Jobs of a box, as it tells of them: it is the enemy's to write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containai.boxes import jobs
from containai.boxes.box import Box
from containai.boxes.jobs import Job, Order
from containai.boxes.way import ByEngine
from containai.engine.container import State
from containai.errors import BoxNotFoundError, JobError

ONE = {
    "name": "make-1", "status": "failed", "code": 2, "when": 5.5, "created": 1, "restarts": 0,
    "command": ["make", "\x1b[2J"], "terminal": False, "restart": "no", "calendar": "",
}  # fmt: skip


@pytest.fixture
def box(app, workspace):
    return Box.from_container(app.add_box(workspace))


def answers(app, said, code=0):
    out = said if isinstance(said, str) else json.dumps(said)
    app.machine.answer(*app.engine.argv("exec", "--interactive"), out=out, code=code)


def test_what_a_box_tells(app, box):
    answers(app, {"jobs": [ONE]})
    [job] = jobs.every(ByEngine(app.engine, box))
    assert (job.name, job.code, job.command, job.goes_on) == (
        "make-1",
        2,
        ("make", "\x1b[2J"),
        False,
    )
    assert jobs.find(ByEngine(app.engine, box), "make-1") == job
    with pytest.raises(JobError, match="has no job 'other'"):
        jobs.find(ByEngine(app.engine, box), "other")


def test_no_command_line_has_the_variables_of_a_job(app, box):
    answers(app, {"name": "make-1"})
    order = Order(["make"], "/home/agent/workspace", {"TOKEN": "secret"}, stem="make")
    assert jobs.start(ByEngine(app.engine, box), order) == "make-1"
    assert "secret" not in repr(app.machine.ran)
    assert app.machine.ran[-1][3:] == (
        "exec", "--interactive", "--workdir", "/", "--user", "agent", box.container,
        jobs.PROGRAM, "ask",
    )  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[",
        "[" * 5000,
        [],
        {},
        {"jobs": 1},
        {"jobs": [[]]},
        *({"jobs": [ONE | change]} for change in (
            {"name": "../x"}, {"name": "-x"}, {"name": "\x1b"}, {"name": 1}, {"code": "x"},
            {"command": []}, {"command": [1]}, {"status": 1}, {"when": []}, {"created": None},
            {"created": 1e300}, {"created": -1}, {"when": 1 << 40}, {"code": float("inf")},
            {"when": float("nan")}, {"restarts": "9" * 5000},
        )),
    ],
)  # fmt: skip
def test_what_is_no_answer(app, box, said):
    answers(app, said)
    with pytest.raises(JobError, match="answers something that is no job's"):
        jobs.every(ByEngine(app.engine, box))


def test_what_a_box_refuses_steers_no_terminal(app, box):
    answers(app, {"failed": "there is no program '\x1b]0;x\x07'" + "y" * 1000})
    with pytest.raises(JobError) as raised:
        jobs.kill(ByEngine(app.engine, box), "make-1")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 400


def test_an_image_that_is_too_old(app, box):
    answers(app, "", code=127)
    with pytest.raises(JobError, match="too old for jobs") as raised:
        jobs.every(ByEngine(app.engine, box))
    assert "--fresh" in raised.value.hint


def test_a_box_that_is_stopped(app, workspace):
    stopped = Box.from_container(app.add_box(workspace, state=State.EXITED))
    with pytest.raises(BoxNotFoundError, match="is stopped"):
        jobs.every(ByEngine(app.engine, stopped))


def test_a_box_that_cannot_be_asked(app, box):
    app.machine.answer(*app.engine.argv("exec"), code=1, err="x\nError: \x1b[2Jgone\n")
    with pytest.raises(JobError, match=r"cannot be reached \(code 1\): Error: \?\[2Jgone"):
        jobs.every(ByEngine(app.engine, box))


@pytest.mark.parametrize(
    ("program", "stem"),
    [("make", "make"), ("/usr/bin/Python3.13", "python3-13"), ("./-", "job"), ("日本", "job")],
)
def test_how_a_job_is_called(program, stem):
    assert jobs.stem(program) == stem


@given(st.text())
def test_every_stem_is_a_name(program):
    assert jobs.job_name(f"{jobs.stem(program)}-1")


@pytest.mark.parametrize(
    "text",
    [
        "daily", "Hourly", "Mon..Fri 07:30", "*:0/15", "Sat,Sun 10:00:00", "2026-12-24 18:00",
        "*-*-01 04:00:00 Europe/Berlin", "Mon *-05~03", "12-24", "*-*-* *:*:00", "00:00 UTC", "Fri",
    ],
)  # fmt: skip
def test_a_time_that_systemd_has(text):
    assert jobs.calendar(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "--x", "5", "10m", "daily; id", "Mon 07:30\n", "07:30 $(id)", "é"]
)
def test_a_time_that_is_none(text):
    with pytest.raises(ValueError, match="expected a time"):
        jobs.calendar(text)


def test_jobs_are_values():
    assert Job.parse(ONE)._asdict() == ONE | {"command": ("make", "\x1b[2J")}
