import os

import pytest

from containai.cli import main as cli
from containai.cli import registry, topics
from containai.cli.commands import help as pages
from containai.cli.report import Become
from containai.errors import ContainAIError, UsageError


def run(app, *topic, install=False, remove=False):
    return pages.run(app, topic=topic, install=install, remove=remove)


@pytest.fixture
def terminal(monkeypatch, app):
    monkeypatch.setattr(os, "isatty", lambda fd: True)
    app.environ = {"TERM": "xterm"}
    app.machine.missing = {"nothing-there"}
    return app


def test_all_pages_are_listed_as_they_are_found(app):
    report = run(app)
    assert len(report.value) == len(topics.every())
    for row in report.value:
        is_message = row["kind"] == "troubleshooting" != row["topic"]
        assert (f"  {row['topic']} " in report.views[0]) is not is_message
        text = run(app, row["topic"]).views[0]
        assert row["title"] in text.replace("`", "").replace("\\", "")
    assert "cai --help" in report.views[0]


def test_a_command_comes_before_a_page_of_its_name(app):
    said = run(app, "import").views[0]
    assert said.startswith(registry.help_on(["import"]))
    assert said.endswith("cai help how-to/import\n")
    assert run(app, "engine", "stop").views[0] == registry.help_on(["engine", "stop"])


@pytest.mark.parametrize(
    ("said", "page"),
    [
        ("cai: there is no box 'web'", "there-is-no-box"),
        ("no free SSH port in 2300-2500: all are taken", "no-free-ssh-port-in"),
        ("no free ssh port", "no-free-ssh-port-in"),
        ("is on a drive of Windows", "drive-of-windows"),
        ("bash: claude: not found", "claude-not-found"),
    ],
)
def test_a_message_is_found_by_its_words(app, said, page):
    assert page in run(app, *said.split()).value["topic"]


def test_words_that_several_messages_have(app):
    with pytest.raises(UsageError, match="pages have 'the box'") as raised:
        run(app, "the", "box")
    assert raised.value.hint.count("\n") == 10


def test_words_of_a_name(app):
    assert run(app, "back", "up", "and", "move").value["topic"] == "back-up-and-move"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("instal", "install"),
        ("secureity", "security"),
        ("variabels", "variables"),
        ("rum", "run"),
    ],
)
def test_a_topic_that_is_mistyped(app, word, meant):
    with pytest.raises(UsageError, match=rf"'{word}' \(did you mean .*\b{meant}\b"):
        run(app, word)


def test_what_is_none(capsys):
    assert cli.main(["help", "\x1b[2Jqqqqqq"]) == 2
    assert capsys.readouterr().err == (
        "cai: there is no topic '\\x1b[2Jqqqqqq'\n  hint: all of them: cai help\n"
    )
    assert cli.main(["help", "--install", "run"]) == 2


def test_a_pager_at_a_terminal(terminal):
    shown = run(terminal, "security")
    assert shown.pager == Become(shown.pager.argv, given=shown.pager.given, text=shown.pager.text)
    assert os.path.basename(shown.pager.argv[0]) == "less"
    assert shown.pager.argv[-1] == "-R"
    assert "\x1b[1" in shown.pager.text
    terminal.environ = {"TERM": "xterm", "NO_COLOR": "1"}
    assert "\x1b" not in run(terminal, "security").pager.text


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"PAGER": "more -s"}, "more"),
        ({"PAGER": "nothing-there"}, "less"),
        ({"PAGER": "it's"}, "less"),
        ({"TERM": "dumb"}, None),
    ],
)
def test_which_pager(terminal, environ, name):
    terminal.environ = {"TERM": "xterm"} | environ
    shown = run(terminal, "install")
    assert (shown.pager and os.path.basename(shown.pager.argv[0])) == name
    assert "\x1b" not in shown.views[0]


def test_man_pages_written_again_and_removed(app):
    directory = f"{app.layout.home}/.local/share/man/man1"
    count = run(app, install=True).value["pages"]
    assert count == len(registry.every()) + 1
    own = f"{directory}/cai-theirs.1"
    with open(own, "w", encoding="utf-8") as file:
        file.write(".TH of somebody else's\n")
    with (
        open(f"{directory}/cai-run.1", encoding="utf-8") as file,
        open(f"{directory}/cai-of-another-version.1", "w", encoding="utf-8") as old,
    ):
        old.write(file.read())
    assert run(app, install=True).value["pages"] == count
    assert len(os.listdir(directory)) == count + 1
    assert run(app, remove=True).value["pages"] == count
    assert os.listdir(directory) == ["cai-theirs.1"]
    assert run(app, remove=True).views == []


def test_a_page_of_somebody_elses_is_left_alone(app):
    directory = f"{app.layout.home}/.local/share/man/man1"
    os.makedirs(directory)
    with open(f"{directory}/cai.1", "w", encoding="utf-8") as file:
        file.write("mine")
    with pytest.raises(ContainAIError, match="not cai's"):
        run(app, install=True)
    assert os.listdir(directory) == ["cai.1"]
