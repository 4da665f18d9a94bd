"""What a user is told, and the exit code, in each way in which a server can fail."""

import io
import re

import pytest

from containai.away import places
from containai.cli import main as cli
from containai.cli.commands import remote
from containai.cli.output import Output
from containai.incus.client import Incus
from containai.incus.wire import Wire
from harness.incus_server import Fault, Operation

from .test_remote import added, server  # noqa: F401 - fixtures

#: What is asked as a place is shown, and as a box of it is started.
SHOWN, STARTED = "GET /1.0", "PUT /1.0/instances/api/state"


@pytest.fixture
def place(app, added, monkeypatch):  # noqa: F811
    """A server with a box, which is known by the name work, and is not waited for long."""
    request, wait = Wire.request, Incus.wait

    def hurried(self, *words, **more):
        return request(self, *words, **more | {"timeout": 0.3})

    monkeypatch.setattr(Wire, "request", hurried)
    monkeypatch.setattr(Incus, "wait", lambda self, name, *_: wait(self, name, 0.3))
    added.handlers[STARTED] = lambda asked: Operation(ends=False)
    return added


def said(act):
    """Return what a command ends with, and what it says."""
    out, err = io.StringIO(), io.StringIO()
    code = cli.caught(lambda: (act(), False), Output(out, err, {}))
    assert out.getvalue() == ""
    return code, err.getvalue()


FAULTS = {
    "slow": (Fault("slow", 5), "does not answer in time", "try again"),
    "cut": (Fault("before"), "broke off|ended|cut", "try again"),
    "cut in the middle": (Fault("mid"), "breaks off|ended|cut", "try again"),
    "403": (
        Fault("status", 403, "not for you"),
        "the server says: not for you",
        "administrator|cai remote add",
    ),
    "404": (Fault("status", 404, "not found"), "the server says: not found", "administrator"),
    "500": (Fault("status", 500, "the disk burns"), "the disk burns", "administrator"),
    "garbage": (Fault("garbage", text="<html>"), "is no JSON: b'<html>'", "Incus server"),
    "no HTTP": (
        Fault("raw", text="SSH-2.0-x\r\n"),
        "does not answer as Incus does",
        "Incus server",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_place_that_is_shown(app, place, kind):
    fault, words, hint = FAULTS[kind]
    place.faults[SHOWN] = fault
    code, text = said(lambda: remote.show(app, name="work"))
    assert code == 31
    first, second, *more = text.splitlines()
    assert re.match(f"cai: work: .*({words})", first), text
    assert re.match(f"  hint: .*({hint})", second), text
    assert more == []


@pytest.mark.parametrize("kind", FAULTS)
def test_a_box_that_is_started(app, place, kind):
    fault, words, hint = FAULTS[kind]
    place.faults[STARTED] = fault
    code, text = said(lambda: places.open_place(app.host, "work").start("api"))
    assert code == 31
    assert re.match(f"cai: work: .*({words})", text), text
    assert re.search(f"  hint: .*({hint})", text), text


def test_an_operation_that_never_ends(app, place):
    code, text = said(lambda: places.open_place(app.host, "work").start("api"))
    assert code == 31
    assert text == (
        "cai: work: the server has not ended it within 0.3 s; it cannot be cancelled, and may go "
        "on\n  hint: see what it does: incus operation list\n"
    )
