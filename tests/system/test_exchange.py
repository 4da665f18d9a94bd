"""The engine goes while boxes are worked in, and nobody in one notices.

What is worked: an agent in a session of cai's, an editor through plain ssh, a transfer. Each says
something again and again and has to hear it back, whole and in order.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
from typing import Any

import pytest

from containai.engine import daemon, published
from containai.host import files, processes
from containai.host.machine import Machine
from harness.waiting import until

#: Says every line back.
ECHO = ("sed", "--unbuffered", "s/$/!/")


class Talk:
    """A session that is asked something and has to answer."""

    def __init__(self, process):
        self.process = process
        self.said = 0

    def goes_on(self):
        """Say something, and hear it back."""
        self.said += 1
        self.process.stdin.write(b"%d\n" % self.said)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"%d!\n" % self.said

    def ends(self):
        """End it; nothing more is said, and it ends well."""
        self.process.stdin.close()
        assert (self.process.stdout.read(), self.process.wait()) == (b"", 0)


def plain(site, space, *command):
    """Return the command line of plain ssh, which knows no more than the host block."""
    # ssh takes the home directory from the password database, not from HOME: hence -F.
    return ["ssh", "-F", site.layout.ssh_config, "-T", "-o", "BatchMode=yes", space.box, *command]


@pytest.fixture
def worked_in(site, shared, tmp_path):
    """Give what goes on in a box; at the end look that all of it went well."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    data = os.urandom(8 << 20)
    (tmp_path / "data").write_bytes(data)
    with contextlib.ExitStack() as open_:
        agent = open_.enter_context(site.start("run", shared.path, "--", *ECHO, **pipes))
        editor = open_.enter_context(subprocess.Popen(plain(site, shared, *ECHO), **pipes))
        argv = plain(site, shared, "sha256sum")
        transfer = open_.enter_context(subprocess.Popen(argv, **pipes))
        talks = [Talk(agent), Talk(editor)]
        half = len(data) // 2
        transfer.stdin.write(data[:half])
        for talk in talks:
            talk.goes_on()
        yield talks
        transfer.stdin.write(data[half:])
        transfer.stdin.close()
        assert transfer.stdout.read().split()[0].decode() == hashlib.sha256(data).hexdigest()
        for talk in talks:
            talk.goes_on()
            talk.ends()
    # What an engine that is gone has left ends with the connections it had.
    dockerd = daemon.running_pid(site.layout)
    until(lambda: {*map(processes.parent, published.own(site.layout))} == {dockerd})


def end(site, number):
    """End dockerd by a signal, and wait until it is gone."""
    pid = daemon.running_pid(site.layout)
    assert pid
    os.kill(pid, number)
    until(lambda: not files.read(f"/proc/{pid}/cmdline"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_the_engine_goes_and_comes_back(site, shared, worked_in, number):
    box = shared.inspect()
    end(site, number)
    for talk in worked_in:
        talk.goes_on()
    assert shared.run("echo", "warm").stdout == b"warm\n"
    site.cai("engine", "start")
    for talk in worked_in:
        talk.goes_on()
    # Its port is the new engine's, and leads there.
    done = subprocess.run(plain(site, shared, "hostname"), capture_output=True, check=True)
    assert done.stdout.decode().strip() == shared.box
    assert shared.inspect()["State"] == box["State"]


def test_the_engine_is_exchanged_as_for_another_version(site, shared, worked_in):
    """What `cai setup` does where daemon.json, or a program of the engine, is another."""
    before = daemon.running_pid(site.layout)
    daemon.renew(Machine(site.layout))
    assert daemon.running_pid(site.layout) not in (None, before)
    for talk in worked_in:
        talk.goes_on()
