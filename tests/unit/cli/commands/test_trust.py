import shutil

import pytest

from containai import trust
from containai.cli.commands import config
from containai.cli.commands import trust as command
from containai.cli.report import Table
from containai.errors import ContainAIError, UntrustedError, UsageError, WorkspaceError
from containai.trust import Trusted
from harness.app import FakeApp

TEXT = "FROM base\nRUN true\n"


def run(app, path=None, *, only_list=False, remove=False):
    return command.run(app, path=path, list=only_list, remove=remove)


@pytest.fixture
def mine(workspace):
    (workspace / ".containai").mkdir()
    (workspace / ".containai" / "Dockerfile").write_text(TEXT, encoding="utf-8")
    return Trusted(str(workspace), TEXT)


def status(app):
    return [(row.workspace, row.trust) for row in run(app, only_list=True).value]


def test_a_file_is_shown_and_trusted(app, mine):
    report = run(app)
    assert report.value == [(mine.workspace, ".containai/Dockerfile", "trusted", mine.sha256)]
    assert report.views == [
        Table(
            [[mine.workspace, ".containai/Dockerfile", "trusted", mine.sha256[:16]]],
            ["WORKSPACE", "FILE", "TRUST", "SHA256"],
        )
    ]
    assert "   2  RUN true\n" in app.user.told[0]
    assert trust.every(app.layout) == [mine]
    # No engine is needed, and nobody is asked twice.
    assert (run(app).value, len(app.user.asked)) == (report.value, 1)
    assert (app.machine.ran, app.docker.requests) == ([], [])


def test_nobody_agrees(app, mine):
    app.user.agrees = False
    with pytest.raises(UntrustedError, match="nothing is trusted") as raised:
        run(app, mine.workspace)
    assert raised.value.hint == "run: cai trust --yes"
    assert trust.every(app.layout) == []


def test_there_is_none(app, workspace):
    with pytest.raises(WorkspaceError, match="has nothing to trust"):
        run(app)
    assert run(app, only_list=True).views == []


def test_the_list_says_what_has_become_of_them(app, mine, workspace):
    run(app)
    assert status(app) == [(mine.workspace, "trusted")]
    (workspace / ".containai" / "Dockerfile").write_text("FROM full\n", encoding="utf-8")
    assert status(app) == [(mine.workspace, "changed")]
    (workspace / ".containai" / "Dockerfile").write_text("FROM debian\n", encoding="utf-8")
    assert status(app) == [(mine.workspace, "changed")]
    shutil.rmtree(workspace)
    assert status(app) == [(mine.workspace, "gone")]
    assert run(app, mine.workspace, remove=True).value[0].trust == "not trusted"
    assert status(app) == []


def test_what_is_not_trusted_is_not_taken_back(app, mine):
    with pytest.raises(ContainAIError, match="is trusted") as raised:
        run(app, remove=True)
    assert raised.value.hint == "see: cai trust --list"


@pytest.mark.parametrize("words", [{"path": "x"}, {"remove": True}])
def test_a_list_is_of_all(app, words):
    with pytest.raises(UsageError, match="--list excludes"):
        run(app, only_list=True, **words)


@pytest.fixture
def settings(workspace):
    """Write the settings of the workspace."""
    (workspace / ".containai").mkdir(exist_ok=True)

    def write(text):
        (workspace / ".containai" / "config.toml").write_text(text, encoding="utf-8")

    return write


def of_agent(app):
    """Return which agent is the default in the workspace, and why no other one is."""
    app = FakeApp(app.layout)
    (row,) = (r for r in config.list_all(app, changed=False).value if r["key"] == "agent.default")
    return row["value"], (row["ignored"] or {}).get("why")


def test_settings_count_once_they_are_trusted_and_until_they_change(app, settings):
    settings("agent.default = 'codex'\n")
    assert of_agent(app) == ("claude", "it is not trusted: cai trust")
    (row,) = run(app).value
    assert (row.file, row.trust) == (".containai/config.toml", "trusted")
    assert "   1  agent.default = 'codex'\n" in app.user.told[0]
    assert of_agent(app) == ("codex", None)
    settings("agent.default = 'gemini'\n")
    assert of_agent(app) == ("claude", "it is not trusted: cai trust")
    run(app)
    assert "  -agent.default = 'codex'\n  +agent.default = 'gemini'\n" in app.user.told[1]
    run(app, ".", remove=True)
    assert of_agent(app) == ("claude", "it is not trusted: cai trust")


def test_both_files_are_shown_and_trusted_at_once(app, mine, settings):
    settings("box.cpus = 1\n")
    files = [".containai/config.toml", ".containai/Dockerfile"]
    assert [row.file for row in run(app).value] == files
    assert (len(app.user.told), app.user.asked) == (2, ["Trust them as they are?"])
    settings("box.cpus = 2\n")
    assert sorted((row.file, row.trust) for row in run(app, only_list=True).value) == [
        (files[1], "trusted"),
        (files[0], "changed"),
    ]
    run(app)
    assert app.user.asked[1:] == ["Trust it as it is?"]
    assert [row.file for row in run(app, remove=True).value] == files
    assert trust.every(app.layout) == []


@pytest.mark.parametrize("text", ["agnt.default = 1\n", "box.cpus = 'x'\n", "box\n", "a" * 20000])
def test_settings_that_are_wrong_are_not_trusted(app, settings, text):
    settings(text)
    with pytest.raises(ContainAIError):
        run(app)
    assert (trust.every(app.layout), app.user.asked) == ([], [])


def test_what_is_trusted_is_what_was_shown(app, settings):
    """The agent writes while its user reads."""
    settings("agent.default = 'codex'\n")

    def ask(question, *, beforehand=True):
        settings("agent.default = 'gemini'\n")
        return True

    app.user.ask = ask
    run(app)
    assert of_agent(app) == ("claude", "it is not trusted: cai trust")
