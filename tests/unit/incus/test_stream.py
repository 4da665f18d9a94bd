import contextlib
import json
import os
import subprocess
import sys
import threading

import pytest

from containai.incus import known, stream
from containai.incus.errors import IncusError
from containai.incus.known import Places, Remote
from containai.incus.tls import Address
from harness.incus_server import Fault

PORT = "POST /1.0/instances/a/port-forward"


class Ends:
    """The ends of two pipes that a stream is between."""

    def __init__(self):
        self.stdin, self.write = os.pipe()
        self.read, self.stdout = os.pipe()

    def close(self, name):
        fd = vars(self).pop(name, None)
        if fd is not None:
            os.close(fd)

    def all_of_it(self):
        with open(self.read, "rb", closefd=False) as file:
            return file.read()


@pytest.fixture
def ends():
    made = Ends()
    yield made
    for name in list(vars(made)):
        made.close(name)


def run(incus, ends, patience=0.0):
    """Run a stream to its end in a thread; return what is called for its outcome."""
    outcome = []

    def call():
        try:
            stream.stream(incus, "a", patience=patience, stdin=ends.stdin, stdout=ends.stdout)
            outcome.append(None)
        except Exception as wrong:
            outcome.append(wrong)
        ends.close("stdout")

    thread = threading.Thread(target=call, daemon=True)
    thread.start()

    def ended():
        thread.join(20)
        assert not thread.is_alive()
        if outcome[0] is not None:
            raise outcome[0]

    return ended


def echo(connection):
    """Do as sshd does: speak first, then answer. As of Incus, its end is that of both ways."""
    connection.sendall(b"SSH-2.0-x\r\n")
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            connection.sendall(part)


def test_a_forwarded_port(server, incus, ends):
    server.forward = echo
    ended = run(incus, ends)
    data = os.urandom(50_000)
    os.write(ends.write, data)
    with open(ends.read, "rb", closefd=False) as file:
        assert file.read(11 + len(data)) == b"SSH-2.0-x\r\n" + data
    ends.close("write")
    ended()
    assert json.loads(server.asked[0].body) == {"address": "127.0.0.1", "port": 22}
    assert server.asked[0].headers["upgrade"] == "tcp"


def test_it_ends_with_the_other_side(server, incus, ends):
    server.forward = lambda connection: connection.sendall(b"bye")
    ended = run(incus, ends)
    assert ends.all_of_it() == b"bye"
    ended()


def test_it_ends_with_this_side(server, incus, ends):
    gone = threading.Event()

    def program(connection):
        connection.sendall(b"SSH-2.0-x\r\n")
        with contextlib.suppress(OSError):
            while connection.recv(100):
                pass
        gone.set()

    server.forward = program
    ended = run(incus, ends)
    assert os.read(ends.read, 3) == b"SSH"
    ends.close("read")
    ended()
    assert gone.wait(20)


def test_one_that_boots_is_waited_for(server, incus, ends):
    server.forward = echo
    server.faults[PORT] = Fault(
        "status", 500, "Failed to run forknet connect: connection refused", times=2
    )
    ended = run(incus, ends, patience=20)
    ends.close("write")
    assert ends.all_of_it() == b"SSH-2.0-x\r\n"
    ended()


@pytest.mark.parametrize("text", ["connect: connection refused", "Instance is busy"])
def test_one_that_does_not_answer(server, incus, ends, text):
    server.faults[PORT] = Fault("status", 500, text)
    with pytest.raises(IncusError, match=text):
        run(incus, ends)()


def sshd(running):
    """Do as `sshd -i` does."""
    running["1"].say(b"SSH-2.0-x\r\n")
    running.end(0, running["0"].read_all())


