import os

import pytest

from containai.cli.commands import engine
from containai.engine import daemon
from containai.errors import EngineError


def test_start_of_one_that_runs_sweeps_up(app):
    report = engine.start(app)
    socket = app.layout.engine_socket
    assert (report.value, report.code) == ({"running": True, "socket": socket}, 0)
    assert app.ran("ps", "--quiet")


def test_on_a_bare_machine_there_is_none_to_start(bare):
    with pytest.raises(EngineError, match="not set up") as raised:
        engine.start(bare)
    assert (raised.value.exit_code, raised.value.hint) == (17, "run: cai setup")


def test_stop(app):
    program = app.layout.network_program
    os.makedirs(os.path.dirname(program))
    os.mknod(program)
    report = engine.stop(app)
    assert report.value == {"running": False, "socket": app.layout.engine_socket}
    assert [each[:3] for each in app.machine.ran[1:]] == [("#", program, "down")]


def test_status(app):
    report = engine.status(app)
    socket = app.layout.engine_socket
    assert (report.value, report.code) == ({"running": True, "socket": socket}, 0)
    assert report.views == [f"running  {socket}\n"]


@pytest.mark.parametrize("is_set_up", [True, False])
def test_status_of_a_stopped_one(bare, is_set_up):
    if is_set_up:
        bare.set_up().stop_engine()
    report = engine.status(bare)
    socket = bare.layout.engine_socket
    assert (report.value, report.code) == ({"running": False, "socket": socket}, 3)
    assert report.views == [f"stopped  {socket}\n"]


@pytest.mark.parametrize("act", [engine.start, engine.stop, engine.status])
def test_another_dockerd_on_our_socket_is_no_engine_of_ours(app, act):
    app.machine.answer(*app.engine.argv("info"), out="/var/lib/docker\n")
    with pytest.raises(EngineError, match="another dockerd answers") as raised:
        act(app)
    assert raised.value.exit_code == 17


def test_one_that_says_nothing_yet_is_nobodys(app):
    """Said by a machine that had just booted, with much to do: code 0, and an empty line."""
    app.machine.answer(*app.engine.argv("info"), out="\n")
    assert not daemon.answering(app.machine)


def test_logs(app):
    app.machine.answer("tail", out="one\ntwo\n")
    report = engine.logs(app, lines=20)
    assert (report.value, report.views) == ({"lines": ["one", "two"]}, ["one\ntwo\n"])
    assert app.machine.ran == [("#", "tail", "-n", "20", app.layout.engine_log)]
