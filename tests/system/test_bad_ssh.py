"""What of ssh this machine or this user lacks is said in one line, and nothing is made."""

import os
import subprocess
import sys

import pytest

from containai.errors import SshSetupError, UnsupportedError, UsageError
from harness.site import refused

#: Its own mounts: the first word's file, or the directory itself read-only, is at the second.
OVER = 'mount --bind "$0" "$1" && { [ "$0" != "$1" ] || mount -o remount,bind,ro "$1"; }; shift; '
#: Its own network, whose loopback has ::1 alone.
ONLY_IPV6 = "ip link set lo up && ip address delete 127.0.0.1/8 dev lo; "
OLD_SSH = """#!/bin/sh
echo "OpenSSH_7.9p1 Debian-10+deb10u2, OpenSSL 1.1.1d  10 Sep 2019" >&2
"""


@pytest.fixture
def refuses(site, space):
    """Assert that no box is made where a script has changed the machine for cai; return why."""

    def run(error, *words, script, unshare="--mount"):
        cai = [sys.executable, "-m", "containai", "run", space.path, "--", "true"]
        done = subprocess.run(
            ["unshare", unshare, "sh", "-c", f'{script}exec "$@"', *words, *cai],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=site.environment,
            check=False,
        )
        lines = refused(done, error)
        assert space.box not in site.container_names()
        assert not os.path.exists(site.layout.ssh_block(space.box))
        return lines

    return run


@pytest.mark.parametrize("program", ["ssh", "ssh-keygen"])
def test_no_client(refuses, tmp_path, program):
    none = tmp_path / "none"
    none.touch(mode=0o644)
    lines = refuses(SshSetupError, str(none), f"/usr/bin/{program}", script=OVER)
    assert lines == [f"cai: the program {program!r} is missing", lines[-1]]


def test_a_client_that_is_too_old(refuses, tmp_path):
    old = tmp_path / "ssh"
    old.write_text(OLD_SSH, encoding="utf-8")
    old.chmod(0o755)
    lines = refuses(SshSetupError, str(old), "/usr/bin/ssh", script=OVER)
    assert lines[0] == "cai: ssh is OpenSSH 7.9, which is too old"


def test_a_home_that_is_read_only(refuses, site):
    lines = refuses(SshSetupError, site.home, site.home, script=OVER)
    assert "Read-only file system" in lines[-2]


def test_a_home_that_cannot_be(site, space):
    done = site.cai("run", space.path, "--", "true", env={"HOME": "/proc/home"}, check=False)
    assert "/proc/home" in refused(done, SshSetupError)[-2]
    assert space.box not in site.container_names()


def test_a_loopback_of_ipv6_alone(refuses):
    lines = refuses(UnsupportedError, "sh", script=ONLY_IPV6, unshare="--net")
    assert "no 127.0.0.1" in lines[-2]


@pytest.mark.parametrize("given", ["2500-2400", "2400-2399", "0-0", "80-90", "65000-70000", ""])
def test_a_range_without_a_port_that_can_be(site, space, given):
    env = {"CONTAINAI_SSH_PORT_RANGE": given}
    done = site.cai("run", space.path, "--", "true", env=env, check=False)
    assert "ssh.port_range" in refused(done, UsageError)[-2]
    assert space.box not in site.container_names()


@pytest.mark.parametrize("what", ["directory", "nothing", "file", "loop"])
def test_a_directory_of_ssh_that_is_a_link(site, space, tmp_path, what):
    home, there = tmp_path / "home", tmp_path / "there"
    home.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    match what:
        case "directory":
            there.mkdir(mode=0o700)
        case "file":
            there.touch()
        case "loop":
            there.symlink_to(home / ".ssh")
    (home / ".ssh").symlink_to(there)
    done = site.cai("run", space.path, "--", "true", env={"HOME": str(home)}, check=False)
    if what in ("directory", "nothing"):
        assert (done.returncode, (home / ".ssh").is_symlink()) == (0, True)
        assert (there / "config").exists()
    else:
        assert str(tmp_path) in refused(done, SshSetupError)[-2]
        assert space.box not in site.container_names()
