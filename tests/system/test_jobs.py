"""Jobs: they outlive whoever started them, and their box where they are to."""

import json
import os
import pty
import signal
import time

import pytest

from containai.errors import JobError
from harness.site import refused
from harness.waiting import until


class Look:
    """A command of cai at a terminal of its own."""

    def __init__(self, site, *words):
        self.main, inside = pty.openpty()
        os.set_blocking(self.main, False)
        self.cai = site.start(
            *words, stdin=inside, stdout=inside, stderr=inside, env={"TERM": "xterm-256color"},
            start_new_session=True,
        )  # fmt: skip
        os.close(inside)
        self.seen = b""

    def sees(self, text):
        """Whether it has shown a text so far."""
        while True:
            try:
                part = os.read(self.main, 1 << 16)
            except OSError:
                break
            self.seen += part
            if not part:
                break
        return text in self.seen

    def says(self, *keys):
        """Type."""
        for key in keys:
            os.write(self.main, key)
            # What comes at once is pasted, to tmux: no key of its own (assume-paste-time).
            time.sleep(0.05)

    def ended(self):
        """Wait for its end; return its exit code."""
        until(lambda: self.sees(b"\0never") or self.cai.poll() is not None)
        os.close(self.main)
        return self.cai.returncode


@pytest.fixture
def jobs(site, shared):
    """Start jobs of the shared box by their options; end what is left of them."""

    def started(*words, command):
        return (
            site.cai("run", "--detach", *words, shared.path, "--", *command).stdout.decode().strip()
        )

    yield started
    for name, job in listed(site, shared).items():
        if job["status"] in ("running", "restarting", "waiting"):
            site.cai("kill", "--name", shared.box, name)


def listed(site, space):
    rows = json.loads(site.cai("jobs", "--json", space.path).stdout)
    return {row["name"]: row for row in rows}


def becomes(site, space, name, status):
    return until(lambda: (job := listed(site, space)[name])["status"] == status and job)


def test_a_job_is_as_a_command_through_cai_run_and_its_output_stays(site, shared, jobs):
    # The shell changes SHLVL and _; the rest is of a session of ssh, or of a terminal.
    other = "SSH_|XDG_SESSION_|MOTD|SHLVL|_=|CONTAINAI_|OLDPWD|LC_|BROWSER="
    show = f"env | grep -v -E '^({other})' | sort; "
    show += "umask; ulimit -a; pwd; cat /proc/self/status | grep Sig[IB]; cat"
    name = jobs("-e", "TOKEN=a b", command=["sh", "-c", f"{show}; echo; echo '  end'; exit 3"])
    followed = site.cai("logs", "-f", "--name", shared.box, name).stdout.decode().splitlines()
    run = site.cai("run", "-e", "TOKEN=a b", shared.path, "--", "sh", "-c", show).stdout.decode()
    assert followed[-1] == "  end"
    assert [line.split() for line in followed[:-1]] == [line.split() for line in run.splitlines()]
    job = listed(site, shared)[name]
    assert (job["status"], job["code"]) == ("failed", 3)
    assert site.cai("logs", "--name", shared.box, name).stdout.decode().splitlines() == followed
    # Its variables are kept no longer than it takes.
    found = "cat ~/.local/state/containai/jobs/*/variables 2>/dev/null"
    assert "a b" not in shared.run("sh", "-c", found, check=False).stdout.decode()


def test_attaching_follows_a_job_and_ends_as_it_does(site, shared, jobs):
    name = jobs(
        command=["sh", "-c", "echo on; while [ ! -e go ]; do sleep .1; done; echo off; exit 5"]
    )
    look = site.start("attach", "--name", shared.box, name, stdout=-1, stderr=-1)
    assert look.stdout.readline() == b"on\n"
    shared.run("touch", "go")
    out, err = look.communicate()
    shared.run("rm", "go")
    assert (look.returncode, out) == (5, b"off\n")
    assert b"has no terminal" in err
    done = site.cai("attach", "--name", shared.box, name, check=False)
    assert "has ended, with code 5" in refused(done, JobError)[0]


def test_a_terminal_is_left_and_taken_up_again(site, shared, jobs):
    name = jobs("--tty", command=["sh", "-c", "echo here; read x; echo got $x; read y; exit 6"])
    words = ("attach", "--name", shared.box, name)
    first = Look(site, *words)
    until(lambda: first.sees(b"here"))
    first.says(b"hello\r")
    until(lambda: first.sees(b"got hello"))
    first.says(b"\x02", b"d")
    assert first.ended() == 0
    # As a terminal that is closed, or a connection that is lost.
    second = Look(site, *words)
    until(lambda: second.sees(b"got hello"))
    os.killpg(second.cai.pid, signal.SIGKILL)
    second.ended()
    third = Look(site, *words)
    until(lambda: third.sees(b"got hello"))
    third.says(b"\r")
    # What was on the screen that has gone, as it failed.
    third.seen = b""
    assert third.ended() == 6
    assert third.seen.endswith(b"here\r\nhello\r\ngot hello\r\n")
    assert b"got hello" in site.cai("logs", "--name", shared.box, name).stdout


