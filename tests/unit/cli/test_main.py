import io
import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata

import pytest

from containai import __version__, errors
from containai.boxes.workspace import Workspace, box_name
from containai.cli import command, registry
from containai.cli import main as cli
from containai.cli import warm as warm_words
from containai.cli.output import Output
from containai.host import proc
from containai.layout import WORKSPACE_IN_BOX, Layout
from containai.ssh import hosts, session
from harness.master import Master, said

#: What a start must not wait for: each costs more than all that the warm path does. So does every
#: library that is not Python's own.
HEAVY = {"dataclasses", "datetime", "inspect", "ipaddress", "json", "tarfile", "tomllib"}
#: What the way into a running box does without, too.
SLOW = {"argparse", "hashlib"}
#: And what these bring along: `containai.light` stands for `typing`.
SLOWER = {"contextlib", "enum", "functools", "re", "typing"}
START = """
import sys
from containai.cli.main import main
from containai.host import proc
proc.SYSTEM_PATH = sys.argv.pop(1)
sys.exit(main())
"""


def start(*words, programs=proc.SYSTEM_PATH, **environ):
    """Run cai in a process of its own; return it and the names of what it imported.

    `programs` is where it looks for programs.
    """
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", START, programs, *words],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    imported = re.findall(rb"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, re.MULTILINE)
    assert b"containai.cli.main" in imported
    names = [name.decode() for name in imported]
    return done, set(names) | {name.partition(".")[0] for name in names}


def heavy(imported):
    """Return what was imported and costs too much."""
    # setuptools is at every start of a Python that has it.
    libraries = set(metadata.packages_distributions()) - {"containai", "_distutils_hack"}
    return imported & HEAVY | {name.partition(".")[0] for name in imported} & libraries


ROWS = registry.every()


def test_help(capsys):
    for words in (["--help"], ["-h"]):
        assert cli.main(words) == 0
        out, err = capsys.readouterr()
        assert all(f"  {row.path} " in out and row.summary in out for row in ROWS)
        assert out.index("examples:") < out.index("usage:")
        assert err == ""


@pytest.mark.parametrize("row", [row for row in ROWS if row.value_needs], ids=lambda row: row.path)
def test_a_value_that_needs_an_option(row):
    more = ["--", "true"] if row.remainder else []
    with pytest.raises(errors.UsageError, match="--json goes with " + " or ".join(row.value_needs)):
        command.parse(row, ["--json", *more])
    for option in row.value_needs:
        assert command.parse(row, ["--json", option, *more]).as_json


def test_nothing_is_help_and_an_error(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().out == registry.help_on([])


def test_version(capsys):
    for words in (["version"], ["--version"], ["-V"]):
        assert cli.main(words) == 0
        assert capsys.readouterr().out == f"cai {__version__}\n"
    assert cli.main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "there is no command 'frobnicate'"),
        (["sel"], "there is no command 'sel'; did you mean: cai shell?"),
        (["engine"], "engine: do what?"),
        (["engine", "stat"], "there is no command 'engine stat'"),
        (["engine", "start", "now"], "engine start: unrecognized arguments: now"),
        (
            ["engine", "logs", "--lines=-1"],
            "engine logs: argument --lines: '-1': expected a number",
        ),
        (["logs", "--lines", "x"], "logs: argument --lines/-n: 'x': expected a number"),
        (["logs", "--since", "soon"], "logs: argument --since: 'soon': expected a time as 10m"),
        (["logs", "--unit", "a b"], "logs: argument --unit/-u: 'a b': expected the name of a unit"),
        (["logs", "--unit", "a", "--console"], "--unit is of the journal"),
        (["run", "a", "b"], "run: unrecognized arguments: b"),
        (["run", "--forc"], "run: unrecognized arguments: --forc (did you mean --force?)"),
        (["run", "--memory", "4"], "run: argument --memory: '4': expected a number with m, g or t"),
        (["exec", "."], "exec needs a COMMAND"),
    ],
)
def test_words_that_do_not_fit(capsys, words, said):
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cai: {said}")
    assert "\n  hint: " in err


@pytest.mark.parametrize("row", [row for row in ROWS if row.remainder], ids=lambda row: row.path)
def test_nothing_after_the_dashes(capsys, row):
    assert cli.main([*row.path.split(), "--"]) == 2
    assert "nothing follows --" in capsys.readouterr().err


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_help_of_a_command(capsys, row):
    asked = [["help", *row.path.split()], [*row.path.split(), "--help"]]
    for words in asked[: 1 if row.passes_all else 2]:
        assert cli.main(words) == 0
        out, err = capsys.readouterr()
        assert f"usage: cai {row.path}" in out
        assert all(argument.name in out for argument in command.arguments(row))
        assert err == ""


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.passes_all], ids=lambda row: row.path
)
def test_unknown_option(capsys, row):
    assert cli.main([*row.path.split(), "--frobnicate"]) == 2
    assert f"usage: cai {row.path}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a/b", "a.b", "a" * 64, "../x", "ü"])
