"""A box is told of certificates and proxies before it boots, and again when they change."""

import pytest

from containai.boxes import around, telling
from containai.boxes.workspace import Workspace
from containai.engine.container import State
from containai.errors import ContainAIError
from containai.host.certificates import Certificate
from containai.host.proxies import Proxies
from containai.host.surroundings import Surroundings
from containai.ssh import session

CORP = Surroundings((Certificate("corp.crt", "CORP\n"),))


@pytest.fixture
def make(app, workspace):
    return lambda: app.boxes.bring_up(Workspace(str(workspace)), "i:t", app.ui.say, "api")


def placed(app):
    """Return what was run to tell a box that runs."""
    return [words for words in app.machine.ran if around.PLACE[0] in words]


def test_a_new_box_is_given_it_and_its_block_says_so(app, make):
    app.machine.surroundings = CORP
    make()
    assert session.last_told(app.layout, "api") == around.mark("CORP\n") != "none"
    assert placed(app) == []


def test_a_box_without_a_block_knows_nothing(layout):
    assert session.last_told(layout, "none-there") == "none"


@pytest.mark.parametrize("code", [0, 126])
def test_a_running_box_is_told_once_of_what_changed(app, make, workspace, code):
    box = app.add_box(workspace, name="api")
    app.machine.surroundings = CORP
    app.machine.answer(*app.docker.argv("exec"), code=code)
    make()
    make()
    assert [words[-4:] for words in placed(app)] == [("--interactive", box.id, *around.PLACE)]
    refused = ["api did not take this machine's certificates and proxies"] if code else []
    assert app.user.said == refused
    app.machine.surroundings = Surroundings()
    make()
    assert len(placed(app)) == 2
    assert session.last_told(app.layout, "api") == "none"


def test_a_stopped_box_finds_it_when_it_boots(app, make, workspace):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.machine.surroundings = CORP
    make()
    assert placed(app) == []
    assert [request[0] for request in app.docker.requests if request[0] in ("cp", "start")] == [
        "cp",
        "start",
    ]


def test_what_is_no_certificate_is_said_before_a_box_is_made(app, make, monkeypatch):
    def damaged(host, name):
        raise ContainAIError("bad.crt is no certificate")

    monkeypatch.setattr(telling, "told", damaged)
    with pytest.raises(ContainAIError, match="is no certificate"):
        make()
    assert app.docker.container("api") is None


def test_a_box_is_not_warm_with_another_network(app, make, workspace, monkeypatch):
    make()
    monkeypatch.setattr(session, "is_live", lambda layout, box: True)
    where = Workspace(str(workspace))
    assert session.is_warm(app.layout, "api", where.path, where.inode)
    monkeypatch.setenv("https_proxy", "http://p.example:1")
    assert not session.is_warm(app.layout, "api", where.path, where.inode)


def test_proxies_are_in_it(app):
    app.machine.surroundings = Surroundings((), Proxies("http://p"))
    assert telling.told(app.host, "api").startswith("http_proxy=http://p\nno_proxy=localhost,")
