import contextlib
import os
import shutil
import stat
import subprocess
import sys
from typing import Any

import pytest

from containai.errors import ContainAIError, PrivilegeError
from containai.host import locks
from containai.host.machine import Machine
from harness.waiting import until

HOLD = """
import sys
from containai.host import locks
from containai.host.machine import Machine
from containai.layout import Layout
host = Machine(Layout(sys.argv[1], sys.argv[1], 0))
with locks.hold(host, sys.argv[2], wait=0, what="x"):
    print(flush=True)
    sys.stdin.read()
"""


def hold(layout, name, what="x"):
    """Hold a lock for a moment."""
    with locks.hold(Machine(layout), name, wait=0, what=what):
        pass


@pytest.fixture
def directory(layout):
    return layout.lock_dir


def test_one_at_a_time_and_which_lock_is_named(layout, directory):
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    argv = [sys.executable, "-c", HOLD, layout.root, locks.SETUP]
    with subprocess.Popen(argv, **pipes) as child:
        child.stdout.readline()
        with pytest.raises(ContainAIError, match="busy with this") as seen:
            hold(layout, locks.SETUP, "this")
        assert f"{directory}/setup" in seen.value.hint
        hold(layout, locks.ENGINE, "that")
        child.kill()
        child.wait()
        hold(layout, locks.SETUP, "this")


def test_everybody_may_hold_them_and_nobody_write_or_replace_them(layout, directory):
    hold(layout, locks.of_box("api"), "api")
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o755
    names = os.listdir(directory)
    assert len(names) == locks.BOX_LOCKS + 5
    assert {stat.S_IMODE(os.stat(f"{directory}/{each}").st_mode) for each in names} == {0o644}


def test_boxes_have_locks_that_are_there(layout, directory):
    for number in range(1000):
        hold(layout, locks.of_box(f"box-{number}"), "x")
    assert len(os.listdir(directory)) == locks.BOX_LOCKS + 5


def test_a_lock_that_is_lost_is_made_again_and_the_others_stay(layout, directory):
    hold(layout, locks.SETUP, "x")
    with open(f"{directory}/engine", "w", encoding="utf-8") as file:
        file.write("kept")
    os.unlink(f"{directory}/setup")
    hold(layout, locks.SETUP, "x")
    assert os.path.getsize(f"{directory}/engine") == 4


def test_a_lock_that_was_removed_while_one_waited_for_it_is_taken_anew(layout, directory):
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    argv = [sys.executable, "-c", HOLD.replace("wait=0", "wait=60"), layout.root, locks.SETUP]
    with contextlib.ExitStack() as first:
        first.enter_context(locks.hold(Machine(layout), locks.SETUP, wait=0, what="x"))
        before = os.stat(f"{directory}/setup").st_ino
        child = subprocess.Popen(argv, **pipes)
        until(lambda: _has_open(child.pid, before))
        shutil.rmtree(directory)
    assert child.stdout.readline() == b"\n"
    with pytest.raises(ContainAIError, match="busy"):
        hold(layout, locks.SETUP)
    child.communicate()


def _has_open(pid, inode):
    """Whether a process has a file open."""
    with contextlib.suppress(OSError):
        directory = f"/proc/{pid}/fd"
        return inode in [os.stat(f"{directory}/{each}").st_ino for each in os.listdir(directory)]
    return False


def test_a_link_is_not_followed(layout, directory, tmp_path):
    os.makedirs(directory)
    (tmp_path / "victim").write_text("kept", encoding="utf-8")
    os.symlink(tmp_path / "victim", f"{directory}/setup")
    hold(layout, locks.SETUP, "x")
    assert not os.path.islink(f"{directory}/setup")
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "kept"


def test_where_root_cannot_be_had(host, directory):
    def no_root():
        raise PrivilegeError("no sudo")

    host.answer("sh", act=no_root)
    with (
        pytest.raises(PrivilegeError, match="root is needed to make"),
        locks.hold(host, locks.SETUP, wait=0, what="x"),
    ):
        pass
    assert [words[0].removeprefix("#") or words[1] for words in host.ran] == ["sh"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_lock_is_replaced(layout, directory, make):
    os.makedirs(directory)
    make(f"{directory}/setup")
    hold(layout, locks.SETUP, "x")
    assert os.path.isfile(f"{directory}/setup")


def test_a_directory_of_locks_that_is_none_is_replaced(layout, directory, tmp_path):
    os.makedirs(os.path.dirname(directory))
    os.symlink(tmp_path, directory)
    hold(layout, locks.SETUP, "x")
    assert not os.path.islink(directory)
