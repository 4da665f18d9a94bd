"""Processes: exec, users, rights, terminals, exit codes, signals."""

import pytest

from .client import IMAGE, DockerFailedError


def test_exec_has_the_environment_and_directory_of_the_container(docker, idle):
    assert docker.sh(idle, "echo $MADE; pwd; id -u") == "yes\n/tmp\n0"
    said = docker.sh(idle, "echo $MADE $MORE; pwd", "--env", "MORE=too", "--workdir", "/etc")
    assert said == "yes too\n/etc"


def test_exec_as_another_user(docker, idle):
    for user, ids in {
        "agent": "uid=1000(agent) gid=1000(agent) groups=1000(agent),2000(extra)",
        "1000": "uid=1000(agent) gid=1000(agent) groups=1000(agent),2000(extra)",
        "4321:8765": "uid=4321 gid=8765 groups=8765",
        "agent:extra": "uid=1000(agent) gid=2000(extra) groups=2000(extra)",
    }.items():
        assert docker.sh(idle, "id", "--user", user) == ids
    with pytest.raises(DockerFailedError, match="ermission denied"):
        docker.sh(idle, "touch /etc/mine", "--user", "agent")


def test_exec_passes_exit_codes_and_both_streams(docker, idle):
    with pytest.raises(DockerFailedError) as failed:
        docker.sh(idle, "echo out; echo err >&2; exit 41")
    assert (failed.value.code, failed.value.said) == (41, "err\nout\n")
    with pytest.raises(DockerFailedError) as missing:
        docker("exec", idle, "no-such-program")
    assert missing.value.code in (126, 127)
    assert "no-such-program" in missing.value.said


def test_exec_with_a_terminal(docker, idle):
    said = docker.sh(idle, "tty; test -t 0 && test -t 1 && echo all; stat -c %U $(tty)", "--tty")
    name, rest = said.replace("\r", "").split("\n", 1)
    assert name.startswith("/dev/pts/")
    assert rest == "all\nroot"


def test_exec_takes_stdin(docker, idle):
    assert docker("exec", "-i", idle, "wc", "-c", data=b"x" * 100_000) == "100000"


def test_exec_detached(docker, idle):
    docker("exec", "--detach", idle, "sh", "-c", "sleep 0.1; echo done >/tmp/detached")
    until = "while ! test -s /tmp/detached; do sleep 0.05; done; cat /tmp/detached"
    assert docker.sh(idle, until) == "done"


def test_exec_of_a_user_that_was_made_inside(docker):
    container = docker.start()
    # As useradd does: a new file takes the place of the old one.
    line = "bob:x:1234:1234::/:/bin/sh"
    docker.sh(container, f"cd /etc; (cat passwd; echo {line}) >new; mv new passwd")
    assert docker("exec", "--user", "bob", container, "id", "-u") == "1234"


NONE = "0000000000000000"
PLAIN = "00000000a80425fb"


@pytest.mark.parametrize(
    ("options", "permitted", "effective", "bounding", "no_new"),
    [
        ("", PLAIN, PLAIN, PLAIN, "0"),
        ("--cap-drop=ALL --cap-add=NET_ADMIN", *["0000000000001000"] * 3, "0"),
        ("--cap-add=SYS_ADMIN", *["00000000a82425fb"] * 3, "0"),
        ("--user=1000 --security-opt=no-new-privileges", NONE, NONE, PLAIN, "1"),
    ],
)
def test_capabilities(docker, options, permitted, effective, bounding, no_new):
    """Docker's own set, and exec has what the container has."""
    container = docker.start(*options.split())
    status = "sed -En 's/^(Cap[PEBA]|NoNew).*:\\t//p' "
    said = docker.sh(container, f"{status} /proc/1/status; {status} /proc/self/status").split()
    assert said == [permitted, effective, bounding, NONE, no_new] * 2


def test_a_dropped_capability_is_missed(docker):
    script = "mkdir /d; chown 5 /d 2>&1; stat -c %u /d"
    assert docker.run(script=script) == "5"
    said = docker.run("--cap-drop", "CHOWN", script=script)
    assert said.endswith("Operation not permitted\n0")