def test_odd_names_are_refused(capsys, name):
    assert cli.main(["run", f"--name={name}", "--", "true"]) == 2
    assert "1 to 63 of a-z" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.EngineError("x failed", hint="do y"), 17, "cai: x failed\n  hint: do y\n"),
        (errors.ContainAIError("x"), 1, "cai: x\n"),
        (
            errors.ContainAIError("it said:\n  \x1b]52;c;eA==\x07\x9b2J\rcai: all is well é"),
            1,
            "cai: it said:\n  \ufffd]52;c;eA==\ufffd\ufffd2J\ufffdcai: all is well é\n",
        ),
        (KeyboardInterrupt(), 130, "cai: interrupted\n"),
        (OSError(28, "No space left on device", "/f"), 20, "cai: no space left on device (/f)\n"),
        (OSError(13, "Permission denied", "/f"), 1, "cai: [Errno 13] Permission denied: '/f'\n"),
    ],
)
def test_errors_become_words_and_codes(error, code, said):
    def fail():
        raise error

    out, err = io.StringIO(), io.StringIO()
    assert cli.caught(fail, Output(out, err, {})) == code
    assert out.getvalue() == ""
    assert err.getvalue().startswith(said)


@pytest.mark.parametrize("word", ["--help", "version"])
def test_reader_that_has_gone(word):
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-c", START, word]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed):
    line = f'"$0" -c "$1" "" version {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable, START], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("words", [["--help"], ["version"], ["run", "--help"], ["shell", "--help"]])
def test_help_imports_nothing_heavy(words):
    done, imported = start(*words)
    assert done.returncode == 0
    assert not heavy(imported)


@pytest.mark.parametrize("words", [["help"], ["help", "run"], ["help", "install"]])
def test_help_on_pages_imports_no_library(words):
    done, imported = start(*words)
    assert done.returncode == 0
    assert not heavy(imported) - HEAVY


def test_what_is_heavy_is_seen():
    assert sys.stdlib_module_names >= HEAVY
    assert heavy({"os", "json", "json.decoder", "rich.table", "containai.cli"}) == {"json", "rich"}


@pytest.fixture
def warm(tmp_path):
    """Return a workspace whose box's control connection stands, and an environment to find it."""
    # A socket's path holds 107 bytes only: the directories of tests may be longer.
    with tempfile.TemporaryDirectory(prefix="cai-") as run:
        home, work = (tmp_path / each for each in ("home", "it's my work"))
        for each in (home, work):
            each.mkdir()
        layout = Layout("/", str(home), os.getuid(), run)
        name = box_name(str(work), layout.uid)
        os.makedirs(layout.ssh_blocks)
        block = hosts.host_block(
            layout,
            name,
            port=2300,
            workspace=str(work),
            inode=Workspace(str(work)).inode,
            forward_agent=False,
        )
        with open(layout.ssh_block(name), "w", encoding="utf-8") as file:
            file.write(block)
        os.mkdir(layout.control_dir, 0o700)
        master = Master(layout.control_socket(name), lambda asked: 43)
        yield layout, work, {"HOME": str(home), "XDG_RUNTIME_DIR": run}, master.asked
        master.close()


def line(layout, work, words):
    """Return what the box's shell is told of a session, without the token."""
    found = session.Session(layout, box_name(str(work), layout.uid), words, WORKSPACE_IN_BOX)
    return found.line("TOKEN")


def told(asked):
    """Return what a control connection was asked once, without the token."""
    (only,) = asked
    return re.sub(rb"(supervise) [0-9a-f]{12}( .*? ?)-- ", rb"\1 TOKEN\2-- ", only.line)


@pytest.mark.parametrize("command", ["run", "exec"])
def test_warm_path_asks_the_control_connection_at_once(warm, command):
    layout, work, environ, asked = warm
    words = ["printf", "%s", "a b", "", "it's", "--", "\udcff"]
    done, imported = start(command, str(work), "--", *words, **environ)
    assert told(asked) == line(layout, work, words)
    assert done.returncode == 43
    assert not heavy(imported) | imported & (SLOW | SLOWER)
    assert not {each for each in imported if re.match(r"containai\.(engine|images|provis)", each)}


