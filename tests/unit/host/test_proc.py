import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from containai.app import App
from containai.errors import PrivilegeError
from containai.host import proc
from containai.host.proc import ProcessError, Programs
from harness.ui import Silent


def test_run():
    argv = ["sh", "-c", "cat; echo err >&2"]
    assert Programs().run(argv, stdin="in\n") == proc.Done(0, "in\n", "err\n")


def test_stdin_is_empty_unless_given():
    assert Programs().run(["cat"], timeout=5).out == ""


def test_output_that_is_not_utf8():
    assert Programs().run(["printf", "\\377"]).out == "\ufffd"


def is_missing():
    for attempt in (
        lambda: Programs().run(["no-such-program"]),
        lambda: Programs().stream(["no-such"], print),
    ):
        with pytest.raises(ProcessError, match="is missing") as caught:
            attempt()
        assert caught.value.done.code == 127


def test_missing_program():
    is_missing()


def test_program_that_may_not_be_executed(tmp_path, monkeypatch):
    (tmp_path / "no-such-program").touch(0o644)
    (tmp_path / "no-such").mkdir()
    monkeypatch.setattr(proc, "SYSTEM_PATH", str(tmp_path))
    is_missing()


def test_exit_code():
    argv = ["sh", "-c", "echo out; echo why >&2; exit 3"]
    with pytest.raises(ProcessError, match="ended with code 3: why") as caught:
        Programs().run(argv)
    assert caught.value.done == proc.Done(3, "out\n", "why\n")
    assert Programs().run(argv, ok=(0, 3)).code == 3
    assert Programs().run(argv, ok=None).code == 3


def test_error_has_the_last_lines_only():
    with pytest.raises(ProcessError) as caught:
        Programs().run(["sh", "-c", "seq 100; exit 1"])
    assert "100" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 6


def test_timeout():
    begun = time.monotonic()
    with pytest.raises(ProcessError, match=r"no answer within 0\.2 s") as caught:
        Programs().run(["sh", "-c", "echo so far; exec sleep 60"], timeout=0.2)
    assert caught.value.done == proc.Done(124, "so far\n", "")
    assert time.monotonic() - begun < 10


def test_stream():
    seen = []
    done = Programs().stream(["sh", "-c", "echo a; echo b >&2; printf c"], seen.append)
    assert seen == ["a", "b", "c"]
    assert done.out == "a\nb\nc"


def test_stream_hands_lines_over_as_they_come():
    ended = []
    argv = ["sh", "-c", "echo first; sleep 0.3; echo last"]
    times = []
    Programs().stream(argv, lambda line: times.append(time.monotonic()))
    ended.append(time.monotonic())
    assert ended[0] - times[0] > 0.2


def test_stream_that_fails():
    with pytest.raises(ProcessError, match="ended with code 5: x"):
        Programs().stream(["sh", "-c", "echo x; exit 5"], lambda line: None)


def test_stream_ends_its_child_with_us(tmp_path):
    def interrupt(line):
        raise KeyboardInterrupt

    argv = ["sh", "-c", 'echo $$ >"$0"; echo; exec sleep 60', str(tmp_path / "pid")]
    with pytest.raises(KeyboardInterrupt):
        Programs().stream(argv, interrupt)
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


#: Each makes some program run, load or read what it names.
STEERING = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "BUILDKIT_HOST"),
    *("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_SK_HELPER", "SUDO_ASKPASS", "GIT_SSH_COMMAND"),
    *("PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "BASH_ENV", "BASH_FUNC_mktemp%%", "IFS"),
    *("LD_LIBRARY_PATH", "GCONV_PATH", "OPENSSL_CONF", "APT_CONFIG", "TMPDIR", "PAGER", "ANY"),
)


def test_environment_does_not_steer_a_child(monkeypatch):
    for name in STEERING:
        monkeypatch.setenv(name, "/evil")
    passed_on = {"HOME": "/h", "TERM": "vt100", "LC_ALL": "C", "https_proxy": "http://p"}
    for name, value in passed_on.items():
        monkeypatch.setenv(name, value)
    said = dict(line.split("=", 1) for line in Programs().run(["env"]).out.splitlines())
    assert passed_on.items() <= said.items()
    assert "/evil" not in said.values()
    assert Programs().environment(DOCKER_BUILDKIT="0")["DOCKER_BUILDKIT"] == "0"


