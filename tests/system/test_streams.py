"""Arguments, streams, exit codes and terminals."""

import hashlib
import os
import pty
from subprocess import PIPE

import pytest

from containai.errors import UsageError
from harness.site import refused

ARGUMENTS = [
    b"plain",
    b"",
    b" ",
    b"two words",
    b"  around  ",
    b"it's",
    b'"double"',
    b"'\"'\"'",
    b"new\nline",
    b"\n",
    b"tab\there",
    "naïve 日本語 🎉".encode(),
    b"\xff\xfe",
    b"-n",
    b"--",
    b"--yes",
    b"$HOME",
    b"`id`",
    b"$(id)",
    b"back\\slash\\",
    b"*",
    b"~",
    b"!",
    b"a;b|c&d>e<f",
    b"#no comment",
    b"{a,b}",
    b"%s",
    b"a=b",
    b"\x01\x1b\x7f",
]


def test_arguments_arrive_exactly(shared):
    done = shared.run("printf", "%s\\0", *ARGUMENTS)
    assert done.stdout.split(b"\0")[:-1] == ARGUMENTS


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_each_argument_arrives_alone(shared, argument):
    assert shared.run("printf", "<%s>", argument).stdout == b"<" + argument + b">"


def test_an_odd_program_name_is_one_word(shared):
    done = shared.run("no such; echo program", check=False)
    assert done.returncode == 127
    assert done.stdout == b""


def test_binary_data_streams_through_unchanged(shared):
    data = os.urandom(5 << 20)
    done = shared.run("cat", input=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_stdout_and_stderr_are_separate(shared):
    done = shared.run("sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("code", [0, 1, 7, 42, 127, 255])
def test_the_exit_code_is_the_commands(shared, code):
    assert shared.run("sh", "-c", f"exit {code}", check=False).returncode == code


def test_no_terminal_without_one_on_stdin(shared):
    assert shared.run("sh", "-c", "test -t 0 || test -t 1", check=False).returncode == 1


def test_no_terminal_where_stdin_alone_is_one(site, shared):
    ours, theirs = pty.openpty()
    try:
        run = site.start("run", shared.path, "--", "test", "-t", "0", stdin=theirs, stdout=PIPE)
        assert run.wait() == 1
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_command_the_agent_of_the_settings_is_started(site, shared):
    # In the place of the agent's own.
    shared.sh("sudo ln -s /usr/bin/hostname /usr/local/bin/gemini")
    done = site.cai("run", shared.path, env={"CONTAINAI_AGENT_DEFAULT": "gemini"})
    shared.sh("sudo rm /usr/local/bin/gemini")
    assert done.stdout.decode().strip() == shared.box
    done = site.cai("run", "--agent", "claude", shared.path, check=False)
    assert (done.returncode, done.stdout) == (127, b"")
    assert b"cai: the agent 'claude' is not in this box\n  hint: " in done.stderr
    assert b"npm i -g @anthropic-ai/claude-code" in done.stderr
    lines = refused(site.cai("run", "--agent", "none", shared.path, check=False), UsageError)
    assert "there is no agent 'none'" in lines[0]
    assert "claude" in lines[0]


def test_exec_enters_the_same_box(site, shared):
    done = site.cai("exec", shared.path, "--", "hostname")
    assert done.stdout.decode().strip() == shared.box


def test_a_directory_below_belongs_to_the_workspace_above(site, shared):
    below = os.path.join(shared.path, "sub dir")
    os.makedirs(below, exist_ok=True)
    done = site.cai("run", "--", "pwd", cwd=below)
    assert done.stdout == b"/home/agent/workspace/sub dir\n"
