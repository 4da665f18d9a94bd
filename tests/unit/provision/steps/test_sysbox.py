"""When Sysbox is tried, when it is not, and what its daemons are started as."""

import os
import re

import pytest

from containai.config import values
from containai.config.settings import Settings
from containai.engine import daemon, runtimes, sysbox
from containai.engine.container import Container
from containai.engine.fake import FakeEngine
from containai.engine.runtimes import Choice
from containai.errors import ContainAIError, EngineError, UnsupportedError, UsageError
from containai.host import service, services
from containai.host.perform import perform
from containai.layout import Layout
from containai.provision import compat
from containai.provision.compat import Facts
from containai.provision.steps import choice
from containai.provision.steps.choice import RuntimeChoice
from containai.provision.steps.sysbox import RELEASES, SUBORDINATE, VERSION, Attempt, Sysbox
from containai.work.actions import Do

MACHINE = Layout("/", "/home/me", 1000)


def nothing(*_):
    pass


def chose(layout, runtime, **versions):
    os.makedirs(os.path.dirname(layout.runtime_choice), exist_ok=True)
    with open(layout.runtime_choice, "w", encoding="utf-8") as file:
        file.write(runtimes.choice_text(Choice(runtime, "why", versions)))


@pytest.fixture
def machine(monkeypatch):
    """A machine that is as the test says."""

    def be(**facts):
        monkeypatch.setattr(compat, "gather", lambda host, version: Facts(sysbox=version, **facts))

    be(kernel=(6, 8), docker=(28, 0))
    return be


@pytest.mark.parametrize(
    ("asked", "chosen", "settled", "wants"),
    [
        ("auto", None, False, True),
        ("sysbox", None, False, True),
        ("embedded", None, False, False),
        ("auto", "cai-runc", True, False),
        ("auto", "sysbox-runc", True, True),
        ("sysbox", "cai-runc", False, True),
        ("sysbox", "sysbox-runc", True, True),
        ("embedded", "cai-runc", True, False),
        ("embedded", "sysbox-runc", False, False),
    ],
)
def test_an_earlier_choice_stands_where_it_answers(layout, asked, chosen, settled, wants):
    if chosen:
        chose(layout, chosen)
    attempt = Attempt(asked)
    assert (attempt.settled(layout), attempt.wants_sysbox(layout)) == (settled, wants)


def failing(progress):
    raise EngineError("no FUSE here\nmore", hint="h")


def test_what_fails_fails_only_sysbox_where_it_is_wished_for(host):
    done = []
    attempt = Attempt("auto")
    for action in attempt.of([Do("one", failing), Do("two", lambda _: done.append(2))]):
        perform(host, action, nothing)
    assert attempt.trial.failed == attempt.refusal(host) == "no FUSE here"
    assert done == []
    assert not attempt.wants_sysbox(host.layout)


def test_what_fails_is_an_error_where_sysbox_is_asked_for(host):
    (action,) = Attempt("sysbox").of([Do("one", failing)])
    with pytest.raises(EngineError):
        perform(host, action, nothing)
    with pytest.raises(UnsupportedError, match="cannot be used here: no") as caught:
        Attempt("sysbox").give_up("no", "hint")
    assert caught.value.hint == "hint"


def test_known_trouble_ends_it_before_anything_is_fetched(host, machine):
    machine(modules=False)
    with pytest.raises(UnsupportedError, match="without loadable modules"):
        Sysbox(Attempt("sysbox")).check(host)
    machine(kernel=(6, 17), containerd=(2, 2, 1))
    assert Sysbox(Attempt("sysbox")).check(host)[:2] == (
        False,
        f"{VERSION} is not installed",
    )


def test_another_root_has_no_sysbox_unless_it_is_asked_for(host, machine):
    step = Sysbox(Attempt("auto"))
    found = step.check(host)
    assert found.ok
    assert "one Sysbox a machine" in found.seen
    assert step.plan(host, found) == []
    # A check leaves nothing behind that a later one sees.
    assert step.attempt.trial.failed == ""


def test_a_machine_without_a_release_is_told_so(host, machine):
    with pytest.raises(UnsupportedError, match="there is no release for"):
        Sysbox(Attempt("sysbox", releases={})).check(host)


def test_releases_are_pinned():
    assert set(RELEASES) == {"x86_64", "aarch64"}
    for pin in RELEASES.values():
        assert pin.url.startswith(
            f"https://github.com/nestybox/sysbox/releases/download/v{VERSION}/"
        )
        assert pin.name.startswith(f"sysbox-ce_{VERSION}.")
        assert len(bytes.fromhex(pin.sha256)) == 32


def test_a_new_kernel_or_docker_is_probed_again(host, machine):
    chose(host.layout, "cai-runc", kernel="6.8", docker="28.0")
    step = RuntimeChoice(Attempt("auto"), Settings())
    assert step.check(host)[:2] == (True, "cai-runc: why")
    machine(kernel=(6, 8, 3), docker=(28, 0, 9))
    assert step.check(host).ok
    machine(kernel=(6, 12), docker=(29, 5))
    found = step.check(host)
    assert not found.ok
    assert "kernel 6.8 is now 6.12, docker 28.0 is now 29.5" in found.seen


