"""The way in for plain ssh clients and editors."""

import os
import signal
import socket
import subprocess

import pytest

from harness.waiting import until


def listening(port: int) -> set[str]:
    """Return the local addresses, as /proc/net has them, of listeners on a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        for row in rows:
            address, _, number = row[1].partition(":")
            if row[3] == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@pytest.fixture
def ssh(site, shared):
    """How a user's ssh begins, while a connection of cai's own is up."""
    assert os.path.exists(site.layout.control_socket(shared.box))
    # ssh takes the home directory from the password database, not from HOME: hence -F.
    return ["ssh", "-F", site.layout.ssh_config, "-o", "BatchMode=yes"]


def test_plain_ssh_gets_in_without_a_prompt(ssh, shared):
    argv = [*ssh, "-o", "StrictHostKeyChecking=yes", shared.box, "hostname; id -un"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{shared.box}\nagent\n", "")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("forward", ["-L{}:localhost:22", "-D{}"])
def test_a_forward_is_there_while_its_ssh_is(ssh, shared, forward):
    port = free_port()
    argv = [*ssh, "-o", "ExitOnForwardFailure=yes", "-N", forward.format(port), shared.box]
    with subprocess.Popen(argv) as process:
        until(lambda: listening(port))
        assert process.poll() is None
        process.terminate()
    assert not listening(port)


def test_an_ssh_in_the_background_stays_there(ssh, shared):
    port = free_port()
    argv = [*ssh, "-fN", f"-L{port}:localhost:22", shared.box]
    # It goes there once the forward stands.
    subprocess.run(argv, check=True)
    assert listening(port)
    (pid,) = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if words_of(pid) == argv]
    os.kill(int(pid), signal.SIGTERM)
    until(lambda: not listening(port))


def words_of(pid: str) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []


def test_a_box_is_a_way_to_what_it_reaches(ssh, shared):
    argv = [*ssh, "-W", "localhost:22", shared.box]
    done = subprocess.run(argv, capture_output=True, input=b"no ssh\r\n", check=False)
    assert done.stdout.startswith(b"SSH-2.0-")


def test_another_host_key_is_refused(ssh, shared):
    argv = [*ssh, "-o", "UserKnownHostsFile=/dev/null", shared.box, "true"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 255
    assert b"verification failed" in done.stderr


def test_the_port_is_bound_on_loopback_only(shared):
    assert listening(shared.port) == {"0100007F"}


def test_a_password_is_no_way_in(shared):
    assert shared.sh("sudo sshd -T | grep -E '^(passwordauthentication|permitrootlogin) '") == (
        "permitrootlogin no\npasswordauthentication no"
    )


def test_what_is_secret_is_private(site, shared):
    layout = site.layout
    for path in (layout.ssh_key, layout.ssh_config, layout.ssh_block(shared.box)):
        assert os.stat(path).st_mode & 0o077 == 0, path
    for path in (layout.ssh_blocks, layout.control_dir):
        assert os.stat(path).st_mode & 0o7777 == 0o700, path
    assert os.stat(layout.engine_given).st_mode & 0o7777 == 0o770
    assert shared.inspect()["Id"] not in os.listdir(layout.engine_given)
    command = "cd /etc; stat -c '%a %U %G' ssh/ssh_host_ed25519_key containai/authorized_keys/agent"
    assert shared.sh(command).splitlines() == ["600 root root", "644 root root"]
