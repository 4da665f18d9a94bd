"""The probes as one program, and what a hostile box may answer."""

import json
import subprocess
import sys

import pytest

from containai.attack import report, send
from containai.attack.send import Answer
from containai.errors import SelfTestError


def test_program_needs_nothing_of_the_box_but_python():
    program = send.program()
    last = 'sys.modules["containai.attack.inside.run"].main()'
    assert program.count(last) == 1
    counting = 'print(len(sys.modules["containai.attack.probe"].INSIDE))'
    done = subprocess.run(
        [sys.executable, "-IS", "-"],
        input=program.replace(last, counting),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout == f"{len(report.INSIDE)}\n"


def test_probes_know_which_ports_are_open():
    program = send.program("tcp 5432\nudp 53\ntcp 8080\n")
    last = 'sys.modules["containai.attack.inside.run"].main()'
    told = 'print(sorted(sys.modules["containai.attack.inside.addresses"].HOST_PORTS))'
    argv = [sys.executable, "-IS", "-"]
    done = subprocess.run(
        argv, input=program.replace(last, told), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[5432, 8080]\n"


GOOD = {"probe": "seccomp", "status": "ok", "seen": "filtered"}


def test_answers_are_read():
    text = json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"status": "found"}) + "\n"
    assert send.parsed(text) == [
        Answer("seccomp", "ok", "filtered"),
        Answer("seccomp", "found", "filtered"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "",
        "[" * 100_000,
        "[]",
        "null",
        json.dumps(GOOD | {"status": "fine"}),
        json.dumps(GOOD | {"seen": 1}),
        json.dumps(GOOD | {"more": ""}),
        json.dumps({"probe": "seccomp", "status": "ok"}),
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(SelfTestError, match="no probe's"):
        send.parsed(json.dumps(GOOD) + "\n" + line + "\n")


def test_text_of_a_box_cannot_steer_the_terminal():
    assert send.shown("a\x1b]0;x\x07\nb\u202e") == "a?]0;x??b?"
    assert len(send.shown("x" * 9999)) == send.TEXT_LIMIT
