import os
import pty
import subprocess
import sys

import pytest

from containai.cli import consent


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
            code = 0 if consent.ask("Sure?") else 1
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
    script = "from containai.cli.consent import ask; print(ask('Sure?'))"
    argv = [sys.executable, "-c", script]
    assert subprocess.check_output(argv, input=b"y\n", start_new_session=True) == b"False\n"
