"""Bad input, for every command: one clear line, a hint, a documented code, and nothing is changed.

A command that is not in one of the tables fails a test.
"""

import os

import pytest

from containai import errors
from containai.cli import command, registry
from containai.errors import (
    BoxNotFoundError,
    ContainAIError,
    NameTakenError,
    UsageError,
    WorkspaceError,
)
from harness.app import ANOTHER
from unit.cli import of_away

ROWS = registry.every()
by_path = pytest.mark.parametrize("row", ROWS, ids=[row.path for row in ROWS])
#: No names of boxes.
NAMES = ["", "../x", "-x", "A", "a b", "a" * 64, "x\n", "a/b", "é", "\x1b[2J"]
#: It takes every word as it is: docker's client says what is wrong.
PASSES_ON = {"docker"}

#: Where there is no box, these make one, or what one will have.
MAKING = {"run", "shell", "code", "import", "export"}
#: What finds a box.
OF_A_BOX = {row.path for row in ROWS if row.has_target} - {"restore"} | {"cp"}

#: What else is wrong with the words of commands that are of no box, each with what it ends with.
#: None: they take no words that could be.
WRONG: dict[str, list[tuple[list[str], type[ContainAIError]]] | None] = {
    "ls": None,
    "ports": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([""], UsageError),
    ],
    "mount ls": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([""], UsageError),
    ],
    "mount add": [
        ([], UsageError),
        (["."], UsageError),
        (["gone", "/tmp"], BoxNotFoundError),
        (["./gone", "/tmp"], WorkspaceError),
        ([".", "/tmp", "data"], UsageError),
        (["A b", "/tmp"], UsageError),
    ],
    "mount rm": [
        (["."], UsageError),
        (["gone", "/data"], BoxNotFoundError),
        (["./gone", "/data"], WorkspaceError),
        (["A b", "/data"], UsageError),
    ],
    "forward": [
        ([], UsageError),
        (["."], UsageError),
        (["gone", "3000"], BoxNotFoundError),
        (["./gone", "3000"], WorkspaceError),
        (["A b", "3000"], UsageError),
        ([".", "0"], UsageError),
        ([".", "65536"], UsageError),
        ([".", "3000:"], UsageError),
        ([".", "0.0.0.0:3000:3000"], UsageError),
        ([".", "1:2", "1:3"], UsageError),
        ([".", "1:-oProxyCommand=x:2"], UsageError),
    ],
    "ssh list": None,
    "ssh config": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([""], UsageError),
    ],
    "ssh cleanup": None,
    "prune": [(["--older-than", "30"], UsageError), (["--all", "--older-than=1d"], UsageError)],
    "reclaim": [(["gone"], WorkspaceError)],
    "volume ls": None,
    "restore": [(["gone"], errors.CopyError)],
    "volume backup": [(["gone", "x"], ContainAIError)],
    "volume restore": [(["gone"], errors.CopyError)],
    "volume rm": [(["gone"], ContainAIError)],
    "image ls": None,
    "image build": [(["gone"], errors.ImageError)],
    "image show": [(["gone"], errors.ImageError)],
    "image pull": [(["A b"], UsageError)],
    "image push": [(["A b"], UsageError)],
    "image export": [(["gone/x"], UsageError), ([""], UsageError), (["."], UsageError)],
    "image import": [(["gone"], UsageError)],
    "image prune": [(["--on", "A b"], UsageError), (["--on", "gone"], UsageError)],
    "image preload": [(["A b"], errors.ImageError)],
    "remote add": [
        ([], UsageError),
        (["local"], UsageError),
        (["A b"], UsageError),
        (["work"], UsageError),
        (["work", "http://host"], UsageError),
        (["work", "--token", "x y"], UsageError),
        (["work", "--token", ""], UsageError),
        (["work", "https://host", "--fingerprint", "abc"], UsageError),
    ],
    "remote ls": None,
    "remote rm": [([], UsageError), (["gone"], UsageError), (["local"], UsageError)],
    "remote use": [([], UsageError), (["gone"], UsageError), (["A b"], UsageError)],
    "remote show": [([], UsageError), (["gone"], UsageError), (["local"], UsageError)],
    "remote prepare": [
        (["--user", "a b"], UsageError),
        (["--memory", "8g"], UsageError),
        (["--boxes", "x"], UsageError),
        (["--apply", "--subnet", "10.0.0.0/24"], UsageError),
    ],
    "remote doctor": [([], UsageError), (["gone"], UsageError), (["A b"], UsageError)],
    "completion": [(["csh"], UsageError)],
    "help": [
        (["no-such-topic"], UsageError),
        (["../README"], UsageError),
        (["--install", "run"], UsageError),
        (["--install", "--remove"], UsageError),
    ],
    "config list": [(["gone"], WorkspaceError)],
    "config get": [(["gone"], UsageError), (["box.memori"], UsageError)],
    "config set": [
        (["gone", "1"], UsageError),
        (["box.memory", "lots"], UsageError),
        (["box.memory", ""], UsageError),
    ],
    "config unset": [(["gone"], UsageError)],
    "config edit": None,
    "config path": None,
    "docker": None,
    "doctor": [
        (["--attack=../x"], UsageError),
        (["--attack=gone"], BoxNotFoundError),
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([""], UsageError),
        (["gone", "--attack"], UsageError),
        (["--fix", "--attack"], UsageError),
        (["--report", "x", "--dry-run"], UsageError),
        (["--report", ""], ContainAIError),
        (["--report", "/"], ContainAIError),
        (["--report", "gone/x"], ContainAIError),
    ],
    "engine start": None,
    "engine stop": None,
    "engine status": None,
    "engine logs": [(["--lines", "x"], UsageError), (["--lines", "-1"], UsageError)],
    "setup": [(["--runtime", "x"], UsageError), (["--offline-dir", "gone"], ContainAIError)],
    "trust": [(["gone"], WorkspaceError), (["--list", "."], UsageError)],
    "uninstall": None,
    "update": [(["--version", "latest"], UsageError), (["--check", "--dry-run"], UsageError)],
    "version": None,
    **of_away.WRONG,
}


