import os
import stat
import subprocess
import sys
from typing import Any

import pytest

from containai.engine import lxcfs as engine
from containai.host import files, service
from containai.layout import Layout
from containai.provision.steps import runtime
from containai.runtime import lxcfs
from containai.runtime.reconnect import Stale, boxes, stale
from containai.work.actions import Run, WriteFile
from harness.waiting import until

LINE = "493 476 0:57 {file} {path} ro,nosuid - fuse.lxcfs {name} rw,user_id=0"


def line(path="/proc/meminfo", file="/proc/meminfo", name="cai-lxcfs-70000000"):
    return LINE.format(path=path, file=file, name=name)


@pytest.mark.parametrize("live", [None, os.makedev(0, 58), os.makedev(1, 57)])
def test_files_of_another_instance_are_stale(live):
    assert stale(line(), "cai-lxcfs-70000000", live) == [Stale("/proc/meminfo", "/proc/meminfo")]


def test_files_of_the_running_instance_are_not():
    assert stale(line(), "cai-lxcfs-70000000", os.makedev(0, 57)) == []


def test_other_mounts_are_left_alone():
    others = [
        line(name="lxcfs"),  # Debian's own service
        line(name="cai-lxcfs-90000000"),  # another installation's
        line(file="/"),
        line(file="/proc/kcore"),
        line().replace("fuse.lxcfs", "fuse.sshfs"),
        "23 1 0:21 / /proc rw shared:5 - proc proc rw",
        "no mount",
        "",
    ]
    assert stale("\n".join(others), "cai-lxcfs-70000000", None) == []


def test_a_copy_elsewhere_is_found_with_the_file_it_is_of():
    text = line(path="/newroot/proc/stat", file="/proc/stat")
    assert stale(text, "cai-lxcfs-70000000", None) == [Stale("/newroot/proc/stat", "/proc/stat")]


HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(fd, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_the_lock_tells_who_keeps_it_alive(tmp_path):
    layout = Layout(str(tmp_path), str(tmp_path), os.getuid())
    state = layout.runtime_state
    assert lxcfs.holder(state) == engine.keeper(layout) == 0
    os.makedirs(state)
    assert layout.lxcfs_lock == os.path.join(state, "lxcfs.lock")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, layout.lxcfs_lock], **pipes) as child:
        child.stdout.readline()
        assert lxcfs.holder(state) == engine.keeper(layout) == child.pid
        assert not lxcfs.Keeper(state, "/nonexistent", "x").run()
        child.stdin.close()
        child.wait(10)
    # The file alone proves nothing.
    assert lxcfs.holder(state) == engine.keeper(layout) == 0
    assert lxcfs.trees(state) == {}


def test_the_lock_is_roots_alone_and_its_pid_is_told(tmp_path, monkeypatch):
    layout = Layout(str(tmp_path), str(tmp_path), os.getuid())
    os.makedirs(layout.runtime_state)
    with open(layout.lxcfs_lock, "w", encoding="utf-8"):
        os.chmod(layout.lxcfs_lock, 0o644)  # as earlier versions made it
    keeper = lxcfs.Keeper(layout.runtime_state, "/nonexistent", "x")
    assert keeper._lock()
    assert stat.S_IMODE(os.stat(layout.lxcfs_lock).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(layout.lxcfs_pidfile).st_mode) == 0o644
    assert files.read(layout.lxcfs_pidfile) == f"{os.getpid()}\n"
    # Who may not ask the lock believes the file only where such a process is there.
    opened = os.open

    def refused(path, *words, **named):
        if path == layout.lxcfs_lock:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *words, **named)

    monkeypatch.setattr(engine.os, "open", refused)
    assert engine.keeper(layout) == 0
    for text in ("", "x", "-1", "0", "99999999"):
        with open(layout.lxcfs_pidfile, "w", encoding="utf-8") as file:
            file.write(text)
        assert engine.keeper(layout) == 0
    argv = [sys.executable, "-c", "input()", layout.runtime_dir, "lxcfs"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as child:
        with open(layout.lxcfs_pidfile, "w", encoding="utf-8") as file:
            file.write(str(child.pid))
        expected = child.pid if os.getuid() == 0 else 0
        until(lambda: engine.keeper(layout) == expected)
        child.stdin.close()


def test_setup_closes_the_lock_of_an_earlier_version_that_runs(tmp_path, monkeypatch):
    layout = Layout(str(tmp_path), str(tmp_path), os.getuid())
    assert runtime._closed(layout) == []
    write = files.write
    os.makedirs(layout.runtime_state)
    write(layout.lxcfs_lock, "")
    close = Run(["chmod", "0600", layout.lxcfs_lock])
    assert runtime._closed(layout) == [close]
    monkeypatch.setattr(engine, "keeper", lambda layout: 42)
    assert runtime._closed(layout) == [WriteFile(layout.lxcfs_pidfile, "42\n"), close]
    write(layout.lxcfs_pidfile, "43\n")
    assert runtime._closed(layout) == [close]


def test_namespaces_are_told_apart_by_whose_they_are():
    own = os.stat("/proc/self/ns/mnt").st_ino
    assert own in {each.inode for every in boxes(0).values() for each in every}
    assert own not in {each.inode for every in boxes(own).values() for each in every}


def test_unit_is_ours_and_the_engine_waits_for_it():
    layout = Layout("/", "/root", 0)
    text = service.unit(engine.service(layout))
    assert "ExecStart=/usr/local/lib/containai/cai-runc lxcfs\n" in text
    assert "ConditionPathExists=/dev/fuse\n" in text
    assert layout.lxcfs_unit != "lxcfs.service"


def test_missing(monkeypatch, tmp_path):
    for name in ("PROGRAM", "DEVICE"):
        monkeypatch.setattr(engine, name, str(tmp_path / name))
    assert engine.missing() == str(tmp_path / "PROGRAM")
    (tmp_path / "PROGRAM").touch()
    assert engine.missing() == str(tmp_path / "DEVICE")
    (tmp_path / "DEVICE").touch()
    assert engine.missing() == ""
