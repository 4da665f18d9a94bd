"""Background processes for services: started, watched, stopped; and what is asked of systemd."""

import os
import signal

import pytest

from containai.errors import EngineError
from containai.host import processes, services
from containai.host.fake import FakeMachine
from containai.host.service import MAIN_PID, Kind, Service
from containai.host.services import Background, Units
from containai.layout import Layout
from harness.host import HOST
from harness.waiting import until

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="services are root's")


@pytest.fixture
def script(tmp_path):
    """Return a service that is a script of the test's."""
    made = []

    def make(text, **fields):
        path, ready = tmp_path / "a program", tmp_path / "ready"
        path.write_text(f"#!/bin/sh\nready='{ready}'\n{text}", encoding="utf-8")
        path.chmod(0o755)
        found = Service(
            name="the program",
            unit="it.service",
            log=str(tmp_path / "logs" / "it.log"),
            start_timeout=20.0,
            stop_timeout=20.0,
            find=lambda: processes.started_as(str(path)),
            ready=ready.exists,
            argv=(str(path), "a word"),
        )._replace(**fields)
        made.append(found)
        return found

    yield make
    for each in made:
        processes.send(HOST, signal.SIGKILL, each.find())


STAYS = 'touch "$ready"; trap \'rm "$ready"; exit\' TERM; while :; do sleep .05; done\n'


def leading(it):
    """Return its processes that lead a session: a fork has its name until it is another program."""
    return [each for each in it.find() if _leads(each.pid)]


def _leads(pid):
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


@ROOT
def test_start_and_stop(script):
    it, manager = script(STAYS), Background(HOST)
    manager.stop(it)
    manager.start(it)
    [process] = leading(it)
    assert process.words[1:] == (it.argv[0], "a word")
    manager.start(it)
    assert leading(it) == [process]
    manager.stop(it)
    assert it.find() == []


def _whole(path, count):
    """Return the lines of a file once there are so many."""
    lines = path.read_text().splitlines() if path.exists() else []
    return lines if len(lines) == count and path.read_text().endswith("\n") else []


