"""What is in the way of a box that is started again."""

import pytest

from containai.boxes import starting
from containai.boxes.workspace import Workspace
from containai.engine import daemon, shims
from containai.engine.container import State
from containai.errors import BoxStartError, EngineError, PrivilegeError, UnsupportedError
from containai.host import files
from harness.app import words

TAKEN = EngineError("driver failed: Bind for 127.0.0.1:2300 failed: port is already allocated")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(starting, "PAUSE", 0)


@pytest.fixture
def make(app, workspace):
    """Make or start the box of the workspace, by the name "api"."""

    def bring_up():
        return app.boxes.bring_up(Workspace(str(workspace)), "i:t", app.ui.say, "api")

    return bring_up


def changes(app):
    """Return the requests that change something."""
    return [each for each in app.docker.requests if each[0] not in ("ps", "logs")]


def test_a_stopped_box_whose_port_is_taken_gets_another(app, make, workspace, monkeypatch):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    other = app.add_box(workspace, name="other", state=State.EXITED, port=2300)
    moved = []

    def move(host, container, old, new):
        moved.append((container, old, new))
        seen = app.docker.by_id[container]
        app.docker.add(seen._replace(ports=(seen.ports[0]._replace(number=new),)))

    monkeypatch.setattr(daemon, "move_port", move)
    app.docker.fail("start", TAKEN, TAKEN)
    make()
    first, second = (new for _, _, new in moved)
    assert moved == [(box.id, 2301, first), (box.id, first, second)]
    assert len({2300, 2301, first, second}) == 4
    assert f"    Port {second}\n" in (files.read(app.layout.ssh_block("api")) or "")
    assert other in app.docker.by_id.values()
    assert f"port 2301 of api is taken: it gets {first}" in app.user.said[1]


AWAY = EngineError(
    'docker start x: connection error: desc = "transport: Error while dialing dial unix '
    '/run/containerd.sock: connect: connection refused": unavailable'
)
CLOSED = EngineError("docker start x: connection closed: unavailable")


def test_a_containerd_that_was_killed_is_waited_for(app, make, workspace):
    app.add_box(workspace, name="api", state=State.EXITED)
    said = []
    app.machine.say = said.append
    app.docker.fail("start", CLOSED, AWAY, AWAY)
    make()
    assert said == ["waiting for the engine, which starts its containerd again"]


def test_a_containerd_that_does_not_come_back_is_an_error(app, make, workspace, monkeypatch):
    monkeypatch.setattr(starting, "CONTAINERD_BACK", 0)
    app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", *[AWAY] * 5)
    with pytest.raises(EngineError, match="unavailable"):
        make()


def test_a_machine_without_an_address_for_ports_says_so(app, make, workspace):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", EngineError("listen tcp4 127.0.0.1: Cannot assign requested address"))
    with pytest.raises(UnsupportedError, match=r"no 127\.0\.0\.1"):
        make()


def test_a_stopped_box_whose_port_is_taken_stays_and_says_so(app, make, workspace):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", TAKEN)
    with pytest.raises(BoxStartError, match="port 2301, which the box 'api' has, is taken"):
        make()
    assert app.docker.container("api").state is State.EXITED
    assert words(changes(app)) == ["start"]


def refuse(*_, **__):
    raise PrivilegeError("sudo does not let you")


def test_who_may_not_be_root_is_told_which_port_the_engine_keeps(app, make, workspace, monkeypatch):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", TAKEN)
    monkeypatch.setattr(daemon, "free_ports", refuse)
    with pytest.raises(BoxStartError, match=r"port 2301, .* is taken: sudo does not let you"):
        make()


def test_who_may_not_be_root_waits_for_the_engine_to_notice(app, make, workspace, monkeypatch):
    app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", *[EngineError(f"task {'0' * 64}: already exists")] * 2)
    monkeypatch.setattr(shims, "end", refuse)
    monkeypatch.setattr(starting, "SHIM_GONE", 1)
    make()
    assert app.docker.container("api").state is State.RUNNING