def test_a_proxy_command_is_not_run_by_the_users_shell(monkeypatch):
    monkeypatch.setenv("SHELL", "/evil")
    assert Programs().environment()["SHELL"] == "/bin/sh"


def test_a_child_is_not_in_the_current_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []
    Programs().stream(["pwd"], seen.append)
    assert [Programs().run(["pwd"]).out.strip(), limited("pwd").out.strip(), *seen] == ["/"] * 3


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho evil\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "path", [None, "", ":", "{}", "{}:/usr/bin", ":/usr/bin", "/usr/bin::/bin"]
)
def test_path_does_not_say_where_programs_are(monkeypatch, tmp_path, path):
    program(tmp_path / "sneaky")
    program(tmp_path / "echo")
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path.format(tmp_path))
    assert Programs().which("sneaky") is None
    assert Programs().run(["echo", "well"]).out == "well\n"
    assert Programs().run(["sh", "-c", "exec env echo well"]).out == "well\n"
    assert Programs().environment()["PATH"] == proc.SYSTEM_PATH


@pytest.fixture
def configured(layout, tmp_path):
    """A directory of programs that the user's settings name, and the machine by those."""
    directory = tmp_path / "own"
    config = Path(layout.config_file)
    config.parent.mkdir(parents=True)
    config.write_text(f'host.path = ["{directory}"]\n', encoding="utf-8")
    return directory, App(layout, Silent()).host


def test_a_setting_names_other_directories(configured):
    directory, host = configured
    assert host.which("sneaky") is None
    sneaky = program(directory / "sneaky")
    program(directory / "echo")
    assert host.which("sneaky") == sneaky
    assert host.run(["sneaky"]).out == "evil\n"
    # What the system has is the system's.
    assert host.run(["echo", "well"]).out == "well\n"


def test_what_others_can_write_is_not_run_by_root(configured, own_root):
    directory, host = configured
    sneaky = program(directory / "sneaky")
    os.chmod(directory, 0o777)
    with pytest.raises(ProcessError, match="'sneaky' is missing") as caught:
        host.run(["sneaky"], root=True)
    assert "host.path" in caught.value.hint
    assert host.which("sneaky", root=True) is None
    os.chmod(directory, 0o755)
    if os.geteuid() == 0:
        assert host.which("sneaky", root=True) == sneaky


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_only_root_writes(tmp_path):
    path = tmp_path / "a" / "b" / "program"
    program(path)
    (tmp_path / "link").symlink_to("a/../a/b")
    through = tmp_path / "link" / "program"
    # /tmp is everybody's, but nobody removes there what is root's.
    for each in (path, through):
        assert proc.only_root_writes(str(each))
    for loose in (path, path.parent):
        loose.chmod(0o775)
        assert not proc.only_root_writes(str(through))
        loose.chmod(0o755)
    for owned in (path, path.parent):
        os.chown(owned, 1000, 0)
        assert not proc.only_root_writes(str(through))
        os.chown(owned, 0, 0)
    os.lchown(tmp_path / "link", 1000, 0)
    assert not proc.only_root_writes(str(through))
    assert proc.only_root_writes(str(path))
    (tmp_path / "loop").symlink_to("loop")
    assert not proc.only_root_writes(str(tmp_path / "loop"))


