"""Mending: what is asked before, what is left, and that a dry run is the same plan."""

import pytest

from containai.cli.commands import doctor as command
from containai.flows import doctor
from containai.work.actions import Finding, unknown
from harness.app import FakeApp
from harness.ui import Silent

from .steps import Switch


class Stops(Switch):
    """A step whose mending stops something, unless its finding says that it does not."""

    interrupts = "stops every box"

    def __init__(self, title, *, harmless=False):
        super().__init__(title)
        self.harmless = harmless

    def check(self, host):
        return super().check(host)._replace(is_harmless=self.harmless)


class Beyond(Switch):
    """A step that nothing of ours mends."""

    otherwise = "buy another"

    def __init__(self, title, hint=""):
        super().__init__(title)
        self.hint = hint

    def check(self, host):
        return Finding(False, "gone", hint=self.hint)

    def plan(self, host, finding):
        return []


class Hidden(Switch):
    """A step that cannot be looked at, and would be made right by what nobody asked for."""

    def check(self, host):
        return unknown("nobody answers")


@pytest.fixture
def host(host):
    host.missing = {"apt-get"}
    return host


def test_what_stops_something_is_asked_about(host):
    step, ui = Stops("a"), Silent(agrees=False)
    [mended] = doctor.fix(host, [step], ui)
    assert ui.asked == ["a: this stops every box. Do it?"]
    assert not step.right
    assert str(mended.error) == "a is left as it is: mending it stops every box"
    assert mended.error.hint == "agree to it: cai doctor --fix --yes"
    # What would be done was shown before.
    assert "make a right" in ui.told[0]

    assert doctor.fix(host, [step], Silent()) == [doctor.Mended("a")]
    assert step.right


def test_what_stops_nothing_this_time_is_not_asked_about(host):
    step, ui = Stops("a", harmless=True), Silent(agrees=False)
    assert doctor.fix(host, [step], ui) == [doctor.Mended("a")]
    assert ui.asked == []


def test_what_nothing_mends_comes_with_what_to_do(host):
    ui = Silent()
    first, second = doctor.fix(host, [Beyond("a"), Beyond("b", "run: it")], ui)
    assert (str(first.error), first.error.hint) == (
        "a cannot be mended by cai: gone",
        "buy another",
    )
    assert second.error.hint == "run: it"
    assert ui.said == []


def test_what_is_only_wanted_and_nothing_mends_is_left(host):
    class Wanted(Beyond):
        def check(self, host):
            return Finding(False, "gone", optional=True)

    assert doctor.fix(host, [Wanted("a")], Silent()) == []
    assert doctor.preview(host, [Wanted("a")])[1] == []


def test_what_could_not_be_looked_at_is_left(host):
    assert doctor.fix(host, [Hidden("a")], Silent()) == []
    rows, proposals = doctor.preview(host, [Hidden("a")])
    assert [row.finding.state for row in rows] == ["unknown"]
    assert proposals == []


def test_a_dry_run_changes_nothing_and_is_what_would_be_done(host, have_steps, layout):
    steps = [Stops("a"), Beyond("b", "run: it"), Switch("c", right=True)]
    have_steps(*steps)
    app = FakeApp(layout)
    report = command.run(app, fix=True, dry_run=True)
    assert report.views == [
        "a: looked at 1 times\n"
        "    asked before: this stops every box\n"
        "    make a right\n"
        "        $ turn it\n"
        "b: gone\n"
        "    left as it is: b cannot be mended by cai: gone\n"
        "    hint: run: it\n"
    ]
    first, second = report.value["plan"]
    assert (first["step"], first["interrupts"]) == ("a", "stops every box")
    assert first["actions"] == ["make a right\n    $ turn it"]
    assert (second["actions"], second["hint"]) == ([], "run: it")
    assert (report.code, steps[0].right, app.user.asked) == (1, False, [])
    # So it is without --fix, and where nothing is wrong nothing is planned.
    assert command.run(app, dry_run=True).value["plan"][0]["step"] == "a"
    have_steps(Switch("c", right=True))
    done = command.run(app, dry_run=True)
    assert (done.views, done.code) == (["nothing to do\n"], 0)


def test_what_is_still_wrong_is_shown_with_what_there_is_to_do(have_steps, layout):
    have_steps(Switch("a"), Beyond("b", "run: it"))
    app = FakeApp(layout)
    app.machine.missing = {"apt-get"}
    report = command.run(app, fix=True)
    assert report.code == 1
    assert "ok       a: looked at" in report.views[0]
    assert "wrong    b: gone\n         hint: run: it\n" in report.views[0]
    assert report.notes[0].text == "not everything could be mended"


def test_several_are_looked_at_at_once_in_their_order(host):
    """Where sudo would ask in each of them for a password, one after the other."""
    import threading

    from containai.provision import apply

    meet = threading.Barrier(2)

    class Waits(Switch):
        def check(self, host):
            meet.wait(5)
            return Finding(True, threading.current_thread().name)

    rows = apply.examine(host, [Waits("a"), Waits("b")])
    assert [row.step.title for row in rows] == ["a", "b"]
    assert [row.finding.ok for row in rows] == [True, True]

    host.root = False
    host.answer("sudo", "--non-interactive", code=1)
    names = [row.finding.seen for row in apply.examine(host, [Named("a"), Named("b")])]
    assert names == ["MainThread", "MainThread"]


class Named(Switch):
    def check(self, host):
        import threading

        return Finding(True, threading.current_thread().name)
