import ast
import io
import json
import os
import pty
import subprocess
import sys
from enum import StrEnum
from typing import NamedTuple

import pytest

import containai
from containai.cli.output import Output, printable
from containai.cli.report import Note, Report, Table
from containai.cli.terminal import Terminal

#: What would steer a terminal, or look like another line: controls of both sets, a surrogate, and
#: marks that turn the direction of writing (UAX #9).
EVIL = "a\x1b[2J\x9b1m\r\x07\x00\u202e\ud800\x7fb"


def outputs(**environ):
    out, err = io.StringIO(), io.StringIO()
    return out, err, Output(out, err, environ)


@pytest.mark.parametrize(
    "report",
    [
        Report(views=[f"{EVIL}\n"]),
        Report(views=[Table([[EVIL, EVIL], ["\nok  forged", "\t"]], [EVIL, EVIL])]),
        Report(notes=[Note(EVIL, EVIL)]),
    ],
)
def test_no_view_lets_anything_steer_the_terminal(report):
    out, err, output = outputs()
    output.show(report)
    shown = out.getvalue() + err.getvalue()
    assert shown.count("a\ufffd[2J") == shown.count("b")
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    assert "\nok" not in shown


def test_neither_does_a_terminal():
    _, err, output = outputs()
    terminal = Terminal(output)
    terminal.say(EVIL)
    terminal.step(EVIL, 1, 2)
    terminal.tell(EVIL + "\n")
    assert not [c for c in err.getvalue() if not c.isprintable() and c != "\n"]


def test_json_has_no_control_characters():
    out, _, output = outputs()
    output.show(Report({"name": EVIL}, ["not this"]), as_json=True)
    assert json.loads(out.getvalue()) == {"name": EVIL}
    assert out.getvalue().isascii()


class Kind(StrEnum):
    SMALL = "small"


class Row(NamedTuple):
    name: str
    kind: Kind
    sizes: tuple[int, ...]


def test_json_of_named_tuples():
    out, _, output = outputs()
    output.show(Report([Row("a", Kind.SMALL, (1, 2))]), as_json=True)
    assert json.loads(out.getvalue()) == [{"name": "a", "kind": "small", "sizes": [1, 2]}]


def test_columns():
    out, _, output = outputs()
    output.show(Report(views=[Table([["日本", "x"], ["e\u0301", "yy"]], ["A", "B"])]))
    assert out.getvalue() == "A     B\n日本  x\ne\u0301     yy\n"


def test_a_head_alone():
    out, _, output = outputs()
    output.show(Report(views=[Table([], ["A", "B"])]))
    assert out.getvalue() == "A  B\n"


class Looked(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_colours(environ, coloured):
    out = Looked()
    Output(out, io.StringIO(), environ).show(Report(views=[Table([["ok", "x"], ["wrong", "y"]])]))
    plain = "ok     x\nwrong  y\n"
    assert (out.getvalue() == plain) == (not coloured)
    for code in ("\x1b[32m", "\x1b[31m", "\x1b[0m"):
        assert (code in out.getvalue()) == coloured
        out = Looked(out.getvalue().replace(code, ""))
    assert out.getvalue() == plain


def test_a_stream_that_cannot_say_it_all():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Output(stream, stream, {}).show(Report(views=["é…\n"]))
    assert raw.getvalue() == b"??\n"


def test_line_feeds_are_kept_where_lines_are():
    assert printable("a\n\tb\r", lines=True) == "a\n\tb\ufffd"
    assert printable("a\n\tb\r") == "a\ufffd\ufffdb\ufffd"


def writers():
    """Return the modules that write to a stream of the process, or print."""
    package = os.path.dirname(containai.__file__)
    found = set()
    for parent, _, names in os.walk(package):
        for path in (os.path.join(parent, name) for name in names if name.endswith(".py")):
            with open(path, encoding="utf-8") as file:
                tree = ast.parse(file.read())
            for node in ast.walk(tree):
                of_sys = (
                    isinstance(node, ast.Attribute)
                    and node.attr in ("stdout", "stderr")
                    and getattr(node.value, "id", "") == "sys"
                )
                prints = isinstance(node, ast.Name) and node.id == "print"
                if of_sys or prints:
                    found.add(os.path.relpath(path, package))
    return found


def test_nothing_else_writes():
    # `main` hands the streams over; the others are programs of their own.
    own = {
        path
        for path in writers()
        if not path.startswith(("runtime/", "attack/inside/", "sync/inside/", "transfer/inside/"))
    }
    assert own <= {
        "cli/main.py",
        "cli/output.py",
        "ssh/dial.py",
        "attack/gather.py",
        "incus/stream.py",
    }
    assert "cli/main.py" in own


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y", True), ("YES", True), ("", False), ("n", False), ("yonder", False)]
)
def test_the_question_is_asked_on_the_terminal(typed, agreed):
    pid, terminal = pty.fork()
    if pid == 0:
        # Whatever stdin and stdout are.
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        code = 2
        try:
            code = 0 if outputs()[2].ask("Sure?") else 1
        finally:
            os._exit(code)
    seen = b""
    try:
        while not seen.endswith(b"Sure? [y/N] "):
            seen += os.read(terminal, 100)
        os.write(terminal, f"{typed}\n".encode())
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(terminal)
    assert ended == (0 if agreed else 1), seen


def test_no_terminal_is_a_no():
    script = (
        "import sys; from containai.cli.output import Output; "
        "print(Output(sys.stdout, sys.stderr).ask('Sure?'))"
    )
    argv = [sys.executable, "-c", script]
    assert subprocess.check_output(argv, input=b"y\n", start_new_session=True) == b"False\n"