def test_a_program_that_stops_itself_goes_on_and_who_looks_on_leaves(site, shared, jobs):
    script = "echo here; read x; kill -STOP $$; echo back; read y"
    name = jobs("--tty", command=["sh", "-c", script])
    look = Look(site, "attach", "--name", shared.box, name)
    until(lambda: look.sees(b"here"))
    look.says(b"\r")
    assert look.ended() == 0
    until(lambda: b"back" in site.cai("logs", "--name", shared.box, name).stdout)


def test_killing_takes_all_that_a_job_started(site, shared, jobs):
    script = "sleep 4711 & setsid sleep 4712 & trap 'touch told' INT; touch on; "
    name = jobs("--job", "deep", command=["sh", "-c", script + "while :; do sleep .1; done"])
    until(lambda: shared.run("test", "-e", "on", check=False).returncode == 0)
    site.cai("kill", "--signal", "INT", "--name", shared.box, name)
    until(lambda: shared.run("test", "-e", "told", check=False).returncode == 0)
    site.cai("kill", "--name", shared.box, name)
    assert listed(site, shared)[name]["status"] == "killed"
    assert shared.run("pgrep", "-f", "sleep 471", check=False).stdout == b""
    shared.run("rm", "on", "told")


def test_what_a_box_does_not_find_or_systemd_does_not_take_is_no_job(site, shared, jobs):
    before = listed(site, shared)
    for words in (
        ["--", "nonsense"],
        ["--on-calendar", "Mon 99:99", "--", "true"],
    ):
        done = site.cai("run", "--detach", shared.path, *words, check=False)
        refused(done, JobError)
    jobs("--job", "twice", command=["sleep", "1000"])
    argv = ("run", "--detach", "--job", "twice", shared.path, "--", "true")
    assert "is there already" in refused(site.cai(*argv, check=False), JobError)[0]
    assert listed(site, shared).keys() == before.keys() | {"twice"}


def test_what_is_to_be_comes_back_with_its_box(site, space):
    def start(*words):
        site.cai("run", "--detach", "--job", *words)

    script = "echo begun $T; exec sleep 1000"
    start("steady", "--restart", "on-failure", "-e", "T=x", space.path, "--", "sh", "-c", script)
    start("timed", "--on-calendar", "2099-01-01 00:00:00", space.path, "--", "true")
    start("once", space.path, "--", "sleep", "1000")
    start("done", "--restart", "on-failure", space.path, "--", "true")
    start("killed", "--restart", "always", space.path, "--", "sleep", "1000")
    becomes(site, space, "done", "done")
    site.cai("kill", "--name", space.box, "killed")
    until(lambda: b"begun x" in site.cai("logs", "--name", space.box, "steady").stdout)
    with open(site.layout.engine_pidfile, encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGTERM)
    until(lambda: not os.path.exists(site.layout.engine_pidfile))
    states = {name: job["status"] for name, job in listed(site, space).items()}
    assert (states["steady"], states["once"]) == ("running", "running")
    site.cai("restart", space.path)
    becomes(site, space, "steady", "running")
    until(lambda: site.cai("logs", "--name", space.box, "steady").stdout == b"begun x\nbegun x\n")
    states = {name: job["status"] for name, job in listed(site, space).items()}
    assert states == {
        "steady": "running", "timed": "waiting", "once": "lost", "done": "done", "killed": "killed",
    }  # fmt: skip
    space.run("sh", "-c", "kill -9 $(pgrep -x sleep)")
    # As often as need be.
    until(lambda: site.cai("logs", "--name", space.box, "steady").stdout.count(b"begun") == 3)
    assert listed(site, space)["steady"]["restarts"] == 1


#: What the agent writes as the memory of a job.
EVIL = {
    "name": "evil", "command": ["\x1b[2J"], "created": 1, "terminal": False, "restart": "no",
    "calendar": "",
}  # fmt: skip
MEMORY = "~/.local/state/containai/jobs"


def test_what_the_agent_writes_steers_no_terminal(site, shared, jobs):
    name = jobs(command=["printf", r"\033]0;owned\007 \033[2Jtext\n"])
    becomes(site, shared, name, "done")
    assert site.cai("logs", "--name", shared.box, name).stdout == b" text\n"
    evil = f"mkdir {MEMORY}/evil; cat >{MEMORY}/evil/job; ln -s /etc {MEMORY}/link"
    shared.run("sh", "-c", evil, input=json.dumps(EVIL).encode())
    try:
        said = site.cai("jobs", shared.path).stdout
        assert b"evil" in said
        assert b"\x1b" not in said
    finally:
        shared.sh(f"rm -r {MEMORY}/evil {MEMORY}/link")


def test_following_leaves_nothing_in_the_box(site, shared, jobs):
    name = jobs("--job", "long", command=["sh", "-c", "echo on; exec sleep 1000"])
    for words in (("logs", "-f", shared.path), ("logs", "-f", "--name", shared.box, name)):
        follow = site.start(*words, stdout=-1)
        assert follow.stdout.readline()
        follow.kill()
        follow.wait()
        follow.stdout.close()
        left = ("pgrep", "-f", "journalctl.*--follow|job output")
        until(lambda: shared.run(*left, check=False).stdout == b"")  # noqa: B023
