"""What a box said, and Docker's client on the engine of boxes."""

import json
import shlex
import signal
import subprocess

from containai.boxes.logs import LONGEST

#: What a box's root puts in the place of journalctl: it steers a terminal, in a line without end.
HOSTILE = r"""#!/bin/sh
printf 'first \033]0;owned\007 \033[2Jlast\n'
head -c 100000 /dev/zero | tr '\0' x
"""


def test_the_journal_of_a_box_and_the_console_once_it_is_stopped(site, space):
    space.run("systemd-cat", "-t", "mine", "echo", "said by the agent")
    said = site.cai("logs", "--boot", "--lines", "5000", space.path).stdout.decode()
    assert "said by the agent" in said
    of_unit = json.loads(site.cai("logs", "--json", "--unit", "ssh", space.path).stdout)
    assert any("Server listening" in line for line in of_unit["lines"])
    assert not any("said by the agent" in line for line in of_unit["lines"])

    words = ("logs", "--follow", "--lines", "1", space.path)
    follow = site.start(*words, stdout=subprocess.PIPE, text=True)
    try:
        # With its first line it listens.
        assert follow.stdout.readline()
        space.run("systemd-cat", "echo", "tick")
        assert any("tick" in line for line in follow.stdout)
    finally:
        follow.send_signal(signal.SIGINT)
        assert follow.wait() == 130

    hostile = f"cd /usr/bin; rm journalctl; printf %s {shlex.quote(HOSTILE)} >journalctl"
    space.run("sudo", "sh", "-c", f"{hostile}; chmod +x journalctl")
    said = site.cai("logs", space.path).stdout
    assert b"first" in said
    assert b"\x1b" not in said
    assert b"\x07" not in said
    assert max(map(len, said.splitlines())) <= LONGEST

    site.cai("stop", space.path)
    done = site.cai("logs", space.path)
    assert b"is stopped: this is its console" in done.stderr
    assert b"Multi-User System" in done.stdout
    refused = site.cai("logs", "--unit", "ssh", space.path, check=False)
    assert (refused.returncode, refused.stdout) == (10, b"")


def test_dockers_client_gets_every_word_and_our_engine(site, shared):
    elsewhere = {"DOCKER_HOST": "unix:///nowhere", "DOCKER_CONTEXT": "nowhere"}

    def docker(*words):
        return site.cai("docker", *words, env=elsewhere, check=False)

    assert shared.box in docker("ps", "--format", "{{.Names}}").stdout.decode().split()
    assert b"Usage:  docker ps" in docker("ps", "--help").stdout
    said = docker(
        "exec", shared.box, "sh", "-c", 'printf "[%s]" "$@"; exit 7', "sh", "a b", "", "--"
    )
    assert (said.stdout, said.returncode) == (b"[a b][][--]", 7)
