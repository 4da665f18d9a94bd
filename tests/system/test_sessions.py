"""A command through cai is as a local one: terminals, signals, how it ends, and with whom."""

import fcntl
import hashlib
import shlex
import signal
import struct
import subprocess
import sys
import termios

import pytest

from harness.screen import Screen
from harness.waiting import until

CAI = [sys.executable, "-m", "containai"]


@pytest.fixture
def screen(site):
    """Return what runs something at a terminal; it is ended with the test."""
    made = []

    def make(*argv, **environ):
        made.append(Screen(site, *argv, **environ))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pids(space, pattern):
    """Return what runs in a box with a command line of exactly this."""
    return space.run("pgrep", "-fx", pattern, check=False).stdout.split()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_caller_that_ends_takes_its_command_along(site, shared, number):
    caller = site.start("run", shared.path, "--", "sleep", "4320", stdin=subprocess.DEVNULL)
    until(lambda: pids(shared, "sleep 4320"))
    caller.send_signal(number)
    assert caller.wait() == -number
    until(lambda: not pids(shared, "sleep 4320"))


def test_a_caller_that_is_killed_takes_along_what_does_not_want_to(site, shared):
    script = "trap '' HUP TERM; sleep 4321 & sudo -n sleep 4322 & setsid sleep 4323 & sleep 4324"
    caller = site.start("run", shared.path, "--", "sh", "-c", script, stdin=subprocess.DEVNULL)
    until(lambda: all(pids(shared, f"sleep 432{n}") for n in range(1, 5)))
    caller.kill()
    caller.wait()
    until(lambda: not any(pids(shared, f"sleep 432{n}") for n in (1, 2, 4)))
    # What has a session of its own was meant to stay.
    assert pids(shared, "sleep 4323")
    shared.run("pkill", "-KILL", "-fx", "sleep 4323")


def test_so_does_one_with_input_that_nobody_reads(site, shared):
    with open("/dev/zero", "rb") as zero:
        caller = site.start("run", shared.path, "--", "sleep", "4325", stdin=zero)
        until(lambda: pids(shared, "sleep 4325"))
        caller.kill()
        caller.wait()
    until(lambda: not pids(shared, "sleep 4325"))


def test_so_does_a_terminal_that_is_closed(site, screen, shared):
    seen = screen(*CAI, "run", shared.path, "--", "sh", "-c", "trap '' HUP; sleep 4326")
    until(lambda: pids(shared, "sleep 4326"))
    seen.hang_up()
    until(lambda: not pids(shared, "sleep 4326"))


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_a_command_that_a_signal_ended_has_128_more(shared, name):
    done = shared.run("sh", "-c", f"kill -{name} $$", check=False)
    assert done.returncode == 128 + signal.Signals[f"SIG{name}"]
    assert done.stderr == b""


