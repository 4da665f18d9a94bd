"""When Sysbox is tried, when it is not, and what its daemons are started as."""

import os

import pytest

from containai.config import values
from containai.config.settings import Settings
from containai.engine import runtimes, sysbox
from containai.engine.runtimes import Choice
from containai.errors import ContainAIError, EngineError, UnsupportedError, UsageError
from containai.host import service
from containai.host.perform import perform
from containai.layout import Layout
from containai.provision import compat
from containai.provision.compat import Facts
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
    choice = RuntimeChoice(Attempt("auto"), Settings())
    assert choice.check(host)[:2] == (True, "cai-runc: why")
    machine(kernel=(6, 8, 3), docker=(28, 0, 9))
    assert choice.check(host).ok
    machine(kernel=(6, 12), docker=(29, 5))
    found = choice.check(host)
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
    data = "--data-root /var/lib/containai-sysbox --disable-inner-image-preload"
    assert f"\nExecStart={program}mgr {data}\n" in mgr
    assert f"\nExecStart={program}fs --mountpoint /var/lib/containai-sysboxfs\n" in fs
    assert "After=" not in mgr
    assert "\nAfter=containai-sysbox-mgr.service\n" in fs
    for each in (mgr, fs):
        assert "\nBefore=containai-docker.service\n" in each
        assert "\nType=notify\n" in each
        assert "unix:///var/run/containai-docker.sock" in each


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
    choice = RuntimeChoice(Attempt("embedded"), Settings())
    (action,) = choice.plan(host, choice.check(host))
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
