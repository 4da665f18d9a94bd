"""The way in for plain ssh clients and editors."""

import os
import subprocess

import pytest


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


@pytest.mark.parametrize("options", [[], ["-o", "ControlPath=none"]], ids=["sharing", "own"])
def test_plain_ssh_gets_in_without_a_prompt(site, shared, options):
    # ssh takes the home directory from the password database, not from HOME: hence -F.
    argv = ["ssh", "-F", site.layout.ssh_config, "-o", "BatchMode=yes"]
    argv += ["-o", "StrictHostKeyChecking=yes", *options, shared.box, "hostname; id -un"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{shared.box}\nagent\n", "")


def test_another_host_key_is_refused(site, shared):
    argv = ["ssh", "-F", site.layout.ssh_config, "-o", "ControlPath=none", "-o", "BatchMode=yes"]
    argv += ["-o", "UserKnownHostsFile=/dev/null", shared.box, "true"]
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