@ROOT
def test_what_it_is_started_with(script, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    seen = tmp_path / "seen"
    variables = tmp_path / "variables"
    variables.write_text('B="d!&%e"\n', encoding="ascii")
    text = f"""{{
        ulimit -c; echo "$A $B $LC_ALL${{XDG_RUNTIME_DIR-}}"; grep SigIgn /proc/$$/status
    }} >"{seen}"\n{STAYS}"""
    order = []

    def wanted():
        order.append("wanted")
        return True

    other = script(STAYS)._replace(ready=wanted)
    cleared = {"clear": lambda: order.append("cleared")}
    it = script(text, environment=(("A", "b c"),), limits=(("core", "1:infinity"),), wants=(other,))
    it = it._replace(environment_file=str(variables))
    Background(HOST).start(it._replace(**cleared, prepare=(("touch", str(tmp_path / "prepared")),)))
    assert order == ["wanted", "cleared"]
    assert (tmp_path / "prepared").exists()
    # It is taken for started before it has written all.
    core, given, ignored = until(lambda: _whole(seen, 3))
    # In blocks of 512 bytes.
    assert (core, given) == ("0", "b c d!&%e C")
    interrupt = 1 << (signal.SIGINT - 1)
    assert not int(ignored.split()[1], 16) & interrupt


@ROOT
def test_one_with_a_command_that_starts_it_has_nothing_of_ours(script, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    seen = tmp_path / "seen"
    it = script("")
    launch = ("sh", "-c", 'env >"$0"; touch "$1"', str(seen), str(tmp_path / "ready"))
    Background(HOST).start(it._replace(launch=launch))
    names = {line.split("=")[0] for line in seen.read_text().splitlines()}
    # PWD and its like are the shell's own.
    assert "PATH" in names
    assert not names & {"XDG_RUNTIME_DIR", "HOME", "USER", "LANG", "TERM"}


@ROOT
def test_one_that_ends_says_why(script):
    it = script("echo reason >&2; exit 3\n")
    with pytest.raises(EngineError, match=r"the program does not start: its log.*\n  reason") as no:
        Background(HOST).start(it)
    assert it.log in no.value.hint
    Background(HOST).start(it._replace(optional=True))


@ROOT
def test_one_that_is_not_there():
    it = Service("it", "it.service", "/log", 1.0, 1.0, argv=("/none",))
    with pytest.raises(EngineError, match="/none is missing"):
        Background(HOST).start(it)
    Background(HOST).start(it._replace(optional=True))


@ROOT
def test_a_stop_of_its_own(script, tmp_path):
    it, manager = script(STAYS), Background(HOST)
    manager.start(it)
    [process] = leading(it)
    kill = ("sh", "-c", f'echo "$1" >"{tmp_path}/told"; kill "$1"', "sh", MAIN_PID)
    manager.stop(it._replace(stop=kill))
    assert (tmp_path / "told").read_text() == f"{process.pid}\n"
    assert not processes.runs(process)


@ROOT
def test_one_that_does_not_end(script):
    it = script("trap '' TERM; " + STAYS.replace("trap", ": trap"), stop_timeout=0.1)
    Background(HOST).start(it)
    # A child has its parent's name until it has become what it runs.
    with pytest.raises(EngineError, match=r"the program \(pid [\d ]+\) did not end"):
        Background(HOST).stop(it)


@ROOT
def test_a_one_shot_and_its_companions(tmp_path):
    path = str(tmp_path / "done")
    once = Service(
        "it", "it.service", "/log", 1.0, 1.0,
        kind=Kind.ONESHOT, argv=("/usr/bin/touch", path), stop=("rm", path), at_boot=True,
    )  # fmt: skip
    it = once._replace(kind=Kind.SIMPLE, wants=(once,))
    Background(HOST).start(once)
    assert os.path.exists(path)
    Background(HOST).stop_companions(it)
    assert not os.path.exists(path)


def test_units_that_somebody_disabled(tmp_path, monkeypatch):
    monkeypatch.setattr(Layout, "unit_file", lambda self, unit: str(tmp_path / unit))
    manager = Units(FakeMachine(Layout("/", "/h", 1000)))
    one = Service("it", "it.service", "/log", 1.0, 1.0)
    boot = one._replace(unit="boot.service", at_boot=True)
    assert manager.off_at_boot([one, boot]) == ["boot.service"]
    (tmp_path / "multi-user.target.wants").mkdir()
    (tmp_path / "multi-user.target.wants" / "boot.service").symlink_to("/nowhere")
    assert manager.off_at_boot([one, boot]) == []


def test_units():
    host = FakeMachine(Layout("/", "/h", 1000))
    manager = Units(host)
    states = iter([False, False, True])
    it = Service("it", "it.service", "/log", 1.0, 1.0, ready=lambda: next(states), argv=("/bin/a",))
    boot = it._replace(unit="boot.service", at_boot=True)
    manager.start(it)
    manager.stop(it)
    manager.renew(it)
    manager.stop_companions(it._replace(wants=(boot, it)))
    assert host.ran == [
        # Else one that failed five times in a minute is not started.
        ("#", "systemctl", "reset-failed", "it.service"),
        ("#", "systemctl", "start", "it.service"),
        ("#", "systemctl", "stop", "it.service"),
        ("#", "systemctl", "restart", "it.service"),
        ("#", "systemctl", "stop", "it.service"),
    ]
    assert list(manager.files([it])) == ["/etc/systemd/system/it.service"]
    assert manager.enable([it, boot])[1] == ["systemctl", "enable", "boot.service"]
    assert manager.logs(it) == "journalctl --unit it.service"


def test_the_decision(host):
    own = FakeMachine(Layout("/", "/h", 0))
    for booted in (False, True):
        host.systemd = own.systemd = booted
        assert isinstance(services.manager(host), Background)
        assert isinstance(services.manager(own), Units if booted else Background)


@ROOT
def test_an_interpreter_may_stand_before_it(script):
    it = script(STAYS)
    Background(HOST).start(it)
    assert len(processes.started_as(it.argv[0], "a word")) == 1
    assert processes.started_as(it.argv[0], "another") == []