def test_doctor_says_what_is_known_of_the_chosen_one(host, machine):
    machine(kernel=(6, 12, 9), docker=(26, 1, 5), containerd=(1, 7, 24), runc=(1, 1, 15))
    chose(host.layout, "cai-runc", kernel="6.12")
    seen = RuntimeChoice(Attempt("auto"), Settings()).check(host).seen
    assert seen.startswith("cai-runc: why; works: kernel 6.12, Docker 26.1")


def test_the_units_of_the_daemons():
    mgr, fs = map(service.unit, sysbox.both(MACHINE))
    program = "/usr/local/lib/containai-sysbox/sysbox-"
    data = "--data-root /var/lib/containai-sysbox --disable-inner-image-preload --disable-shiftfs"
    assert f"\nExecStart={program}mgr {data}\n" in mgr
    mount = "--mountpoint /var/lib/containai-sysboxfs --log-level warning"
    assert f"\nExecStart={program}fs {mount}\n" in fs
    # What a killed one left is taken away first.
    assert re.search(r'\nExecStartPre=/bin/sh -c ".*" \S+ /var/lib/containai-sysboxfs\n', fs)
    assert "After=" not in mgr
    assert "\nAfter=containai-sysbox-mgr.service\n" in fs
    for each in (mgr, fs):
        assert "\nBefore=containai-docker.service\n" in each
        assert "\nType=notify\n" in each
        assert "unix:///var/run/containai-docker.sock" in each
        # One that was killed is started again; none is stopped or started anew under boxes.
        assert "\nRestart=on-failure\n" in each
        assert "\nRefuseManualStop=yes\n" in each


@pytest.fixture
def installed(host, machine, monkeypatch):
    """Sysbox as this version installs it, with daemons that a test has run."""
    chose(host.layout, "sysbox-runc")
    os.makedirs(host.layout.sysbox_dir)
    for name, text in (("sysbox-runc", ""), ("release", RELEASES[os.uname().machine].sha256)):
        with open(os.path.join(host.layout.sysbox_dir, name), "w", encoding="utf-8") as file:
            file.write(text)

    def be(*, current=True, users=(), running=True):
        monkeypatch.setattr(sysbox, "running", lambda _: running)
        monkeypatch.setattr(sysbox, "current", lambda _: current)
        monkeypatch.setattr(sysbox, "users", lambda _: None if users is None else list(users))

    return be


def titles(step, host):
    return [action.brief() for action in step.plan(host, step.check(host))]


END = "end sysbox-mgr and sysbox-fs, and wait until they have ended"
START = "start sysbox-mgr and sysbox-fs, and wait until they are ready"


def test_daemons_of_an_earlier_version_are_exchanged_where_no_box_runs(host, installed):
    step = Sysbox(Attempt("auto"))
    installed()
    assert step.check(host)[:2] == (True, f"{VERSION} in {host.layout.sysbox_dir}")
    installed(current=False)
    assert step.check(host)[:2] == (False, "its daemons are an earlier version's")
    assert titles(step, host) == [END, START]


@pytest.mark.parametrize("users", [["a", "b"], None])
def test_daemons_are_never_exchanged_under_boxes(host, installed, users):
    step = Sysbox(Attempt("sysbox"))
    installed(current=False)
    actions = step.plan(host, step.check(host))
    installed(current=False, users=users)
    found = step.check(host)
    assert found.ok
    assert "a, b run" in found.seen or "engine does not answer" in found.seen
    assert found.hint.endswith("cai doctor --fix")
    assert step.plan(host, found) == []
    # Nor where one has been started since it was looked at.
    with pytest.raises(ContainAIError, match="are not ended while"):
        perform(host, actions[0], nothing)


def test_a_new_release_waits_for_boxes(host, installed):
    step = Sysbox(Attempt("auto"))
    with open(os.path.join(host.layout.sysbox_dir, "release"), "w", encoding="utf-8") as file:
        file.write("an earlier one")
    installed(users=["a"])
    found = step.check(host)
    assert found[:2] == (True, f"{VERSION} is not installed yet: a run on an earlier one")
    assert step.plan(host, found) == []
    installed()
    assert titles(step, host)[-2:] == [END, START]
    installed(running=False)
    assert END not in titles(step, host)


def test_units_of_an_earlier_version_are_written_and_nothing_stops(installed, monkeypatch):
    from containai.host.fake import FakeMachine
    from containai.provision.steps import sysbox as module

    host = FakeMachine(MACHINE)
    monkeypatch.setattr(services, "manager", lambda _: services.Units(host))
    monkeypatch.setattr(sysbox, "is_ours", lambda _: True)
    monkeypatch.setattr(module, "_is_hosts", lambda _: False)
    monkeypatch.setattr(Sysbox, "_is_installed", lambda *_: True)
    installed(users=["a"], current=False)
    step = Sysbox(Attempt("embedded"))
    found = step.check(host)
    assert found[:2] == (False, "its units are an earlier version's")
    described = [action.describe() for action in step.plan(host, found)]
    assert "RefuseManualStop=yes" in described[0]
    assert "# systemctl daemon-reload" in described
    assert not [line for line in described if line.startswith(END)]


