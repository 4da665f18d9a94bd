import io

import pytest

from containai.cli import command, loudness, registry
from containai.cli import main as cli
from containai.cli.output import Output
from containai.cli.report import Note, Report
from containai.cli.terminal import Terminal
from containai.errors import UsageError
from containai.host import noted
from containai.host.proc import Programs


@pytest.mark.parametrize(
    ("words", "said", "rest", "how"),
    [
        (["ls"], "", ["ls"], loudness.NORMAL),
        (["ls", "--quiet"], "", ["ls"], loudness.QUIET),
        (["-q", "run", ".", "--", "x", "-q"], "", ["run", ".", "--", "x", "-q"], loudness.QUIET),
        (["run", ".", "--", "--debug"], "", ["run", ".", "--", "--debug"], loudness.NORMAL),
        (["docker", "ps", "-q"], "", ["docker", "ps", "-q"], loudness.NORMAL),
        (["--debug", "docker", "--debug"], "", ["docker", "--debug"], loudness.DEBUG),
        (["ls"], "verbose", ["ls"], loudness.VERBOSE),
        (["ls", "-q"], "debug", ["ls"], loudness.QUIET),
        ([], "quiet", [], loudness.QUIET),
    ],
)
def test_flags_and_the_variable(words, said, rest, how):
    assert loudness.split(words, {"CAI_OUTPUT": said}) == (rest, how)


def test_a_variable_that_says_something_else(monkeypatch, capsys):
    with pytest.raises(UsageError, match="CAI_OUTPUT='loud' is not valid"):
        loudness.split([], {"CAI_OUTPUT": "loud"})
    monkeypatch.setenv("CAI_OUTPUT", "loud")
    assert cli.main(["ls"]) == 2
    assert "hint: expected quiet, verbose or debug" in capsys.readouterr().err


def test_no_command_has_flags_of_these_names():
    taken = {word for each in command.LOUDNESS for word in (each.name, each.short)} - {""}
    assert taken == set(loudness._BY_WORD)
    for row in registry.every():
        assert not taken & {word for a in command.arguments(row) for word in (a.name, a.short)}


class Streams:
    """An Output into texts, and a Terminal on it."""

    def __init__(self, how, *, agreed=False):
        self.out, self.err = io.StringIO(), io.StringIO()
        self.output = Output(self.out, self.err, {})
        self.output.loudness = how
        self.terminal = Terminal(self.output, agreed=agreed)


def work(terminal):
    terminal.say("making it")
    progress = terminal.step("it", 1, 2)
    progress("one", 0.5)
    progress("two", None)
    terminal.tell("news\n")


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        (loudness.QUIET, ""),
        (loudness.NORMAL, "cai: making it\ncai: [1/2] it\nnews\n"),
        (
            loudness.VERBOSE,
            "cai: making it\ncai: [1/2] it\ncai: [1/2] it:  50% one\ncai: [1/2] it: two\nnews\n",
        ),
    ],
)
def test_how_much_is_said(how, shown):
    streams = Streams(how)
    work(streams.terminal)
    assert streams.err.getvalue() == shown


def test_who_is_asked_sees_what_it_is_about(monkeypatch):
    streams = Streams(loudness.QUIET)
    monkeypatch.setattr(streams.output, "ask", lambda question: "plan\n" in streams.err.getvalue())
    streams.terminal.tell("plan\n")
    assert streams.terminal.ask("Do it?")
    agreed = Streams(loudness.QUIET, agreed=True)
    agreed.terminal.tell("plan\n")
    assert agreed.terminal.ask("Do it?")
    assert agreed.err.getvalue() == ""


@pytest.mark.parametrize(("code", "shown"), [(0, ""), (1, "cai: why\n")])
def test_quiet_leaves_errors_and_the_result(code, shown):
    streams = Streams(loudness.QUIET)
    streams.output.show(Report(1, ["result\n"], code, [Note("why")]))
    assert (streams.out.getvalue(), streams.err.getvalue()) == ("result\n", shown)


def test_debug_says_what_is_run(capsys, monkeypatch):
    row = registry.rows("version")[0]

    def run(app):
        Programs().run(["sh", "-c", "exit 0"])
        return Report()

    monkeypatch.setattr("containai.cli.commands.version.COMMANDS", [row._replace(run=run)])
    assert cli.main(["version", "--debug"]) == 0
    assert "cai: $ sh -c 'exit 0' (0." in capsys.readouterr().err
    assert cli.main(["version"]) == 0
    assert noted.observers == []
    assert capsys.readouterr().err == ""
