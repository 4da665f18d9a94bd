"""Two versions of cai on one machine, and two users who find the same program by other paths."""

import json
import os
import shutil

import pytest

import containai
from containai.engine import daemon
from containai.engine import network as networks
from containai.host import service
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision import versions
from containai.provision.steps import engine
from containai.provision.steps.engine import EngineFiles
from containai.provision.steps.runtime import Runtime
from containai.work.actions import WriteFile


def set_up(host, *steps):
    """Write what steps would write, without root's part."""
    for step in steps:
        for action in step.plan(host, step.check(host)):
            if isinstance(action, WriteFile):
                os.makedirs(os.path.dirname(action.path), exist_ok=True)
                with open(action.path, "w", encoding="utf-8") as file:
                    file.write(action.text)
                os.chmod(action.path, action.mode)


@pytest.fixture
def both(layout, host, monkeypatch):
    """The steps whose files are a version's, on a machine that version 1.10.0 set up."""
    monkeypatch.setattr(engine, "CONTAINERD_DIRECTORIES", (layout.home,))
    monkeypatch.setattr(containai, "__version__", "1.10.0")
    steps = (Runtime(), EngineFiles())
    assert steps[0].check(host)[:2] == (False, "not installed")
    set_up(host, *steps)
    assert [step.check(host).ok for step in steps] == [True, True]
    with open(layout.version_file, encoding="utf-8") as file:
        assert file.read() == "1.10.0\n"
    for path in (layout.runtime_program, layout.network_program):
        with open(path, "a", encoding="utf-8") as file:
            file.write("# something that the other version does not have\n")
    return steps


@pytest.mark.parametrize("version", ["1.9.0", "1.9", "0.10.1", "1.10"])
def test_an_older_version_leaves_a_newer_runtime(both, host, monkeypatch, version):
    monkeypatch.setattr(containai, "__version__", version)
    for step in both:
        found = step.check(host)
        assert found.ok
        assert f"of cai 1.10.0, newer than this {version}" in found.seen
        assert "cai uninstall, then cai setup" in found.hint
        assert step.plan(host, found) == []


@pytest.mark.parametrize("version", ["1.10.1", "1.11", "2.0.0", "10.0"])
def test_a_newer_version_takes_its_place_and_says_so(both, host, monkeypatch, version):
    monkeypatch.setattr(containai, "__version__", version)
    found = both[0].check(host)
    assert found[:2] == (False, f"of cai 1.10.0, to be exchanged for {version}")
    set_up(host, *both)
    assert [step.check(host).ok for step in both] == [True, True]
    assert versions.installed(host.layout) == version
    # And from now on the other is the older one.
    monkeypatch.setattr(containai, "__version__", "1.10.0")
    assert [step.plan(host, step.check(host)) for step in both] == [[], []]


@pytest.mark.parametrize("version", ["1.10.0", "1.10.0+local", "1.10.0.dev2"])
def test_another_source_of_the_same_version_is_exchanged(both, host, monkeypatch, version):
    """A developer's checkout: who asks for it gets it."""
    monkeypatch.setattr(containai, "__version__", version)
    assert not both[0].check(host).ok
    assert "1.10.0" in both[0].check(host).seen
    set_up(host, *both)
    assert [step.check(host).ok for step in both] == [True, True]


def test_a_runtime_from_before_there_were_versions(both, layout, host):
    os.unlink(layout.version_file)
    assert both[0].check(host)[:2] == (False, "out of date")
    for odd in ("", "x\n", "\n"):
        with open(layout.version_file, "w", encoding="utf-8") as file:
            file.write(odd)
        assert versions.newer(layout) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs count")
def test_the_same_runc_by_another_path_is_the_same(layout, tmp_path):
    own, link, copy = (str(tmp_path / name / "runc") for name in ("own", "link", "copy"))
    for path in (own, link, copy):
        os.mkdir(os.path.dirname(path))
    shutil.copy("/bin/true", own)
    os.symlink(own, link)
    shutil.copy("/bin/true", copy)
    step, host = Runtime(), Machine(layout)

    def users(path):
        host.path = os.path.dirname(path)

    users(link)
    set_up(host, step)
    settings = os.path.join(layout.runtime_dir, "runtime.json")
    with open(settings, encoding="utf-8") as file:
        assert json.load(file)["runc"] == link
    users(own)
    assert step.check(host).ok
    users("/nowhere/runc")  # a user whose settings name no place for it
    assert step.check(host).ok
    users(copy)
    assert not step.check(host).ok
    # One that others can change is nobody's choice.
    os.chown(own, 1000, 1000)
    users(own)
    assert not step.check(host).ok
    assert versions.program(host, own, "runc") == "/usr/sbin/runc"
    with open(settings, "w", encoding="utf-8") as file:
        file.write("{")
    assert not step.check(host).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs count")
def test_the_same_dockerd_by_another_path_is_the_same(tmp_path, monkeypatch):
    """As above, in a unit."""
    layout = Layout("/", "/home/u", 1000)
    machine = Machine(layout)
    machine.path = str(tmp_path)
    own, other = (str(tmp_path / name) for name in ("dockerd", "other"))
    shutil.copy("/bin/true", own)
    os.symlink(own, other)
    monkeypatch.setattr(machine, "has_systemd", lambda: True)
    monkeypatch.setattr(engine.networks, "routes", lambda host: "")
    network = networks.of("10.203.0.0/21")
    text = service.unit(daemon.service(machine, network, other))
    monkeypatch.setattr(
        engine.files, "read", lambda path: text if path == layout.engine_unit_file else None
    )
    units = {each.path: each.text for each in EngineFiles()._wanted(machine, network)}
    assert f"ExecStart={other} --config-file" in units[layout.engine_unit_file]
