"""See test_run.py for what both have in common."""

import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import shell
from containai.engine.container import State
from containai.errors import NotSetUpError
from harness.app import FakeApp
from unit.flows.steps import Switch


def test_in_a_box_by_its_name_from_another_directory(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    outcome = shell.run(app, Target(name="api"), force=False, skip_mounts=False)
    assert outcome.argv[-2:] == ["api", b'cd -- /home/agent/workspace && exec "$SHELL" -l']
    assert app.docker.requests == [("start", box.id)]


def test_on_a_bare_machine_somebody_has_to_agree(layout, workspace, have_steps):
    layout.uid = os.getuid()
    bare = FakeApp(layout, agrees=False)
    have_steps(Switch("everything"))
    with pytest.raises(NotSetUpError) as raised:
        shell.run(bare, Target(), force=False, skip_mounts=False)
    assert raised.value.exit_code == 16
    assert bare.user.asked == ["Do it now?"]
