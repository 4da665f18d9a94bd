"""Who is asked whether logins and settings are to be brought into a new data volume."""

import os

import pytest

from containai.boxes.claiming import NoSpareError
from containai.boxes.workspace import Workspace
from containai.flows import filling
from containai.sync import manifest


@pytest.fixture
def filled(app, workspace):
    """Whether it is to be filled, by what the settings say, for whom."""

    def is_wanted(how, *, at_terminal, only_spares=False, is_new=False):
        app.flags = {"import.auto": how}
        app.__dict__.pop("settings", None)
        app.at_terminal, app.only_spares = at_terminal, only_spares
        return filling.is_wanted(app, Workspace(str(workspace)), is_new=is_new)

    return is_wanted


def have_something(app):
    path = os.path.join(app.layout.home, ".gitconfig")
    assert manifest.has(".gitconfig")
    with open(path, "w") as file:
        file.write("[user]\n\tname = x\n")


@pytest.mark.parametrize(
    ("how", "at_terminal", "wanted"),
    [
        ("always", False, True),
        ("always", True, True),
        ("ask", True, True),
        ("ask", False, False),
        ("never", True, False),
    ],
)
def test_whether_it_is(filled, how, at_terminal, wanted):
    assert filled(how, at_terminal=at_terminal) is wanted


def test_one_that_is_there_is_filled_only_where_it_is_made_anew(app, filled, workspace):
    from containai.boxes import volumes

    volumes.have(app.engine, volumes.own(app.engine, str(workspace)), str(workspace))
    assert not filled("always", at_terminal=True)
    assert filled("always", at_terminal=True, is_new=True)


def test_a_question_takes_the_longer_way(app, filled):
    """Who gives spares away asks nobody, and leaves that to whoever wants a box."""
    assert not filled("ask", at_terminal=True, only_spares=True)
    assert filled("always", at_terminal=True, only_spares=True)
    have_something(app)
    assert not filled("ask", at_terminal=False, only_spares=True)
    with pytest.raises(NoSpareError):
        filled("ask", at_terminal=True, only_spares=True)
