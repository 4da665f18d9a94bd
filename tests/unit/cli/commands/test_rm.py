"""See test_stop.py for what both have in common."""

import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import rm
from containai.engine.container import State
from containai.errors import ContainAIError
from harness.app import ANOTHER


def test_a_box_goes_with_all_that_is_its_own(app, workspace):
    box = app.add_box(workspace)
    report = rm.run(app, Target(), all=False)
    value = {"name": box.name, "removed": True, "volumes_removed": [], "volume_kept": ""}
    assert (report.value, report.code, report.notes) == (value, 0, [])
    assert app.docker.requests == [("stop", box.id), ("rm", "--force", "--volumes", box.id)]
    assert app.docker.by_id == {}
    assert not os.path.exists(app.layout.ssh_block(box.name))
    # Its range of ids is free again.
    assert app.ran("ranges", "--prune") == [("#", app.layout.runtime_program, "ranges", "--prune")]
    assert workspace.is_dir()


def test_a_stopped_one_is_not_stopped(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    other = app.add_box(elsewhere, name="web", port=2302)
    rm.run(app, Target(name="api"), all=False)
    assert app.docker.requests == [("rm", "--force", "--volumes", box.id)]
    assert app.docker.by_id == {other.id: other}


def test_a_broken_one(app, workspace):
    app.add_box(workspace, name="api", state=State.DEAD, port=0)
    rm.run(app, Target(name="api"), all=False)
    assert app.docker.by_id == {}


def test_all_of_ones_own_if_they_agree(app, workspace, elsewhere):
    app.add_box(workspace, name="api")
    app.add_box(elsewhere, name="web", port=2302, state=State.EXITED)
    other = app.add_box("/srv/other", name="other", port=2303, owner=ANOTHER)
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was removed"):
        rm.run(app, Target(), all=True)
    assert app.docker.requests == []
    app.user.agrees = True
    report = rm.run(app, Target(), all=True)
    assert [row["name"] for row in report.value] == ["api", "web"]
    assert list(app.docker.by_id) == [other.id]
    assert app.user.asked == ["These boxes go, and all that is in them: api, web. Go on?"] * 2
