"""The way into a box: the same question goes through the engine here, over ssh elsewhere."""

import shlex

import pytest

from containai.boxes import jobs, logs
from containai.boxes.box import Box, Status
from containai.boxes.way import ByEngine, BySsh
from containai.errors import JobError, SshConnectError
from containai.host.proc import ProcessError

WORDS = ("/bin/x", "a b", "'", "$HOME")
LIMITS = {"limit": 9, "timeout": 1}


@pytest.fixture
def box(app, workspace):
    return Box.from_container(app.add_box(workspace, name="api"))


@pytest.fixture
def far(app, box):
    return BySsh(app.host, box)


def test_by_the_engine_as_the_agent(app, box):
    app.machine.answer(*app.engine.argv("exec"), code=3, out="said")
    assert ByEngine(app.engine, box).ask(WORDS, stdin=b"", **LIMITS).out == "said"
    assert app.machine.ran[-1][3:] == (
        "exec", "--interactive", "--workdir", "/", "--user", "agent", "api-id", *WORDS,
    )  # fmt: skip


def test_by_ssh_each_word_arrives_as_it_is(app, far):
    app.machine.answer("ssh", code=3, out="said")
    assert far.ask(WORDS, stdin=b"", **LIMITS) == (3, "said", "")
    *argv, line = app.machine.ran[-1]
    assert argv[:2] == ["ssh", "-F"]
    assert argv[-3:] == ["-T", "--", "api"]
    assert app.layout.control_socket("api") in argv
    where, command = line.split(" && exec ", 1)
    assert where == "cd -- /home/agent"
    assert tuple(shlex.split(command)) == WORDS


def test_what_a_job_printed_comes_over_ssh(app, far):
    app.machine.answer("ssh", out="one\x1b[2J\ntwo\n")
    lines = []
    logs.read_job(far, "make-1", logs.Wanted(5, follow=True), lines.append)
    assert lines[1] == "two"
    assert "\x1b" not in lines[0]
    assert app.machine.ran[-1][-1].endswith(f"exec {jobs.PROGRAM} output make-1 5 0 follow")


def test_a_connection_that_was_lost_is_said(app, far):
    app.machine.answer("ssh", code=255)
    with pytest.raises(SshConnectError, match="broke off"):
        far.stream(WORDS, print, longest=9, holds=False)
    with pytest.raises(JobError, match="code 255"):
        jobs.every(far)
    app.machine.answer("ssh", code=1, err="no such job")
    with pytest.raises(ProcessError):
        far.stream(WORDS, print, longest=9, holds=False)


def test_no_command_line_has_the_variables_of_a_job(app, far):
    app.machine.answer("ssh", out='{"name": "make-1"}')
    order = jobs.Order(["make"], "/home/agent/workspace", {"TOKEN": "secret"}, stem="make")
    assert jobs.start(far, order) == "make-1"
    assert "secret" not in repr(app.machine.ran)


def test_one_that_is_off_is_not_asked(app, far):
    off = far._replace(box=far.box._replace(status=Status.STOPPED))
    with pytest.raises(Exception, match="stopped: its jobs"):
        jobs.every(off)
    assert not app.ran("ssh")
