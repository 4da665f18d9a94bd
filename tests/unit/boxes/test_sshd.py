"""What systemd in a box says of its sshd, and what follows from it."""

import pytest

from containai.boxes import sshd
from containai.boxes.sshd import Sshd, Unit
from containai.errors import SshConnectError


@pytest.mark.parametrize(
    ("said", "is_down"),
    [
        ("LoadState=loaded\nActiveState=active\nSystem=running", False),
        ("LoadState=loaded\nActiveState=activating\nSystem=starting", False),
        ("LoadState=loaded\nActiveState=inactive\nJob=27\nSystem=starting", False),
        ("LoadState=loaded\nActiveState=inactive\nSystem=starting", False),
        ("LoadState=loaded\nActiveState=inactive\nSystem=stopping", False),
        ("LoadState=loaded\nActiveState=inactive\nSystem=running", True),
        ("LoadState=loaded\nActiveState=inactive\nSystem=degraded", True),
        ("LoadState=loaded\nActiveState=failed\nSystem=degraded", True),
        ("LoadState=masked\nActiveState=inactive\nSystem=starting", True),
        ("LoadState=not-found\nActiveState=inactive\nSystem=running", True),
        ("", False),
        ("anything\n=\n===\x1b", False),
    ],
)
def test_whether_nothing_is_about_to_start_it(said, is_down):
    assert Unit.parse(said).is_down == is_down


@pytest.fixture
def waited_for(app, monkeypatch):
    """Return the sshd of a box for which somebody waits long enough to look."""
    monkeypatch.setattr(sshd, "_FIRST_LOOK", 0.0)
    return Sshd(app.engine, "api", "id", lambda: False)


def answer(app, *outcomes):
    """Have a box answer so, one request after the other."""
    (code, out), *rest = outcomes
    argv = app.engine.argv("exec")
    app.machine.answer(*argv, code=code, out=out, act=lambda: rest and answer(app, *rest))


def test_one_that_failed_is_started_once(app, waited_for):
    failed = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nSystem=degraded"
    answer(app, (0, failed), (0, ""), (0, failed), (0, "line 1: Bad configuration\n\x1b[2Jx"))
    waited_for.look()
    waited_for._next = 0
    with pytest.raises(SshConnectError, match=r"does not run \(failed, exit-code\)") as caught:
        waited_for.look()
    assert str(caught.value).endswith("; its journal says last:\n  line 1: Bad configuration\n  x")
    assert "cai docker exec -it api bash" in caught.value.hint


def test_one_that_is_masked_is_not_started(app, waited_for):
    answer(app, (0, "LoadState=masked\nActiveState=inactive"), (1, ""))
    with pytest.raises(SshConnectError, match=r"does not run \(masked\)$"):
        waited_for.look()


def test_a_box_that_does_not_say_is_waited_for(app, waited_for):
    answer(app, (1, "ActiveState=failed"))
    waited_for.look()
    assert len(app.ran("exec")) == 1