def test_setuid_programs_work_unless_no_new_privileges(docker):
    # busybox gives the rights of a setuid file to few of its programs; ping is one.
    script = "cp /bin/busybox /ping; chmod 4755 /ping; su agent -c '/ping -c 1 127.0.0.1' 2>&1"
    options = ["--network", "none", "--sysctl", "net.ipv4.ping_group_range=1 0"]
    assert "1 packets received" in docker.run(*options, script=script)
    with pytest.raises(DockerFailedError, match="permission denied"):
        docker.run(*options, "--security-opt", "no-new-privileges", script=script)


def test_user_groups_workdir_hostname_and_environment(docker):
    options = ["--user", "agent", "--group-add", "77", "--workdir", "/new/dir", "--hostname", "h1"]
    said = docker.run(*options, "--env", "A=1 2", script='id; pwd; hostname; echo "$A" $HOME')
    assert said.split("\n") == [
        "uid=1000(agent) gid=1000(agent) groups=77,1000(agent),2000(extra)",
        "/new/dir",
        "h1",
        "1 2 /home/agent",
    ]


def test_ulimits(docker):
    options = ["--ulimit", "nofile=123:456", "--ulimit", "core=0", "--ulimit", "nproc=99"]
    script = "ulimit -Sn; ulimit -Hn; ulimit -c; sed -n 's/^Max processes *//p' /proc/self/limits"
    said = docker.run(*options, script=script).split()
    assert said == ["123", "456", "0", "99", "99", "processes"]


def test_init_reaps_and_passes_signals(docker):
    script = "trap 'exit 9' TERM; (sleep 0.1 &) ; echo ready; while :; do sleep 0.05; done"
    container = docker.start("--init", script=script)
    docker.until_logged(container, "ready")
    assert docker.sh(container, "cat /proc/1/comm") == "docker-init"
    docker.sh(container, "until ! grep -q Z /proc/[0-9]*/stat; do sleep 0.05; done")
    docker("stop", container)
    assert docker.inspect(container, "State", "ExitCode") == 9


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["--init", "sh", "-c", "kill -9 $$; sleep 9"], 137),
        (["/etc/passwd"], 126),
        (["no-such-program"], 127),
    ],
)
def test_exit_codes(docker, command, code):
    options = ["--init"] if command[0] == "--init" else []
    words = command[len(options) :]
    with pytest.raises(DockerFailedError) as failed:
        docker("run", "--rm", "--runtime", docker.runtime, *options, IMAGE, *words)
    assert failed.value.code == code


def test_stop_lets_a_handler_end_the_container(docker):
    script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    container = docker.start(script=script)
    docker.until_logged(container, "up")
    docker("stop", "--time", "20", container)
    assert docker("logs", container) == "up\nbye"
    assert docker.inspect(container, "State", "ExitCode") == 5


def test_stop_signal_and_kill(docker):
    script = "trap 'echo usr1' USR1; trap 'exit 6' INT; echo up; while :; do sleep 0.05; done"
    container = docker.start("--stop-signal", "SIGINT", script=script)
    docker.until_logged(container, "up")
    docker("kill", "--signal", "USR1", container)
    docker.until_logged(container, "usr1")
    docker("stop", "--time", "20", container)
    assert docker.inspect(container, "State", "ExitCode") == 6
    docker("start", container)
    docker("kill", container)
    assert docker("wait", container) == "137"
    assert docker.inspect(container, "State", "Status") == "exited"


def test_stop_kills_what_does_not_listen(docker):
    container = docker.start(script="trap '' TERM; while :; do sleep 1; done")
    docker("stop", "--time", "1", container)
    assert docker.inspect(container, "State", "ExitCode") == 137


def test_top(docker):
    container = docker.start(script="sleep 1001 & exec sleep 1002")
    told = lambda: docker("top", container, "-eo", "pid,args").split("\n")  # noqa: E731
    docker.until(
        lambda: sorted(row.split(None, 1)[1] for row in told()[1:]) == ["sleep 1001", "sleep 1002"]
    )
    assert told()[0].split() == ["PID", "COMMAND"]
