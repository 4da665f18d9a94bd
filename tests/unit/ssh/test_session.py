import os
import random
import socket
import subprocess

import pytest

from containai.host import files
from containai.layout import Layout
from containai.ssh import session


def printed(shell, command, directory):
    """Return the arguments that a program gets when the line is run by a real shell."""
    line = session.remote_command(["printf", "%s\\0", *command], directory)
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_any_bytes_arrive_exactly(tmp_path, shell):
    source = random.Random(20)
    any_byte = bytes(range(1, 256))
    nasty = b"'\"\\$`!*?~#&|;<>(){}[]\n\t =%-"
    words = [b"", b"'", b"''", b"-", b"--", b"a b", b"\n", b"\\", b"$HOME", b"~", b"a=b", b"\xff"]
    words += [any_byte]
    for alphabet in (any_byte, nasty, b"'a"):
        words += [bytes(source.choices(alphabet, k=source.randrange(12))) for _ in range(400)]
    assert printed(shell, [os.fsdecode(word) for word in words], str(tmp_path)) == words


def test_plain_words_stay_readable():
    line = session.remote_command(["uname", "-a", "--x=/y:z@h", "1%,+"], "/w")
    assert line == b"cd -- /w && exec uname -a --x=/y:z@h 1%,+"


def test_tilde_is_quoted():
    assert session.quoted(b"~root") == b"'~root'"


@pytest.mark.parametrize("name", ["with space", "-dash", "it's", "$x", "new\nline", "größe"])
def test_directory_arrives_exactly(tmp_path, name):
    (tmp_path / name).mkdir()
    line = session.remote_command(["pwd"], name)
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == f"{tmp_path}/{name}\n"


def test_missing_directory_runs_nothing(tmp_path):
    line = session.remote_command(["echo", "ran"], str(tmp_path / "gone"))
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


def test_exit_code_is_the_commands(tmp_path):
    line = session.remote_command(["sh", "-c", "exit 43"], str(tmp_path))
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 43


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_command_that_looks_like_an_option(tmp_path, shell):
    (tmp_path / "-x").write_text('#!/bin/sh\nprintf %s "$1"\n', encoding="utf-8")
    (tmp_path / "-x").chmod(0o755)
    line = session.remote_command(["-x", "a b"], "/")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run([shell, "-c", line], env={"PATH": path}, capture_output=True, check=True)
    assert done.stdout == b"a b"


def test_no_command_is_a_login_shell():
    assert session.remote_command([], "/w") == b'cd -- /w && exec "$SHELL" -l'


def test_ssh_argv():
    layout = Layout("/", "/home/u", 1000)
    assert session.ssh_argv(layout, "api-1", ["ls", "a b"], terminal=False) == [
        "ssh",
        "-F", "/home/u/.ssh/containai.d/api-1.conf",
        "-S", layout.control_socket("api-1"),
        "-T",
        "--", "api-1",
        b"cd -- /home/agent/workspace && exec ls 'a b'",
    ]  # fmt: skip


def test_ssh_argv_on_a_terminal_below_the_workspace():
    layout = Layout("/", "/home/u", 1000)
    argv = session.ssh_argv(layout, "api-1", [], terminal=True, directory="src/x y")
    assert argv[5:] == [
        "-t",
        "--", "api-1",
        b"""cd -- '/home/agent/workspace/src/x y' && exec "$SHELL" -l""",
    ]  # fmt: skip


def test_ssh_argv_names_variables_and_has_no_value(monkeypatch):
    monkeypatch.setenv("A_KEY", "secret")
    layout = Layout("/", "/home/u", 1000)
    argv = session.ssh_argv(layout, "b", ["true"], terminal=False, send=["A_KEY", "B_KEY"])
    assert argv[5:8] == ["-o", "SendEnv=A_KEY B_KEY", "-T"]
    assert "secret" not in repr(argv)


def supervised(tmp_path, monkeypatch, words, shell="sh"):
    """Return the arguments that `supervise` gets when the line of a session is run by a shell."""
    supervise = tmp_path / "supervise"
    supervise.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n', encoding="utf-8")
    supervise.chmod(0o755)
    monkeypatch.setattr(session, "SUPERVISE", str(supervise))
    found = session.Session(Layout("/", "/home/u", 1000), "b", words, str(tmp_path))
    done = subprocess.run([shell, "-c", found.line("T")], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_command_is_supervised_with_the_callers_language(tmp_path, monkeypatch, shell):
    for name in [name for name in os.environ if name.startswith(("LANG", "LC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LC_TIME", "de_DE.UTF-8 ';x")
    words = supervised(tmp_path, monkeypatch, ["-a b", "", "'"], shell)
    assert words == [b"T", b"LC_TIME=de_DE.UTF-8 ';x", b"--", b"-a b", b"", b"'"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_box_of_an_older_image_runs_it_itself(tmp_path, monkeypatch, shell):
    monkeypatch.setattr(session, "SUPERVISE", str(tmp_path / "none"))
    found = session.Session(Layout("/", "/home/u", 1000), "b", ["printf", "a b"], str(tmp_path))
    done = subprocess.run([shell, "-c", found.line("T")], capture_output=True, check=True)
    assert done.stdout == b"a b"


def test_a_missing_directory_runs_nothing_supervised(tmp_path, monkeypatch):
    found = session.Session(Layout("/", "/home/u", 1000), "b", ["echo"], str(tmp_path / "gone"))
    done = subprocess.run(["sh", "-c", found.line("T")], capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


def test_what_is_too_long_for_a_line_is_kept_whole(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("LANG", "LC_"))]:
        monkeypatch.delenv(name)
    found = session.Session(Layout("/", "/home/u", 1000), "b", ["a b", "", "\udcff\n"], "/w x")
    assert found.kept("T") == b"T\0--\0a b\0\0\xff\n\0"
    assert found.kept_line("T") == b"cd -- '/w x' && exec %b --kept T" % session.SUPERVISE.encode()


def test_block_matches_exactly_one_directory(layout):
    assert session.block_matches(layout, "b", "/w", "1:2") is None
    os.makedirs(layout.ssh_blocks)
    with open(layout.ssh_block("b"), "w", encoding="utf-8") as file:
        file.write("# Box b\n" + session.identity("/w'ü", "1:2") + "\nHost b\n")
    assert session.block_matches(layout, "b", "/w'ü", "1:2") is True
    assert session.block_matches(layout, "b", "/w'ü", "1:23") is False
    assert session.block_matches(layout, "b", "/w", "1:2") is False


def test_socket_is_live_only_with_a_listener(tmp_path, monkeypatch):
    layout = Layout("/", str(tmp_path), os.getuid(), str(tmp_path))
    relative = os.path.relpath(tmp_path / "s")
    monkeypatch.setattr(layout, "control_socket", lambda box: relative)
    files.private_directory(layout.control_dir)
    assert not session.is_live(layout, "b")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(layout.control_socket("b"))
        assert not session.is_live(layout, "b")
        listener.listen()
        assert session.is_live(layout, "b")
        os.chmod(layout.control_dir, 0o755)
        assert not session.is_live(layout, "b"), "others could have put it there"
        os.chmod(layout.control_dir, 0o700)
    assert not session.is_live(layout, "b")
