import pytest

from containai.errors import ContainAIError, NotSetUpError
from containai.flows import doctor, setup, uninstall
from containai.provision import apply
from containai.provision.step import Scope
from containai.work.actions import dry_run
from harness.ui import Silent

from .steps import Switch


@pytest.fixture
def host(host):
    host.missing = {"apt-get"}
    return host


def test_each_step_is_checked_before_its_plan_and_after_it_and_no_more(host):
    steps = [Switch("a"), Switch("b", right=True), Switch("c")]
    apply.apply(host, steps, Silent().step)
    assert [step.checks for step in steps] == [2, 1, 2]
    # The plan is for what was found just before.
    assert [finding.data for finding in steps[0].planned_for] == [1]
    assert all(step.right for step in steps)


def test_setup_looks_once_more_for_what_it_shows_beforehand(host):
    steps, ui = [Switch("a"), Switch("b", right=True)], Silent()
    assert setup.set_up(host, steps, ui)
    assert [step.checks for step in steps] == [3, 2]
    assert ui.asked == ["Do it now?"]
    wanted, plan = ui.told
    assert "missing  a: looked at 1 times\nok       b:" in wanted
    assert plan == "What will be done (# as root):\n  make a right\n"
    assert ui.said == ["looking at this machine", "[1/2] a", "make a right"]


def test_fix_checks_as_often_and_sees_what_mending_another_broke(host):
    last = Switch("last", right=True)
    steps, ui = [Switch("a", breaks=last), Switch("b", right=True), last], Silent()
    assert doctor.fix(host, steps, ui) == [doctor.Mended("a"), doctor.Mended("last")]
    assert [step.checks for step in steps] == [2, 1, 2]
    assert ui.asked == []
    assert ui.told[0] == "What will be done (# as root):\n  make a right\n"


def test_fix_goes_on_after_what_cannot_be_mended(host):
    steps, ui = [Switch("a", fails="no"), Switch("b")], Silent()
    first, second = doctor.fix(host, steps, ui)
    assert (first.title, str(first.error), second) == ("a", "no", doctor.Mended("b"))
    assert "cai: no\n  hint: a hint\n" in ui.told
    assert steps[1].right


def test_a_preview_changes_nothing_and_is_what_would_be_done(host):
    steps = [Switch("a"), Switch("b", right=True)]
    assert dry_run(setup.preview(host, steps)) == "make a right\n    $ turn it\n"
    assert [(step.checks, step.right) for step in steps] == [(1, False), (1, True)]
    assert dry_run(setup.preview(host, steps[1:])) == "nothing to do\n"


def test_nobody_is_asked_where_nothing_is_to_be_done(host):
    ui = Silent(agrees=False)
    assert not setup.set_up(host, [Switch("a", right=True)], ui)
    assert (ui.told, ui.asked) == ([], [])


def test_who_does_not_agree_has_nothing_changed(host):
    step = Switch("a")
    with pytest.raises(NotSetUpError, match="nothing was changed"):
        setup.set_up(host, [step], Silent(agrees=False))
    assert not step.right
    step.right = True
    with pytest.raises(NotSetUpError, match="nothing was changed"):
        uninstall.uninstall(host, [step], Scope(), Silent(agrees=False))
    assert step.right


def test_uninstall_goes_backwards_and_on(host):
    steps = [Switch("a", right=True), Switch("b", right=True, fails="no"), Switch("c", right=True)]
    ui = Silent()
    with pytest.raises(ContainAIError, match=r"(?s)not everything.*no"):
        uninstall.uninstall(host, steps, Scope(), ui)
    assert ui.said == ["[1/1] uninstall", "undo c", "undo b", "undo a"]
    assert [step.right for step in steps] == [False, True, False]


def test_uninstall_says_where_there_is_nothing_of_it(host):
    ui = Silent()
    done = uninstall.uninstall(host, [Switch("a")], Scope(), ui)
    assert (done.plan.actions, done.packages, ui.asked) == ((), [], [])
