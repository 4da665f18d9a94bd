import os

import pytest

from containai.engine import daemon
from containai.engine import network as networks
from containai.provision import written
from containai.work.actions import Run, WriteFile


@pytest.fixture
def running(app, monkeypatch):
    monkeypatch.setattr(daemon, "running_pid", lambda layout: 1)
    for path, text in (
        (app.layout.network_program, networks.script()),
        (app.layout.engine_program, daemon.script()),
    ):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
    return app


def test_what_stops_an_engine_that_runs_is_written_anew_where_it_is_damaged(running):
    layout = running.layout
    assert written.to_stop(running.host) == []
    os.truncate(layout.engine_program, 0)
    os.unlink(layout.network_program)
    os.mkdir(layout.network_program)
    clear, *anew = written.to_stop(running.host)
    assert isinstance(clear, Run)
    assert clear.argv[-1] == layout.network_program
    assert all(isinstance(each, WriteFile) for each in anew)
    assert [each.path for each in anew] == [layout.network_program, layout.engine_program]


def test_where_nothing_runs_nothing_is_written(running, monkeypatch):
    os.unlink(running.layout.engine_program)
    monkeypatch.setattr(daemon, "running_pid", lambda layout: None)
    assert written.to_stop(running.host) == []