def test_boxes_of_sysbox_keep_its_daemons_where_another_runtime_is_chosen(host, installed):
    chose(host.layout, "cai-runc")
    step = Sysbox(Attempt("embedded"))
    installed()
    assert step.check(host).seen.endswith("for boxes that were made with it")
    installed(running=False)
    assert step.check(host)[:2] == (False, "its daemons do not run")
    assert [one.optional for one in sysbox.needed(host.layout)] == [True, True]
    chose(host.layout, "sysbox-runc")
    assert [one.optional for one in sysbox.needed(host.layout)] == [False, False]


@pytest.mark.parametrize(
    ("state", "done"),
    [
        ({}, ["sysbox-mgr", "sysbox-fs"]),
        ({"current": False}, ["stop", "sysbox-mgr", "sysbox-fs"]),
        ({"current": False, "users": ["a"]}, ["sysbox-mgr", "sysbox-fs"]),
        ({"current": False, "users": None}, ["sysbox-mgr", "sysbox-fs"]),
    ],
)
def test_a_start_of_a_box_has_the_daemons_run_and_exchanges_old_ones(
    host, installed, monkeypatch, state, done
):
    did = []
    manager = services.manager(host)
    monkeypatch.setattr(manager, "start", lambda daemon: did.append(daemon.name))
    monkeypatch.setattr(services, "manager", lambda _: manager)
    monkeypatch.setattr(sysbox, "stop", lambda _: did.append("stop"))
    installed(**state)
    sysbox.ready(host)
    assert did == done


def test_boxes_with_another_runtime_than_new_ones_are_named(host, machine, monkeypatch):
    engine = FakeEngine(host)
    monkeypatch.setattr(choice, "Engine", lambda _: engine)
    monkeypatch.setattr(daemon, "answering", lambda _: True)
    chose(host.layout, "cai-runc")
    step = RuntimeChoice(Attempt("auto"), Settings())
    engine.add(Container("a1", "a", runtime="cai-runc"))
    engine.add(Container("b2", "somebodys", runtime="runc"))
    assert step.check(host).seen == "cai-runc: why"
    engine.add(Container("c3", "c", runtime="sysbox-runc"))
    seen = step.check(host).seen
    assert "; c keeps sysbox-runc: cai run --fresh makes one anew, its data stays" in seen
    chose(host.layout, "sysbox-runc")
    assert "; a keeps cai-runc: " in step.check(host).seen


@pytest.mark.parametrize("kept", [True, False])
def test_sysbox_stays_as_long_as_a_box_was_made_with_it(host, installed, monkeypatch, kept):
    engine = FakeEngine(host)
    if kept:
        engine.add(Container("c3", "c", runtime="sysbox-runc"))
    monkeypatch.setattr(choice, "Engine", lambda _: engine)
    monkeypatch.setattr(choice.probe, "probe", lambda *_: "")
    monkeypatch.setattr(choice, "_configure", lambda *_: None)
    installed(running=False)
    step = RuntimeChoice(Attempt("embedded"), Settings())
    (action,) = step.plan(host, step.check(host))
    host.ran.clear()
    perform(host, action, nothing)
    assert runtimes.chosen(host.layout) == "cai-runc"
    removed = [words for words in host.ran if host.layout.sysbox_dir in words]
    assert bool(removed) is not kept


def test_one_that_nobody_stops_by_hand_is_ended_by_us(host, monkeypatch):
    mgr, _ = sysbox.both(MACHINE)
    services.Units(host).stop(mgr)
    assert host.ran == [("#", "systemctl", "kill", "--signal=TERM", mgr.unit)]


@pytest.mark.parametrize("value", ["auto", "sysbox", "embedded"])
def test_the_setting(value):
    assert values.runtime(value) == value


def test_a_setting_that_is_none(layout):
    with pytest.raises(UsageError) as caught:
        Settings.load(layout.config_file, {"CONTAINAI_ENGINE_RUNTIME": "runc"})
    assert "auto, sysbox, embedded" in caught.value.hint


def test_no_runtime_is_no_fallback(host, machine, monkeypatch):
    from containai.boxes import probe

    monkeypatch.setattr(probe, "probe", lambda *_: "no overlay")
    step = RuntimeChoice(Attempt("embedded"), Settings())
    (action,) = step.plan(host, step.check(host))
    with pytest.raises(ContainAIError, match="no runtime works on this machine: cai-runc: no over"):
        perform(host, action, nothing)
    assert runtimes.read_choice(host.layout) is None


def test_the_ids_of_sysbox_are_nobody_elses():
    name, first, count = SUBORDINATE.split(":")
    base, window = MACHINE.id_window
    # systemd's foreign ids start there (UIDS-GIDS.md).
    assert base + window <= int(first)
    assert int(first) + int(count) <= 2147352576
    assert (name, count) == ("sysbox", "65536")
