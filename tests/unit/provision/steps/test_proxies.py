"""dockerd is told of this machine's proxies: by a file that root alone reads."""

import os

import pytest

from containai.engine import configuration, daemon
from containai.engine.network import Network
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.host.proxies import Proxies
from containai.host.surroundings import Surroundings
from containai.provision.steps import engine as engine_step
from containai.provision.steps.engine import EngineFiles, EngineRunning

NETWORK = Network("10.203.0.0/20")
URL = "http://me:secret@127.0.0.1:3128"
KNOWN = Proxies(https=URL, direct=("localhost", ".example.com"), apt_http="http://apt.example")
TEXT = f"""\
https_proxy="{URL}"
no_proxy="localhost,.example.com"
HTTPS_PROXY="{URL}"
NO_PROXY="localhost,.example.com"
"""


class Told(Machine):
    """This machine, with proxies of a test's."""

    known = KNOWN

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(proxies=self.known)


@pytest.fixture
def told(layout, own_root):
    return Told(layout)


def write_it(machine, step):
    """Write what is to be written of it; return that, and how a dry run shows it."""
    files = step._told_proxies(machine)
    shown = [file.describe() for file in files]
    for file in files:
        perform(machine, file, lambda *_: None)
    return [file.text for file in files], shown


def test_the_file(told):
    [text], [shown] = write_it(told, EngineFiles())
    assert text == TEXT
    assert "secret" not in shown
    assert "me:…@127.0.0.1:3128" in shown
    path = configuration.proxies_file(told.layout)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert write_it(told, EngineFiles()) == ([], [])


def test_who_has_none_takes_nobodys_away_unless_it_is_said(told):
    for step in (EngineFiles(), EngineFiles(proxies=False)):
        told.known = Proxies()
        assert write_it(told, step) == ([], [])
    told.known = KNOWN
    write_it(told, EngineFiles())
    told.known = Proxies()
    assert write_it(told, EngineFiles()) == ([], [])
    assert write_it(told, EngineFiles(proxies=False))[0] == [""]
    assert write_it(told, EngineFiles(proxies=False)) == ([], [])


def test_a_dockerd_that_was_told_of_others_is_exchanged(layout, host, monkeypatch):
    monkeypatch.setattr(daemon, "answering", lambda host: True)
    pid, path = layout.engine_pidfile, configuration.proxies_file(layout)
    for each in (pid, path):
        os.makedirs(os.path.dirname(each), exist_ok=True)
        with open(each, "w", encoding="ascii"):
            pass
    os.utime(path, (1, 1))
    assert EngineRunning().check(host).ok
    os.utime(pid, (0, 0))
    assert EngineRunning().check(host).seen == "was told of other proxies"


def test_a_link_that_leads_to_itself_is_not_newer_than_anything(tmp_path):
    os.symlink(tmp_path / "proxies", tmp_path / "proxies")
    assert not engine_step._is_newer(str(tmp_path / "proxies"), str(tmp_path))
