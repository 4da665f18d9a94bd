import io
import json
import os
from types import SimpleNamespace

import pytest

from containai.boxes.target import Target
from containai.cli.commands import ls, status
from containai.cli.output import Output
from containai.engine.container import State
from containai.errors import BoxNotFoundError, UsageError
from containai.flows import status as flow
from containai.flows.status import Load, Sizes
from harness.app import FakeApp

GIB = 1 << 30


@pytest.fixture
def app(layout, workspace, monkeypatch):
    layout.uid = os.getuid()
    made = FakeApp(layout).set_up()
    box = made.add_box(workspace, name="api")
    made.docker.add(box._replace(memory=2 * GIB, cpus=1.5, started="2026-11-27T10:00:00.5Z"))
    load = Load(GIB, 75.0, 33, 2)
    monkeypatch.setattr(
        flow, "loads", lambda app, boxes: {b.container: load for b in boxes if b.name == "api"}
    )
    monkeypatch.setattr(
        flow, "measured", lambda app, boxes: {b.container: Sizes(5, None, 7) for b in boxes}
    )
    return made


def look(app, *, watch=False, size=False, processes=False):
    return status.run(app, Target(name="api"), watch=watch, size=size, processes=processes)


def rows(report):
    return {row[0]: row[1] for row in report.views[0].rows}


def test_limits_and_what_is_used_of_them(app, workspace):
    report = look(app, size=True)
    seen = rows(report)
    assert seen["running"].startswith("api, since 2026-11-2")
    assert seen["workspace"] == str(workspace)
    assert seen["memory"] == "1 GiB of 2 GiB (50%)"
    assert seen["processors"] == "75 % of 150 %"
    assert seen["processes"] == "33 of 16384"
    assert seen["disk"] == "0 MB of its own, 0 MB data"
    assert seen["ended"] == "2 processes since its start, for want of memory"
    value = json.loads(json.dumps(report.value["load"]._asdict()))
    assert value == {"memory": GIB, "cpu_percent": 75.0, "processes": 33, "killed": 2}
    assert report.value["since"] == "2026-11-27T10:00:00.5Z"
    assert report.value["sizes"].data == 7


def test_a_box_that_is_off(app, monkeypatch):
    box = app.docker.container("api")
    app.docker.add(box._replace(state=State.EXITED, running=False, memory=0, cpus=0.0))
    monkeypatch.setattr(flow, "loads", lambda app, boxes: {})
    seen = rows(look(app, processes=True))
    assert seen["stopped"] == "api"
    assert (seen["memory"], seen["processors"]) == ("- without a limit", "- without a limit")
    assert seen["processes"] == "- of 16384"


def test_no_such_box(app):
    with pytest.raises(BoxNotFoundError):
        status.run(app, Target(name="other"), watch=False, size=False, processes=False)


def test_processes_as_the_host_sees_them(app):
    app.docker.outputs["top"] = "PID %CPU RSS ELAPSED COMMAND\n12 0.5 100 01:00 sleep 1 2\nodd\n"
    report = look(app, processes=True)
    assert report.views[1].rows == [["12", "0.5", "100", "01:00", "sleep 1 2"]]
    assert report.value["processes"][0]["command"] == "sleep 1 2"


def test_watching_prints_a_line_each_time_for_machines(app, monkeypatch):
    def end(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=end))
    out = io.StringIO()
    Output(out, io.StringIO(), {}).show(look(app, watch=True), as_json=True)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["name"] == "api"


def test_watching_ends_with_the_box(app, monkeypatch):
    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=lambda s: app.docker.by_id.clear()))
    with pytest.raises(BoxNotFoundError):
        Output(io.StringIO(), io.StringIO(), {}).show(look(app, watch=True), as_json=True)


def test_watching_needs_a_terminal_or_json(app):
    with pytest.raises(UsageError, match="terminal") as caught:
        Output(io.StringIO(), io.StringIO(), {}).show(look(app, watch=True))
    assert "--json" in caught.value.hint


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_watching_on_a_terminal(app, monkeypatch):
    def end(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=end))
    out = Screen()
    Output(out, io.StringIO(), {"NO_COLOR": "1"}).show(look(app, watch=True))
    assert "1 GiB of 2 GiB (50%)" in out.getvalue()


def test_sizes_and_load_in_the_list(app, tmp_path):
    app.add_box(tmp_path / "gone", name="other", state=State.EXITED)
    plain = ls.run(app, all=False)
    report = ls.run(app, all=False, size=True, load=True)
    assert plain.views[0].head == ["BOX", "STATUS", "SSH", "WORKSPACE"]
    assert report.views[0].head == ["BOX", "STATUS", "SSH", "MEMORY", "CPU", "DISK", "WORKSPACE"]
    cells = {row[0]: row[3:6] for row in report.views[0].rows}
    assert cells == {"api": ["1 GiB", "75%", "0 MB"], "other": ["-", "-", "0 MB"]}
    assert [row["load"] for row in report.value] == [Load(GIB, 75.0, 33, 2), None]
    assert "load" not in plain.value[0]
