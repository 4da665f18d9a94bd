import os
import pty
import re
import sys
import tempfile
import threading

import pytest

from containai.cli import relay
from containai.cli.entering import Place
from containai.layout import Layout
from containai.ssh import mux
from containai.ssh.session import Session
from harness.master import Master

#: A session at a terminal, by the relay alone.
RELAYED = """
import os, sys
from containai.cli import entering, relay
from containai.layout import Layout
from containai.ssh import mux
from containai.ssh.session import Session

layout = Layout("/", "/nonexistent", os.getuid(), sys.argv[1])
place = entering.Place(Session(layout, "b", ["x"], "/", terminal=True), "TOKEN")
sys.exit(relay.relay(place, mux.Request(b"x", {}, "xterm")))
"""


@pytest.fixture
def relayed():
    """Return what runs a session that a function serves; and what was shown, and its code."""
    # A socket's path holds 107 bytes only: the directories of tests may be longer.
    with tempfile.TemporaryDirectory(prefix="cai-") as run:
        layout = Layout("/", "/nonexistent", os.getuid(), run)
        os.mkdir(layout.control_dir, 0o700)
        made = []

        def relayed(serve, typed=b""):
            made.append(Master(layout.control_socket("b"), serve))
            pid, fd = pty.fork()
            if not pid:
                os.execv(sys.executable, [sys.executable, "-c", RELAYED, run])
            os.write(fd, typed)
            shown = b""
            while True:
                try:
                    shown += os.read(fd, 1 << 16)
                except OSError:
                    break
            os.close(fd)
            return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), made[-1].asked

        yield relayed
        for each in made:
            each.close()


def test_both_ways_until_the_end(relayed):
    def serve(asked):
        os.write(asked.descriptors[1], b"\x1b[1mhello\r\n")
        said = os.read(asked.descriptors[0], 100)
        os.write(asked.descriptors[1], b"you said " + said)
        return 7

    shown, code, asked = relayed(serve, b"this\n")
    # Twice, as the terminal of the test echoes until it is raw.
    assert shown.endswith(b"\x1b[1mhello\r\nyou said this\n") or b"you said this" in shown
    assert (code, asked[0].term) == (7, "xterm")


def test_a_stop_where_nobody_could_continue_us_has_the_command_go_on(relayed):
    continued = threading.Event()

    def serve(asked):
        if asked.term is None:
            continued.set()
            return 0
        os.write(asked.descriptors[1], b"a\x1b]5379;TOKEN;stopped;\ab\x1b]5379;NOT;stopped;\a")
        return 3 if continued.wait(60) else 1

    shown, code, asked = relayed(serve)
    assert (shown, code) == (b"ab\x1b]5379;NOT;stopped;\a", 3)
    assert asked[1].line.endswith(b"supervise --signal CONT TOKEN")


def test_a_session_that_is_lost_has_no_code(relayed):
    assert relayed(lambda asked: None)[1] == 0  # sys.exit(None)


def test_what_is_said_steers_no_terminal(capfd, tmp_path):
    path = os.path.relpath(tmp_path / "s")
    master = Master(path, lambda asked: 0)
    connection = mux.Connection(path, mux.Request(b"x"), (0, 1, 2))
    place = Place(Session(Layout("/", "/", 0), "b", [], "/"), "TOKEN")
    relay._Relay(place, connection, relay._Terminal(), -1).say(
        "open \x1b]52;c;eA==\x07\x9b2J\r\nthat\n"
    )
    connection.close()
    master.close()
    out = capfd.readouterr().out
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", out)
    assert out.endswith("\r\nthat\r\n")
