import os
import time

import pytest

from containai.errors import NoSpaceError
from containai.provision.steps.conditions import (
    Cgroups,
    Clock,
    Inodes,
    Namespaces,
    Randomness,
    Virtualization,
)
from containai.provision.steps.programs import Packages

YEAR = 365 * 24 * 3600


def write(directory, path, text=""):
    path = os.path.join(directory, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize("off", [0, 3600, -3600, 14 * 3600])
def test_a_clock_that_is_about_right(host, tmp_path, off):
    write(tmp_path, "since_epoch", f"{int(time.time())}\n")
    assert Clock(lambda: time.time() + off, str(tmp_path)).check(host).ok


def test_a_clock_that_is_a_year_behind(host, tmp_path):
    write(host.layout.root, os.path.relpath(host.layout.version_file, host.layout.root), "1\n")
    found = Clock(lambda: time.time() - YEAR, str(tmp_path)).check(host)
    assert (found.ok, "was written later" in found.seen) == (False, True)
    assert "timedatectl set-ntp true" in found.hint


def test_a_clock_that_is_a_year_ahead(host, tmp_path):
    ahead = Clock(lambda: time.time() + YEAR, str(tmp_path))
    # Nothing shows it where there is no other clock.
    assert ahead.check(host).ok
    write(tmp_path, "since_epoch", f"{int(time.time())}\n")
    found = ahead.check(host)
    assert (found.ok, "by the hardware's" in found.seen) == (False, True)


def test_randomness(host):
    def none_yet(count, flags):
        raise BlockingIOError

    assert Randomness().check(host).ok
    found = Randomness(none_yet).check(host)
    assert (found.ok, "virtio-rng" in found.hint) == (False, True)


def test_virtualization(host, tmp_path):
    step = Virtualization(str(tmp_path))
    assert step.check(host).seen == "none that can be seen"
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "QEMU\n")
    write(tmp_path, "proc/cpuinfo", "flags : fpu hypervisor\n")
    assert step.check(host).seen == "a virtual machine (QEMU)"
    write(tmp_path, ".dockerenv")
    assert step.check(host).seen == "in a container (docker), a virtual machine (QEMU)"
    write(tmp_path, "run/systemd/container", "lxc\n")
    assert step.check(host).seen.startswith("in a container (lxc)")


def test_namespaces(host, tmp_path):
    step = Namespaces(str(tmp_path))
    assert step.check(host).ok
    write(tmp_path, "kernel/apparmor_restrict_unprivileged_userns", "1\n")
    found = step.check(host)
    assert (found.ok, found.optional) == (False, True)
    assert found.hint.endswith("sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    write(tmp_path, "user/max_user_namespaces", "0\n")
    found = step.check(host)
    assert (found.ok, found.optional) == (False, False)
    assert found.hint == "run: sudo sysctl user.max_user_namespaces=65536"


def test_cgroups(host, tmp_path):
    step = Cgroups(str(tmp_path))
    assert "cgroup_enable=cpu" in step.check(host).hint
    write(tmp_path, "cgroup.controllers", "cpuset cpu io pids\n")
    found = step.check(host)
    assert found.seen == "version 2, without memory"
    assert found.hint.endswith("cgroup_enable=memory")
    write(tmp_path, "cgroup.controllers", "cpu memory pids\n")
    assert step.check(host).ok
    os.unlink(tmp_path / "cgroup.controllers")
    for name in ("cpu", "memory", "pids"):
        os.mkdir(tmp_path / name)
    assert step.check(host).seen == "version 1: cpu, memory, pids"


def test_inodes(host, monkeypatch):
    left = {host.layout.home: 999}
    monkeypatch.setattr(host, "free_inodes", lambda path: left.get(path, 5000))
    with pytest.raises(NoSpaceError, match="room for 999 files more") as refused:
        Inodes().check(host)
    assert f"du --inodes -x {host.layout.home}" in refused.value.hint
    left[host.layout.home] = 1000
    assert Inodes().check(host).seen == "1000 files can still be made"
    monkeypatch.setattr(host, "free_inodes", lambda path: None)
    assert Inodes().check(host).ok


def test_packages_that_are_installed_by_half(host, monkeypatch):
    step = Packages()
    host.answer("dpkg-query", code=1, out="runc ii \nlxcfs un \nnftables rc \n")
    assert step.check(host).ok
    host.answer("dpkg-query", out="runc iF \ndocker.io iU \nlxcfs iHR\niptables ii \n")
    found = step.check(host)
    assert found.seen == "installed by half: docker.io, lxcfs, runc"
    [run] = step.plan(host, found)
    assert list(run.argv[-3:]) == ["docker.io", "lxcfs", "runc"]
    assert "apt-get" in run.argv
    monkeypatch.setattr(host, "which", lambda program, root=False: None)
    assert step.check(host).ok