def test_an_interrupt_is_the_commands(site, shared):
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    caller = site.start(
        "run", shared.path, "--", "sh", "-c", script,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert caller.stdout.readline() == b"ready\n"
    caller.send_signal(signal.SIGINT)
    assert (caller.communicate()[0], caller.returncode) == (b"caught\n", 7)


def test_a_connection_that_is_lost_is_said(site, shared):
    caller = site.start(
        "run", shared.path, "--", "sleep", "4327", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    until(lambda: pids(shared, "sleep 4327"))
    shared.close_connection()
    said = caller.communicate()[1].decode()
    assert caller.returncode == 255
    assert said.startswith(f"cai: the connection to the box {shared.box!r} was lost\n  hint: ")
    until(lambda: not pids(shared, "sleep 4327"))
    # The command's own is not taken for that.
    done = shared.run("sh", "-c", "exit 255", check=False)
    assert (done.returncode, done.stderr) == (255, b"")


def test_what_reads_output_may_go(site, shared):
    line = (
        f"{' '.join(CAI)} run {shared.path} -- yes </dev/null | head -n1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", line], env=site.environment, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")


def test_a_terminal_only_where_stdout_is_one_too(site, screen, shared, tmp_path):
    out = tmp_path / "out"
    line = f"{' '.join(CAI)} run {shared.path} -- printf 'a\\nb\\n' >{out}"
    assert screen("sh", "-c", line).end() == 0
    assert out.read_bytes() == b"a\nb\n"


def test_what_is_typed_is_for_the_command(site, screen, shared, tmp_path):
    out = tmp_path / "out"
    seen = screen("sh", "-c", f"{' '.join(CAI)} run {shared.path} -- cat >{out}")
    seen.type(b"typed\n\x04")
    assert seen.end() == 0
    assert out.read_bytes() == b"typed\n"


def test_what_is_typed_is_a_pagers_that_reads_it(site, screen, shared):
    script = "echo begun; sleep 4331"
    pager = "read line; echo paged $line; read key </dev/tty; echo got $key"
    seen = screen("sh", "-c", f"{' '.join(CAI)} run {shared.path} -- sh -c '{script}' | ({pager})")
    seen.shows(b"paged begun")
    seen.type(b"key\n")
    seen.shows(b"got key")
    shared.run("pkill", "-fx", "sleep 4331")
    assert seen.end() == 0


def test_a_command_in_the_background_takes_nothing_that_is_typed(site, screen, shared):
    shell = screen("bash", "--norc", "--noprofile", "-i", PS1="$ ")
    shell.type(f"{' '.join(CAI)} run {shared.path} -- sleep 4332 >/dev/null &\n".encode())
    until(lambda: pids(shared, "sleep 4332"))
    for count in range(5):
        shell.type(f"echo li''ne{count}\n".encode())
        shell.shows(f"line{count}".encode())
    shell.type(b"kill %1; exit\n")
    until(lambda: not pids(shared, "sleep 4332"))


@pytest.mark.parametrize(("flag", "code"), [("-t", 0), ("--tty", 0), ("-T", 1), ("--no-tty", 1)])
def test_a_terminal_where_one_is_asked_for(site, screen, shared, flag, code):
    words = [flag, shared.path, "--", "sh", "-c", "cat; test -t 0 && test -t 1"]
    done = site.cai("exec", *words, input=b"x\n", check=False)
    assert (done.returncode, done.stdout.endswith(b"x\r\n")) == (code, not code)
    seen = screen(*CAI, "exec", flag, shared.path, "--", "sh", "-c", "test -t 1")
    assert seen.end() == code


def test_what_a_command_leaves_behind_is_not_waited_for(site, screen, shared):
    script = "sleep 4328 & sleep 4329 >/dev/null 2>&1 & head -c 300000 /dev/zero; exit 4"
    done = shared.run("sh", "-c", script, check=False)
    assert (done.returncode, len(done.stdout)) == (4, 300_000)
    assert pids(shared, "sleep 4329")
    # What is slow to read it loses nothing.
    line = f"{' '.join(CAI)} run {shared.path} -- sh -c '{script}' | (sleep 2; wc -c)"
    done = subprocess.run(["sh", "-c", line], env=site.environment, capture_output=True, check=True)
    assert done.stdout == b"300000\n"
    seen = screen(*CAI, "run", shared.path, "--", "sh", "-c", "sleep 4330 & exit 5")
    assert seen.end() == 5
    assert pids(shared, "sleep 4330")
    shared.run("pkill", "-f", "^sleep 43")


def test_a_command_that_stops_where_nobody_could_continue_it_goes_on(site, screen, shared):
    script = "kill -STOP $$; echo back; exit 9"
    seen = screen(*CAI, "run", shared.path, "--", "sh", "-c", script)
    assert seen.end() == 9
    assert b"back" in seen.seen


def test_ctrl_z_suspends_and_fg_goes_on(site, screen, shared):
    shell = screen("bash", "--norc", "--noprofile", "-i", PS1="$ ")
    script = "trap 'echo goes on' CONT; stty -echo; echo be''gun; read x; echo got $x; exit 5"
    shell.type(shlex.join([*CAI, "run", shared.path, "--", "bash", "-c", script]).encode() + b"\n")
    shell.shows(b"begun\r\n")
    shell.type(b"\x1a")
    shell.shows(b"Stopped")
    shell.type(b"stty -a | grep -o ' icanon.*'; fg\n")
    shell.shows(b" icanon")
    shell.shows(b"goes on\r\n")
    shell.type(b"hello\n")
    # What is typed before belongs to the session.
    until(lambda: b"$ " in shell.read().rpartition(b"got hello")[2])
    shell.type(b"echo code $?; exit\n")
    shell.shows(b"code 5")
    assert shell.end() == 0


def test_the_size_of_the_terminal_follows(site, screen, shared):
    script = "trap 'stty size; exit' WINCH; stty size; echo rea''dy; while :; do sleep 0.05; done"
    environ = {"LINES": "", "COLUMNS": ""}
    seen = screen(*CAI, "run", shared.path, "--", "sh", "-c", script, **environ)
    seen.shows(b"ready")
    fcntl.ioctl(seen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    seen.shows(b"33 99")
    assert seen.end() == 0


def test_the_callers_terminal_and_language(shared):
    environ = {
        "COLORTERM": "truecolor", "TERM": "xterm-kitty",
        "LANG": "de_DE.UTF-8", "LC_TIME": "C", "LC_ALL": "", "LC_CTYPE": "tlh_QO",
    }  # fmt: skip
    out = shared.sh("echo $COLORTERM; echo $LANG; echo $LC_TIME; perl -e1 2>&1", env=environ)
    # What the box does not have is the nearest that it has.
    assert out.splitlines() == ["truecolor", "C.UTF-8", "C"]


def test_a_locale_that_is_set_in_the_box_and_missing_is_said_by_no_one(shared):
    done = shared.run("true", env={"LANG": "C.UTF-8", "LC_ALL": "xx_XX.UTF-8"})
    assert done.stderr == b""


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_command_of_any_length(shared, count):
    words = [b"%d'" % n + b"x" * 100_000 for n in range(count)]
    done = shared.run("sh", "-c", 'printf %s "$@" | sha256sum', "sh", *words)
    assert done.stdout.split()[0].decode() == hashlib.sha256(b"".join(words)).hexdigest()
    assert shared.sh("ls $XDG_RUNTIME_DIR | grep -c ^cai- || true") == "0"
