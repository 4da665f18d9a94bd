"""Whose box logins and settings come into, and which are refused."""

import pytest

from containai.boxes.target import Target
from containai.errors import BoxNotFoundError, NotSetUpError, WorkspaceError
from containai.flows import bringing
from containai.sync.choice import Choice
from harness.app import ANOTHER, FakeApp


def bring(app: FakeApp, target: Target) -> None:
    bringing.bring(app, target, Choice(), "", dry_run=True)


def test_without_a_box_that_could_have_it(layout, workspace):
    app = FakeApp(layout)
    with pytest.raises(NotSetUpError, match="there is no box"):
        bring(app, Target(str(workspace)))
    app.set_up()
    with pytest.raises(BoxNotFoundError, match="nobodys"):
        bring(app, Target(name="nobodys"))
    with pytest.raises(WorkspaceError, match="home directory"):
        bring(app, Target(layout.home))


def test_another_users_box_is_given_nothing_of_ones_home(layout, workspace):
    app = FakeApp(layout).set_up()
    app.add_box(workspace, name="theirs", owner=ANOTHER)
    with pytest.raises(Exception, match="belongs to"):
        bring(app, Target(name="theirs"))
