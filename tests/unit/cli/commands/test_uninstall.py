import json
import os

import pytest

from containai.away import record as away
from containai.away.record import Entry
from containai.cli.commands import uninstall
from containai.errors import ContainAIError, NotSetUpError
from containai.host import files
from containai.ssh import include
from harness.app import FakeApp
from unit.flows.steps import Switch

OPTIONS = ("dry_run", "containers", "volumes", "images", "purge")


def run(app, **chosen):
    return uninstall.run(app, **dict.fromkeys(OPTIONS, False) | chosen)


def record(app, packages):
    path = app.layout.install_record
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"packages": packages}, file)


def test_where_there_is_nothing_nobody_is_asked(bare, have_steps):
    have_steps(Switch("a"))
    report = run(bare)
    assert (report.value, report.code) == ({"changed": False}, 0)
    assert report.views == ["nothing of ContainAI is set up here\n"]
    assert bare.user.asked == []


def test_from_the_last_step_to_the_first(bare, have_steps):
    first, last = Switch("a", right=True), Switch("b", right=True)
    have_steps(first, last)
    record(bare, ["dnsmasq-base", "runc"])
    report = run(bare)
    assert bare.user.told == ["What will be done (# as root):\n  undo b\n  undo a\n"]
    assert bare.user.asked == ["Do it now?"]
    assert (first.right, last.right) == (False, False)
    packages = ["dnsmasq-base", "runc"]
    assert report.value == {"changed": True, "packages": packages, "data_volumes": []}
    assert report.views[:2] == ["uninstalled\n", ""]
    assert "sudo apt-get purge dnsmasq-base runc\n" in report.views[2]
    assert report.code == 0


def test_without_packages_of_ours_none_is_named(bare, have_steps):
    have_steps(Switch("a", right=True))
    assert run(bare).views[1] == ""


def test_an_include_that_has_to_stay_is_said(bare, have_steps):
    have_steps(Switch("a", right=True))
    line = include.line(bare.layout.ssh_blocks)
    os.makedirs(os.path.dirname(bare.layout.ssh_config), exist_ok=True)
    files.write(bare.layout.ssh_config, f"# mine\n{line}\n")
    (note,) = run(bare).notes
    assert bare.layout.ssh_config in note.text
    assert line in note.text


def test_boxes_that_are_elsewhere_stay_and_are_named(bare, have_steps):
    have_steps(Switch("a", right=True))
    away.put(bare.layout, Entry("api", "work", "api", "/srv/api"))
    for dry_run in (True, False):
        assert "api on work" in run(bare, dry_run=dry_run).notes[-1].text
    files.write(bare.layout.away, "damaged")
    assert run(bare, dry_run=True).notes == []


def test_who_does_not_agree_keeps_it(layout, have_steps):
    bare, step = FakeApp(layout, agrees=False), Switch("a", right=True)
    have_steps(step)
    with pytest.raises(NotSetUpError) as raised:
        run(bare)
    assert (raised.value.exit_code, raised.value.hint) == (16, "run: cai uninstall --yes")
    assert (step.right, bare.machine.ran) == (True, [])


def test_a_dry_run_does_nothing(bare, have_steps):
    step = Switch("a", right=True)
    have_steps(step)
    report = run(bare, dry_run=True)
    assert report.value == {"changed": False, "plan": ["undo a"]}
    assert (step.right, bare.user.asked, bare.machine.ran) == (True, [], [])
    step.right = False
    assert run(bare, dry_run=True).views == ["nothing to do\n"]


def test_options_are_the_scope(bare, have_steps):
    seen = []

    class Noted(Switch):
        def undo(self, host, scope):
            seen.append(scope._asdict())
            return []

    have_steps(Noted("a"))
    for name in OPTIONS[1:]:
        run(bare, **{name: True})
    expected = [{each: each == name for each in OPTIONS[1:]} for name in OPTIONS[1:]]
    assert seen == expected


def test_what_fails_is_said_once_the_rest_is_done(bare, have_steps):
    other = Switch("a", right=True)
    have_steps(other, Switch("b", right=True, fails="it is busy"))
    with pytest.raises(ContainAIError, match="it is busy") as raised:
        run(bare)
    assert (raised.value.exit_code, other.right) == (1, False)
