import io
import json
import os
import re
import socket
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
from containai.layout import Layout
from containai.ssh import hosts, session

#: What a start must not wait for: each costs more than all that the warm path does. So does every
#: library that is not Python's own.
HEAVY = {"dataclasses", "inspect", "ipaddress", "json", "tarfile", "tomllib"}
#: What the way into a running box does without, too.
SLOW = {"argparse", "hashlib"}
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
    for words in (["--help"], ["-h"], ["help"]):
        assert cli.main(words) == 0
        out, err = capsys.readouterr()
        assert all(f"  {row.path} " in out and row.summary in out for row in ROWS)
        assert out.index("examples:") < out.index("usage:")
        assert err == ""


def test_nothing_is_help_and_an_error(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().out == registry.help_on([])


def test_version(capsys):
    for words in (["version"], ["--version"], ["-V"]):
        assert cli.main(words) == 0
        assert capsys.readouterr().out == f"cai {__version__}\n"
    assert cli.main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": __version__}


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
    for words in ([*row.path.split(), "--help"], ["help", *row.path.split()]):
        assert cli.main(words) == 0
        out, err = capsys.readouterr()
        assert f"usage: cai {row.path}" in out
        assert all(argument.name in out for argument in command.arguments(row))
        assert err == ""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
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


@pytest.mark.parametrize("words", [["--help"], ["version"], ["run", "--help"], ["shell", "--help"]])
def test_help_imports_nothing_heavy(words):
    done, imported = start(*words)
    assert done.returncode == 0
    assert not heavy(imported)


def test_what_is_heavy_is_seen():
    assert sys.stdlib_module_names >= HEAVY
    assert heavy({"os", "json", "json.decoder", "rich.table", "containai.cli"}) == {"json", "rich"}


@pytest.fixture
def warm(tmp_path):
    """Return a workspace whose box's control connection stands, and an environment to find it."""
    # A socket's path holds 107 bytes only: the directories of tests may be longer.
    with tempfile.TemporaryDirectory(prefix="cai-") as run, socket.socket(socket.AF_UNIX) as peer:
        home, programs, work = (tmp_path / each for each in ("home", "bin", "it's my work"))
        for each in (home, programs, work):
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
        peer.bind(layout.control_socket(name))
        peer.listen()
        (programs / "ssh").write_text(
            '#!/bin/sh\nfor word in ssh "$@"; do printf "%s\\0" "$word"; done\nexit 43\n',
            encoding="utf-8",
        )
        (programs / "ssh").chmod(0o755)
        environ = {"HOME": str(home), "XDG_RUNTIME_DIR": run}
        yield layout, work, environ | {"programs": str(programs)}


@pytest.mark.parametrize("command", ["run", "exec"])
def test_warm_path_becomes_ssh_at_once(warm, command):
    layout, work, environ = warm
    words = ["printf", "%s", "a b", "", "it's", "--", "\udcff"]
    done, imported = start(command, str(work), "--", *words, **environ)
    name = box_name(str(work), layout.uid)
    assert done.stdout.split(b"\0")[:-1] == [
        os.fsencode(word) for word in session.ssh_argv(layout, name, words, terminal=False)
    ]
    assert done.returncode == 43
    assert not heavy(imported) | imported & SLOW
    assert not {each for each in imported if re.match(r"containai\.(engine|images|provis)", each)}


def test_warm_path_of_a_shell(warm):
    layout, work, environ = warm
    done, imported = start("shell", str(work), **environ)
    name = box_name(str(work), layout.uid)
    assert done.stdout.split(b"\0")[:-1] == [
        os.fsencode(word) for word in session.ssh_argv(layout, name, [], terminal=False)
    ]
    assert not heavy(imported) | imported & SLOW


def test_warm_path_with_an_option(warm):
    layout, work, environ = warm
    done, _ = start("run", "--force", str(work), "--", "true", **environ)
    name = box_name(str(work), layout.uid)
    assert done.stdout.split(b"\0")[:-1] == [
        os.fsencode(word) for word in session.ssh_argv(layout, name, ["true"], terminal=False)
    ]


@pytest.mark.parametrize("words", [["run", "", "--", "x"], ["exec", "."], ["shell", "a", "b"]])
def test_what_is_not_plain_is_left_to_the_commands(words, layout):
    assert warm_words.session(layout, words) is None


def test_control_directory_that_others_may_write_is_not_warm(warm):
    layout, work, _ = warm
    os.chmod(layout.control_dir, 0o770)
    name = box_name(str(work), layout.uid)
    assert not session.is_warm(layout, name, str(work), Workspace(str(work)).inode)


def test_another_directory_in_its_place_is_not_warm(warm):
    layout, work, _ = warm
    name = box_name(str(work), layout.uid)
    assert session.is_warm(layout, name, str(work), Workspace(str(work)).inode)
    work.rename(work.parent / "old")
    (work.parent / "other").mkdir()
    (work.parent / "other").rename(work)
    assert not session.is_warm(layout, name, str(work), Workspace(str(work)).inode)
