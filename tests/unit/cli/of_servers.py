"""Commands on servers that say what steers a terminal: cases of test_views.py."""

import pytest

from containai.cli.command import parse
from containai.cli.commands import _remote_doctor, _remote_prepare
from containai.flows import remote_doctor
from containai.flows.remote_doctor import Looked
from containai.incus import judge
from containai.incus.known import Remote
from containai.incus.prepare import Wanted, commands
from containai.incus.server import Project
from containai.incus.tls import Address
from unit.cli.of_running import EVIL
from unit.incus.of_places import ABOUT, CONFIG, RIGHT


def _doctor(app):
    seen = RIGHT._replace(
        about=ABOUT._replace(version=EVIL),
        project=Project("boxes", "", CONFIG | {"restricted.devices.gpu": EVIL}),
    )
    remote = Remote(EVIL, (Address("127.0.0.1", 1),), "f" * 64, "boxes")
    with pytest.MonkeyPatch.context() as patch:
        looked = Looked(remote, judge.checks(seen, "boxes"))
        patch.setattr(remote_doctor, "look", lambda app, name: looked)
        return _remote_doctor.run(app, name=EVIL)


def _prepare(app):
    app.machine.release = {"ID": "debian", "VERSION_ID": "13"}
    app.machine.answer(*commands(Wanted("alice"))[-1].words, out=EVIL)
    return _remote_prepare.run(
        app, **parse(_remote_prepare.COMMAND, ["--user", "alice", "--apply"]).keywords
    )


CASES = [
    ("remote doctor", _doctor, True),
    ("remote prepare", _prepare, True),
]