def fitting(row):
    """Return words that a command understands."""
    words = [each.name for each in row.arguments if each.required]
    words = [{"SRC": ":x", "DST": "y"}.get(word, word) for word in words]
    return words + ["api" for each in row.arguments if each.last and not each.optional]


def rest(row):
    return ["--", "true"] if row.remainder else []


def raised_by(act, error=ContainAIError):
    """Return what was raised: it is one line, with a hint."""
    with pytest.raises(error) as raised:
        act()
    said = raised.value
    assert str(said).isprintable(), said
    assert said.hint
    assert said.exit_code in {each.exit_code for each in ContainAIError.__subclasses__()} | {1}
    return said


def refused(row, words):
    said = raised_by(lambda: command.parse(row, words), UsageError)
    assert str(said).startswith(row.path)
    return said


def test_every_command_is_in_a_table():
    assert OF_A_BOX | set(WRONG) == {row.path for row in ROWS}
    assert not OF_A_BOX & set(WRONG)


def test_what_fits_is_understood():
    for row in ROWS:
        if row.path not in PASSES_ON | {"image export"}:
            assert command.parse(row, [*fitting(row), *rest(row)])


@by_path
@pytest.mark.parametrize("option", ["--nonsense", "--nonsense=1", "-Q", "--\x1b[2J", "--a\nb"])
def test_an_option_that_it_does_not_know(row, option):
    if row.path not in PASSES_ON:
        refused(row, [option, *fitting(row), *rest(row)])


@by_path
def test_one_word_too_many(row):
    if row.path in PASSES_ON or any(each.many for each in row.arguments):
        return
    count = sum(not each.is_option for each in command.arguments(row))
    words = fitting(row)
    words += ["bash" if row.path == "completion" else "api"] * (count - len(words))
    said = refused(row, [*words, "more", *rest(row)])
    assert "more" in str(said)


@by_path
def test_one_word_too_few(row):
    words = fitting(row)
    if words:
        for count in range(len(words)):
            refused(row, words[:count])
    if row.remainder == "required":
        refused(row, [])


@by_path
def test_options_without_their_value_and_flags_with_one(row):
    if row.path in PASSES_ON:
        return
    for each in command.arguments(row):
        if each.is_option and each.metavar and each.const is None:
            refused(row, [*fitting(row), each.name])
        elif each.is_option and not each.metavar:
            refused(row, [f"{each.name}=x", *fitting(row)])


@by_path
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_name_of_a_box(row, name):
    if row.has_target:
        refused(row, [f"--name={name}", *fitting(row), *rest(row)])


