"""The harness itself: what tests of setup, reboot and uninstall will rely on."""

import time
from pathlib import Path

import pytest

from .machine import CommandError, Machine
from .qemu import MachineError

pytestmark = pytest.mark.machine


@pytest.mark.reads
def test_is_a_fresh_debian_server(machine: Machine) -> None:
    assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert "VERSION_CODENAME=trixie\n" in machine.run(["cat", "/etc/os-release"]).stdout
    assert machine.run(["cat", "/sys/fs/cgroup/cgroup.controllers"]).stdout
    assert machine.run(["cat", "/sys/module/apparmor/parameters/enabled"]).stdout == "Y\n"
    assert machine.run("command -v docker", check=False).returncode == 1
    assert machine.run("sudo id -un", user="admin").stdout == "root\n"


@pytest.mark.reads
def test_reaches_the_archives(machine: Machine) -> None:
    machine.run(["apt-get", "update"])
    machine.run("cd && pip download --no-deps six && ls six-*.whl", user="admin")
    npm = "import urllib.request; urllib.request.urlopen('https://registry.npmjs.org/left-pad')"
    machine.run(["python3", "-c", npm])


@pytest.mark.reads
def test_clock_is_right(machine: Machine) -> None:
    assert abs(int(machine.run(["date", "+%s"]).stdout) - time.time()) < 10


@pytest.mark.reads
def test_says_what_failed(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)exit 3.*out.*err"):
        machine.run("echo out; echo err >&2; exit 3")
    with pytest.raises(CommandError, match="timed out"):
        machine.run(["sleep", "60"], timeout=1)


@pytest.mark.reads
def test_carries_files_both_ways(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"\0content")
    machine.put(tmp_path / "there", "/home/admin/there", user="admin")
    assert machine.run(["stat", "-c%U", "/home/admin/there/file"]).stdout == "admin\n"
    machine.get("/home/admin/there", tmp_path / "back")
    assert (tmp_path / "back" / "file").read_bytes() == b"\0content"


def test_goes_back_to_what_was_kept(machine: Machine, tmp_path: Path) -> None:
    machine.run("echo disk > /root/disk; echo memory > /run/memory")
    machine.keep(tmp_path / "before")
    boot = machine.boot_id()
    machine.run("rm /root/disk /run/memory; systemctl stop dbus.socket; sync")
    machine.resume(tmp_path / "before")
    assert machine.boot_id() == boot
    assert machine.run("cat /root/disk /run/memory").stdout == "disk\nmemory\n"
    assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
    machine.resume()
    assert machine.run("ls /root/disk", check=False).returncode


def test_a_file_that_is_no_state(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"qemu-img.*nothing"):
        machine.resume(tmp_path / "nothing")