def test_warm_path_of_a_shell(warm):
    layout, work, environ, asked = warm
    done, imported = start("shell", str(work), **environ)
    assert told(asked) == line(layout, work, [])
    assert done.returncode == 43
    assert not heavy(imported) | imported & (SLOW | SLOWER)


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_reads_no_module_of_a_command(words):
    done, imported = start(*words)
    assert done.returncode == 0
    assert not heavy(imported) | imported & (SLOW | SLOWER)
    assert not {each for each in imported if each.startswith("containai.cli.commands")}


@pytest.mark.parametrize("flag", ["--quiet", "-q", "--verbose"])
def test_warm_path_that_is_to_say_more_or_less(warm, flag):
    layout, work, environ, asked = warm
    done, imported = start("run", flag, str(work), "--", "true", flag, **environ)
    assert told(asked) == line(layout, work, ["true", flag])
    assert done.returncode == 43
    assert not heavy(imported) | imported & (SLOW | SLOWER)


@pytest.mark.parametrize(("flag", "term"), [("-t", "dumb"), ("-T", None)])
def test_warm_path_with_a_terminal_or_without(warm, flag, term):
    layout, work, environ, asked = warm
    done, imported = start("run", flag, str(work), "--", "true", TERM="dumb", **environ)
    assert told(asked) == line(layout, work, ["true"])
    assert (asked[0].term, done.returncode) == (term, 43)
    assert not heavy(imported) | imported & SLOW


def test_a_session_that_is_refused_is_an_ssh_of_its_own(warm, tmp_path):
    layout, work, environ, _ = warm
    name = box_name(str(work), layout.uid)
    os.unlink(layout.control_socket(name))
    master = Master(layout.control_socket(name), lambda asked: said(0x80000003, 1, 4, text=b"full"))
    script = '#!/bin/sh\nfor word in ssh "$@"; do printf "%s\\0" "$word"; done\nexit 44\n'
    (tmp_path / "ssh").write_text(script, encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    done, _ = start("exec", str(work), "--", "ls", programs=str(tmp_path), **environ)
    master.close()
    words = done.stdout.split(b"\0")[:-1]
    assert words[words.index(b"-S") + 1] == b"none"
    assert words[-2:] == [name.encode(), b"cd -- /home/agent/workspace && exec ls"]
    assert done.returncode == 44


def test_warm_path_with_an_option(warm):
    layout, work, environ, asked = warm
    done, _ = start("run", "--force", str(work), "--", "true", **environ)
    assert told(asked) == line(layout, work, ["true"])
    assert done.returncode == 43


@pytest.mark.parametrize("words", [["run", "", "--", "x"], ["exec", "."], ["shell", "a", "b"]])
def test_what_is_not_plain_is_left_to_the_commands(words, layout):
    output = Output(io.StringIO(), io.StringIO())
    assert warm_words.session(layout, words, output) is None


def test_control_directory_that_others_may_write_is_not_warm(warm):
    layout, work, _, _ = warm
    os.chmod(layout.control_dir, 0o770)
    name = box_name(str(work), layout.uid)
    assert not session.is_warm(layout, name, str(work), Workspace(str(work)).inode)


def test_another_directory_in_its_place_is_not_warm(warm):
    layout, work, _, _ = warm
    name = box_name(str(work), layout.uid)
    assert session.is_warm(layout, name, str(work), Workspace(str(work)).inode)
    work.rename(work.parent / "old")
    (work.parent / "other").mkdir()
    (work.parent / "other").rename(work)
    assert not session.is_warm(layout, name, str(work), Workspace(str(work)).inode)


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("darwin", "and this is macOS\n  hint: a virtual machine on this one (Lima), or a Linux"),
        ("win32", "and this is Windows\n  hint: WSL 2 on this one (wsl --install), or a Linux"),
        ("freebsd14", "and this is freebsd14\n  hint: a virtual machine"),
    ],
)
def test_a_system_that_is_not_linux(monkeypatch, capsys, system, said):
    monkeypatch.setattr(sys, "platform", system)
    # What only Linux or Unix has is not asked for.
    monkeypatch.setattr(Layout, "from_environment", None)
    for words in (["run"], ["run", ".", "--", "true"], ["ls", "--json"], ["docker", "ps"]):
        assert cli.main(words) == errors.UnsupportedError.exit_code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("cai: boxes need a Linux machine, ")
        assert said in err
    assert cli.main(["--help"]) == 0
    assert cli.main(["--version"]) == 0
