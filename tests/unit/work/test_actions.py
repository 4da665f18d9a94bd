"""What is shown of what would be done."""

import pytest

from containai.errors import ContainAIError
from containai.host.perform import perform
from containai.work.actions import (
    Attempted,
    Do,
    Fetch,
    Finding,
    Later,
    Pin,
    Plan,
    Run,
    Trial,
    WriteFile,
    agreement,
    dry_run,
)
from containai.work.user import User
from harness.host import HOST

PIN = Pin("https://example.org/a/x.deb", "ab" * 32, 1)


def test_a_command():
    assert Run(["a", "b c"]).describe() == "# a 'b c'"
    assert Run(["a"], root=False).describe() == "$ a"
    ann = Run(["a"], root=False, user=User("ann", "/home/ann"))
    words = "runuser --user ann -- env -u XDG_RUNTIME_DIR HOME=/home/ann a"
    assert ann.describe() == f"$ {words}"
    assert ann.words == words.split()
    assert Run(["a"] * 200).brief().endswith(" …")
    assert len(Run(["a"] * 200).brief()) <= 110


def test_a_script_has_a_line_of_its_own_in_a_plan():
    action = Run(["sh", "-c", "set -eu\n" + "true\n" * 50], title="install docker.io")
    assert action.brief() == "# install docker.io"
    assert "set -eu" in action.describe()


def test_a_file():
    text = WriteFile("/f", "one\n\n  two\n", 0o600).describe()
    assert text == "# write /f (mode 600, 11 bytes)\n    one\n    \n      two\n"


def test_a_download():
    fetch = Fetch(PIN, "/kept")
    assert fetch.brief() == "# fetch https://example.org/a/x.deb"
    assert fetch.describe() == f"{fetch.brief()} (sha256 {'ab' * 32}) to /kept/x.deb"
    assert fetch._replace(offline="/here").brief() == "# fetch /here/x.deb"


def test_what_is_more_than_a_command_lists_its_commands():
    action = Do("start it", print, ("# a", "wait for it"))
    assert action.brief() == "start it"
    assert action.describe() == "start it\n    # a\n    wait for it"


@pytest.mark.parametrize(
    "action",
    [
        Run(["sh", "-c", "true\n" * 9], title="install it"),
        WriteFile("/f", "one\n"),
        Fetch(PIN, "/kept"),
        Do("start it", print, ("# a",)),
    ],
)
def test_an_attempt_is_shown_as_what_is_attempted(action):
    attempted = Attempted(action, Trial())
    assert (attempted.brief(), attempted.describe()) == (action.brief(), action.describe())


def test_many_files_are_one_line_of_a_plan_also_those_of_an_attempt():
    trial = Trial()
    files = [Attempted(WriteFile(f"/a/b/{n}", "text\n"), trial) for n in range(4)]
    plan = Plan("x", (*files, Run(["true"])))
    assert plan.brief() == "# write 4 files below /a/b\n# true\n"
    assert agreement([plan]) == (
        "What will be done (# as root):\n  # write 4 files below /a/b\n  # true\n"
    )
    few = Plan("x", tuple(files[:2]))
    assert few.brief().count("# write /a/b/") == 2
    assert dry_run([plan]).count("    text\n") == 4
    assert dry_run([]) == "nothing to do\n"


def test_what_fails_ends_only_its_trial():
    done, trial = [], Trial()

    def fail(progress):
        raise ContainAIError("no\nmore")

    for action in (
        Attempted(Do("one", lambda _: done.append(1)), trial),
        Attempted(Do("two", fail), trial),
        Attempted(Do("three", lambda _: done.append(3)), trial),
        Do("four", lambda _: done.append(4)),
    ):
        perform(HOST, action, lambda *_: None)
    assert (done, trial.failed) == ([1, 4], "no")


def test_what_is_known_only_later_is_said_and_does_nothing():
    later = Later("the subnet")
    assert later.describe() == "(known only later: the subnet)"
    perform(HOST, later, lambda *_: None)


def test_a_finding_tells_everybody_the_same_whatever_was_measured():
    told = Finding(False, "gone", hint="h", data=[1]).told()
    rest = {"ok": False, "seen": "gone", "optional": False, "hint": "h"}
    assert told == {"state": "wrong", **rest}
    assert Finding(False, "gone", optional=True).passes