@pytest.mark.parametrize("code", [404, 405, 501])
def test_an_older_server_runs_sshd(server, incus, ends, code):
    server.faults[PORT] = Fault("status", code, "not found")
    server.execs.program = sshd
    ended = run(incus, ends)
    os.write(ends.write, b"data")
    ends.close("write")
    assert ends.all_of_it() == b"SSH-2.0-x\r\ndata"
    ended()
    asked = server.execs.running[0].asked
    assert (asked["command"], asked["user"]) == ([*stream.SSHD], 0)
    assert asked["command"][-1].endswith("; exec /usr/sbin/sshd -i")


def test_nothing_is_lost_of_ssh_while_sshd_does_not_start(server, incus, ends):
    tries = []

    def program(running):
        tries.append(running)
        if len(tries) < 3:
            running.end(255)
        else:
            sshd(running)

    server.execs.program = program
    os.write(ends.write, b"SSH-2.0-ours\r\n")
    ended = run(incus, ends, patience=30)
    ends.close("write")
    assert ends.all_of_it() == b"SSH-2.0-x\r\nSSH-2.0-ours\r\n"
    ended()
    assert len(tries) == 3


def test_an_sshd_that_never_starts(server, incus, ends):
    server.execs.program = lambda running: running.end(255)
    with pytest.raises(IncusError, match="before it said anything"):
        run(incus, ends)()


def test_ssh_that_goes_leaves_nothing_behind(server, incus, ends):
    seen = []

    def program(running):
        running["1"].say(b"SSH-2.0-x\r\n")
        # It is told of the end of its input first.
        seen.append(running["0"].read_all())
        running.end(0)

    server.execs.program = program
    ended = run(incus, ends)
    assert os.read(ends.read, 3) == b"SSH"
    ends.close("read")
    ended()
    assert seen == [b""]


def test_an_sshd_that_does_not_end_is_killed(server, incus, ends, monkeypatch):
    monkeypatch.setattr(stream, "_LAST", 0.1)
    server.execs.program = lambda running: running["1"].say(b"SSH-2.0-x\r\n")
    ended = run(incus, ends)
    assert os.read(ends.read, 3) == b"SSH"
    ends.close("read")
    ended()
    assert server.execs.running[0]["control"].is_lost.wait(20)


@pytest.fixture
def place(server, identity, tmp_path):
    """A directory of a user's with the server as the place `work`."""
    remote = Remote("work", (Address("127.0.0.1", server.port),), server.pin, "boxes")
    (tmp_path / "remotes.json").write_text(known.written(Places({"work": remote})))
    os.symlink(identity.certificate, tmp_path / "client.crt")
    os.symlink(identity.key, tmp_path / "client.key")
    return str(tmp_path)


def program(place, name="work", given=b""):
    argv = stream.command(place, name, "a", 0)
    assert argv[:2] == [sys.executable, "-IS"]
    return subprocess.run(argv, input=given, capture_output=True, check=False, timeout=60)


def test_as_the_program_that_ssh_starts(server, place):
    server.forward = echo
    done = program(place, given=b"data")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"SSH-2.0-x\r\ndata", b"")


def test_it_says_what_is_wrong_in_a_line(server, place, certificates):
    old = server.pin
    server.show(certificates["other"])
    done = program(place)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    assert old.encode() in done.stderr
    assert server.pin.encode() in done.stderr
    assert b"no remote place other any more" in program(place, "other").stderr


def test_a_server_does_not_steer_a_terminal(server, place):
    server.faults[PORT] = Fault("status", 403, "\x1b[2Jno\nreally")
    done = program(place)
    assert b"\x1b" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_little_is_imported():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import containai.incus.stream; "
    code += "print(*sys.modules)"
    source = os.path.dirname(os.path.dirname(os.path.dirname(stream.__file__)))
    argv = [sys.executable, "-IS", "-c", code, source]
    there = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"http.client", "typing", "subprocess", "urllib.parse", "tempfile", "email", "asyncio"}
    heavy |= {"hashlib", "threading"}
    assert not heavy & set(there)