def done(app, row, words):
    """Do what words ask a command for, as `main` does."""

    def act():
        asked = command.parse(row, words)
        app.flags = asked.flags
        return row.run(app, **asked.keywords)

    return act


def unchanged(app):
    assert [request for request in app.docker.requests if request[0] not in READING] == []
    assert app.user.asked == []


#: Requests that change nothing.
READING = {"ps", "inspect", "version", "info"}
#: Options without which a command has nothing to do.
GIVEN = {"limit": ["--memory=1g"]}


def of_path(row, path):
    if row.path == "cp":
        return [f"{path}:x", "y"]
    return [*GIVEN.get(row.path, []), path, *fitting(row), *rest(row)]


def of_name(row, name):
    if row.path == "cp":
        return [f"{name}:x", "y"]
    return [*GIVEN.get(row.path, []), f"--name={name}", *fitting(row), *rest(row)]


BOXED = [row for row in ROWS if row.path in OF_A_BOX]
boxed = pytest.mark.parametrize("row", BOXED, ids=[row.path for row in BOXED])


@pytest.mark.parametrize("path", ["run", "exec", "shell"])
def test_with_a_terminal_and_without(app, workspace, path):
    (row,) = (row for row in ROWS if row.path == path)
    words = ["-t", "-T", *fitting(row), *rest(row)]
    raised_by(done(app, row, words), UsageError)
    unchanged(app)


@boxed
def test_no_such_box(app, workspace, row):
    if row.path not in MAKING:
        for words in (of_name(row, "none"), of_path(row, "./")):
            raised_by(done(app, row, words), BoxNotFoundError)
    unchanged(app)


@boxed
def test_on_a_machine_that_is_not_set_up(bare, workspace, row):
    if row.path not in MAKING:
        raised_by(done(bare, row, of_name(row, "none")), BoxNotFoundError)
    assert (bare.machine.ran, bare.docker.requests) == ([], [])


@boxed
def test_a_box_of_somebody_else(app, workspace, elsewhere, row):
    app.layout.uid = ANOTHER - 1
    app.add_box(workspace, name="api", owner=ANOTHER)
    raised_by(done(app, row, of_name(row, "api")), NameTakenError)
    unchanged(app)


@boxed
@pytest.mark.parametrize("path", ["./gone", "./file", "./file/x", "./new\nline", "/dev/null/x"])
def test_a_path_that_is_no_workspace(app, workspace, row, path):
    (workspace / "file").touch()
    (workspace / "new\nline").mkdir()
    raised_by(done(app, row, of_path(row, path)), (WorkspaceError, BoxNotFoundError))
    unchanged(app)
    assert sorted(os.listdir(workspace)) == ["file", "new\nline"]


@boxed
def test_a_path_that_is_what_a_box_is_called(app, workspace, elsewhere, row):
    app.add_box(workspace, name="api")
    if row.path == "cp":
        return
    for is_there in (False, True):
        if is_there and row.path not in MAKING:
            (elsewhere / "api").mkdir()
        said = raised_by(done(app, row, of_path(row, "api")))
        assert said.hint == "a box is called so: did you mean --name api?"
    unchanged(app)


def test_a_path_that_is_what_an_agent_is_called(app, workspace):
    row, words = registry.find(["run", "claude"])
    said = raised_by(done(app, row, words), WorkspaceError)
    assert said.hint == "an agent is called so: did you mean cai run --agent claude?"


def test_a_command_without_the_dashes(app, workspace):
    for line in (["run", ".", "uname"], ["exec", ".", "uname", "-a"]):
        row, words = registry.find(line)
        assert "(a command is behind --: cai " in str(refused(row, words))


WORDS = [(path, words, error) for path, rows in WRONG.items() for words, error in rows or []]


@pytest.mark.parametrize(("path", "words", "error"), WORDS)
def test_other_words_that_are_wrong(app, workspace, path, words, error):
    row, _ = registry.find(path.split())
    raised_by(done(app, row, words), error)
    unchanged(app)
    assert os.listdir(workspace) == []
    assert not os.path.exists(app.layout.config_file)


@pytest.mark.parametrize("line", ["attach", "kill", "logs", "jobs"])
def test_a_box_that_answers_nothing_of_jobs(app, workspace, line):
    app.add_box(workspace)
    words = [] if line == "jobs" else ["job-1"]
    row, _ = registry.find([line])
    raised_by(done(app, row, words), errors.JobError)
    unchanged(app)