def test_as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Programs().as_root(("ls", "x")) == ["ls", "x"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Programs, "which", lambda host, program, root: f"/bin/{program}")
    assert Programs().as_root(["ls", "x"]) == ["sudo", "--", "ls", "x"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a sudo that others own is none")
def test_sudo_is_told_where_a_program_is(tmp_path, monkeypatch):
    """Its secure_path may be unset; and what an error names is what a person would type."""
    sudo = tmp_path / "sudo"
    program(sudo)
    sudo.write_text('#!/bin/sh\necho "$@" $PATH\nexit $CODE\n', encoding="utf-8")
    monkeypatch.setattr(proc, "SYSTEM_PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", "/evil")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = Programs().run(["env", "x"], root=True).out.split()
    assert said == ["--", "/usr/bin/env", "x", proc.SYSTEM_PATH]
    sudo.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    with pytest.raises(ProcessError, match="sudo -- env x ended with code 3"):
        Programs().run(["env", "x"], root=True)
    os.chown(sudo, 1000, 1000)
    with pytest.raises(PrivilegeError):
        Programs().run(["env", "x"], root=True)


#: What sudo says to whom it does not know, and to whom it would ask for a password.
_UNKNOWN = "u is not in the sudoers file."
_PASSWORD = "sudo: a terminal is required to read the password"


@pytest.mark.skipif(os.geteuid() != 0, reason="a sudo that others own is none")
@pytest.mark.parametrize(
    ("code", "said", "again", "refuses"),
    [
        (1, _UNKNOWN, 1, True),
        (1, _PASSWORD, 1, True),
        # The program's own code, and message.
        (1, "", 1, False),
        (1, "about sudo", 0, False),
        (2, _UNKNOWN, 1, False),
        (0, _UNKNOWN, 1, False),
    ],
)
@pytest.mark.parametrize("how", ["run", "run_limited", "stream"])
def test_a_sudo_that_refuses_is_not_the_program(
    tmp_path, monkeypatch, how, code, said, again, refuses
):
    sudo, asked = tmp_path / "sudo", tmp_path / "asked"
    program(sudo)
    sudo.write_text(
        f'#!/bin/sh\necho "$*" >>{asked}\n[ "$1" != --non-interactive ] || exit {again}\n'
        f"echo '{said}' >&2\nexit {code}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(proc, "SYSTEM_PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs = Programs()
    calls = {
        "run": lambda: programs.run(["test", "x"], root=True, ok=None),
        "run_limited": lambda: programs.run_limited(
            ["test", "x"], root=True, stdin=b"", limit=999, timeout=20
        ),
        "stream": lambda: programs.stream(["test", "x"], print, root=True),
    }
    for _ in range(2):
        if refuses:
            with pytest.raises(
                PrivilegeError, match=r"sudo does not let you .* for: test x"
            ) as why:
                calls[how]()
            assert "group sudo" in why.value.hint
        else:
            with suppress(ProcessError):
                calls[how]()
    times = asked.read_text("utf-8").count("-- /usr/bin/test x")
    # Who is refused is not asked for a password again.
    assert times == (1 if refuses else 2)


def test_as_root_without_sudo(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Programs, "which", lambda host, program, root: None)
    with pytest.raises(PrivilegeError, match="ls 'a b'") as caught:
        Programs().as_root(["ls", "a b"])
    assert caught.value.exit_code == 18
    assert "sudo" in caught.value.hint


def test_run_detached_does_not_wait_for_what_stays_behind():
    begun = time.monotonic()
    assert Programs().run_detached(["sh", "-c", "sleep 3 & exit 4"]) == 4
    assert time.monotonic() - begun < 2


def test_replace():
    script = "from containai.host.proc import Programs; Programs().replace(['sh', b'-c', 'exit 9'])"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9


def limited(script, **options):
    given: dict[str, Any] = {"stdin": b"", "limit": 1000, "timeout": 20.0} | options
    return Programs().run_limited(["sh", "-c", script], **given)


def test_limited_passes_everything_on():
    # More than a pipe holds, and nobody reads it until the end.
    assert limited("echo out; echo err >&2; wc -c; exit 3", stdin=b"x" * 200_000) == proc.Done(
        3, "out\n200000\n", "err\n"
    )


@pytest.mark.parametrize("script", ["yes", "yes >&2"])
def test_limited_ends_what_says_too_much(script):
    with pytest.raises(proc.ProcessError, match="more than 1000 bytes"):
        limited(script)


@pytest.mark.parametrize("script", ["sleep 30", "exec >&- 2>&-; sleep 30"])
def test_limited_ends_what_takes_too_long(script):
    with pytest.raises(proc.ProcessError, match="longer than"):
        limited(script, timeout=0.2)


def test_limited_without_a_program():
    with pytest.raises(proc.ProcessError, match="missing"):
        Programs().run_limited(["/nowhere/x"], stdin=b"", limit=1, timeout=1)


def test_what_another_program_is_given_beside_what_every_child_gets():
    become = "from containai.host.proc import Programs; Programs().replace(['env'], ['A_KEY', 'B'])"
    environ = os.environ | {"A_KEY": "a", "OTHER_KEY": "o"}
    done = subprocess.run(
        [sys.executable, "-c", become], env=environ, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert "A_KEY=a" in lines
    assert not any(line.startswith(("OTHER_KEY=", "B=")) for line in lines)
