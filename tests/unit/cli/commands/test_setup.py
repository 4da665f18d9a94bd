import os

import pytest

from containai.cli.commands import setup
from containai.errors import NotSetUpError
from containai.provision import steps
from containai.work.user import User
from harness.app import FakeApp
from unit.flows.steps import Switch


@pytest.fixture
def have(monkeypatch):
    """Have other steps, and what doctor looks at beside them."""
    seen = []

    def rows(own, beside=()):
        def noted(host, choices):
            seen.append(choices)
            return own

        monkeypatch.setattr(steps, "steps", noted)
        monkeypatch.setattr(steps, "checks", lambda host, choices: [*own, *beside])
        return seen

    return rows


def run(app, *, dry_run=False, image_archive=None, offline_dir=None):
    return setup.run(app, dry_run=dry_run, image_archive=image_archive, offline_dir=offline_dir)


def test_where_all_is_right_nothing_is_asked_and_nothing_done(bare, have):
    have([Switch("a", right=True)])
    report = run(bare)
    assert (report.value, report.code) == ({"changed": False}, 0)
    assert report.views == ["everything is set up; nothing was changed\n"]
    assert bare.user.asked == []


def test_what_is_missing_is_shown_asked_for_done_and_checked(bare, have):
    step = Switch("a")
    have([step, Switch("b", right=True)])
    report = run(bare)
    assert step.right
    assert bare.user.told == [
        "ContainAI needs this on your machine:\n"
        "missing  a: looked at 1 times\nok       b: looked at 1 times\n",
        "What will be done (# as root):\n  make a right\n",
    ]
    assert bare.user.asked == ["Do it now?"]
    assert report.value["changed"] is True
    assert [(each["step"], each["ok"]) for each in report.value["checks"]] == [
        ("a", True),
        ("b", True),
    ]
    assert (report.code, report.views[1:]) == (0, ["set up\n", ""])


def test_what_users_made_is_named_and_not_setups_to_mend(bare, have):
    have([Switch("a")], [Switch("boxes")])
    report = run(bare)
    assert (report.code, [note.hint for note in report.notes]) == (0, ["run: cai doctor --fix"])
    assert [each["ok"] for each in report.value["checks"]] == [True, False]


class Undone(Switch):
    """A step that a later one undoes."""

    def check(self, host):
        if self.checks == 3:
            self.right = False
        return super().check(host)


def test_what_setup_made_and_is_wrong_again_is_the_exit_code(bare, have):
    have([Undone("a")])
    report = run(bare)
    assert (report.code, report.notes) == (1, [])


def test_who_does_not_agree_changes_nothing(layout, have):
    bare, step = FakeApp(layout, agrees=False), Switch("a")
    have([step])
    with pytest.raises(NotSetUpError) as raised:
        run(bare)
    assert (raised.value.exit_code, raised.value.hint) == (16, "run: cai setup --yes")
    assert (step.right, bare.machine.ran) == (False, [])


def test_a_dry_run_says_all_and_does_nothing(bare, have):
    step = Switch("a")
    have([step, Switch("b", right=True)])
    report = run(bare, dry_run=True)
    assert report.value == {"changed": False, "plan": ["make a right", "    $ turn it"]}
    assert report.views == ["make a right\n    $ turn it\n"]
    assert (step.right, bare.user.asked, bare.machine.ran) == (False, [], [])


def test_a_dry_run_with_nothing_to_do(bare, have):
    have([Switch("a", right=True)])
    assert run(bare, dry_run=True).views == ["nothing to do\n"]


def test_options_reach_the_steps(bare, have):
    seen = have([Switch("a", right=True)])
    run(bare, image_archive="/i.tar", offline_dir="/debs")
    assert {(each.image_archive, each.offline_dir) for each in seen} == {("/i.tar", "/debs")}
    assert seen[0].settings is bare.settings


def test_who_went_through_sudo_is_told_how_to_do_without(bare, have):
    bare.machine.user = User("ann", "/home/ann")
    have([Switch("a")])
    advice = run(bare).views[-1]
    group = bare.layout.engine_group
    assert f"sudo usermod -aG {group} ann\n" in advice
    assert f"Whoever is in the group {group} is root on this machine.\n" in advice


def test_a_file_that_is_none(tmp_path):
    by_name = {each.name: each for each in setup.COMMANDS[0].arguments}
    archive, directory = by_name["--image-archive"], by_name["--offline-dir"]
    path = tmp_path / "i.tar"
    with pytest.raises(ValueError, match="no file that can be read"):
        archive.parse(str(path))
    path.touch()
    assert archive.parse(os.path.relpath(path)) == str(path)
    assert directory.parse(str(tmp_path)) == str(tmp_path)
    with pytest.raises(ValueError, match="no directory that can be read"):
        directory.parse(str(path))
