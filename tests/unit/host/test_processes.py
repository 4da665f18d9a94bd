"""Which process is ours: root's, outside of containers, of that program, and still the same one."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

import pytest

from containai.engine import shims
from containai.host import processes
from containai.host.processes import Process
from harness.host import HOST
from harness.waiting import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plays root's daemons")

SHIM = "containerd-shim-runc-v2"


@pytest.fixture
def program():
    """A shell with another name, which every user may run."""
    with tempfile.TemporaryDirectory(prefix="cai-") as directory:
        os.chmod(directory, 0o755)
        yield shutil.copy("/bin/sh", os.path.join(directory, SHIM))


@contextlib.contextmanager
def running(argv, script="read line", words=(), around=(), **popen):
    """Start a process that has said that it is there; yield its pid."""
    argv = [*around, *argv, "-c", f"echo $$; {script}", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, **popen) as child:
        yield int(child.stdout.readline())
        if child.poll() is None:
            child.kill()


def forged(name, *words):
    """Return an argv of a shell that says it is another program."""
    return ["bash", "-c", f'exec -a {name} sh -c "echo \\$\\$; read line" "$@"', "bash", *words]


def test_a_program_is_found(program):
    with running([program], words=("sh", "-id", "box")) as pid:
        found = processes.look(pid, SHIM)
        assert found in processes.find(SHIM)
        assert found.words[-2:] == ("-id", "box")
        assert processes.look(pid) == found._replace(program="")
        assert processes.look(pid, "dockerd") is None
        # An upgrade exchanges it on disk.
        os.unlink(program)
        assert processes.look(pid, SHIM) == found
        assert processes.is_there(found)
    assert processes.look(pid, SHIM) is None
    assert not processes.is_there(found)
    for odd in (0, -1, 1 << 30):
        assert processes.look(odd) is None


def test_a_forged_command_line_is_not_believed(tmp_path):
    with subprocess.Popen(
        forged(SHIM, "-id", "x"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        with open(f"/proc/{child.pid}/cmdline", encoding="utf-8") as file:
            assert file.read().startswith(SHIM)
        assert processes.look(child.pid, SHIM) is None
        child.kill()


def test_another_users_is_not_ours(program):
    with running([program], user=4321, group=4321, extra_groups=[]) as pid:
        assert processes.look(pid, SHIM) is None
        assert processes.look(pid) is None


def test_a_set_uid_program_of_a_user_is_not_ours(program):
    """Its effective id is root's, and its words are the user's."""
    os.chmod(program, 0o4755)
    with running([program, "-p"], user=4321, group=4321, extra_groups=[]) as pid:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            ids = next(line for line in file if line.startswith("Uid:")).split()
        assert ids[1:3] == ["4321", "0"]
        assert processes.look(pid, SHIM) is None


def test_roots_in_a_container_is_not_ours(program):
    """Of a Docker of the host's: root in it is root out here."""
    around = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with running([program], around=around) as pid:
        assert pid == 1
        inside = [
            int(each)
            for each in filter(str.isdigit, os.listdir("/proc"))
            if program in cmdline(each)
        ]
        assert len(inside) == 2  # unshare has it among its words, too
        assert [processes.look(each, SHIM) for each in inside] == [None, None]


def cmdline(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return os.fsdecode(file.read()).split("\0")
    return []


def alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("through", ["here", "sudo"])
def test_a_signal_reaches_what_was_found_and_nothing_else(program, through):
    def send(number, found):
        if through == "here":
            processes.send(HOST, number, found)
            return
        # As whoever is not root, but for sudo itself.
        source = open(processes.__file__, "rb").read()  # noqa: SIM115
        argv = [processes.PYTHON, "-IS", "-", processes.asked(number, found, children=False)]
        subprocess.run(argv, input=source, check=True)

    with running([program]) as pid:
        found = processes.look(pid, SHIM)
        # The pid is another's by now; it became another program; it says something else.
        others: dict[str, Any] = {
            "started": found.started - 1,
            "program": "dockerd",
            "words": (SHIM, "other"),
        }
        for name, value in others.items():
            send(signal.SIGKILL, [found._replace(**{name: value})])
        assert processes.look(pid, SHIM) == found
        assert alive(pid)
        send(signal.SIGKILL, [Process(1 << 22, 0, SHIM, (SHIM,)), found])
        assert eventually(lambda: not alive(pid))


def test_children_go_first(program, tmp_path):
    script = f"{sys.executable} -c 'import time; time.sleep(60)' & echo $!; read line"
    argv = [program, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shim:
        child = int(shim.stdout.readline())
        looked_at = processes.look(shim.pid, SHIM)
        assert looked_at is not None
        processes.send(HOST, signal.SIGKILL, [looked_at], children=True)
        assert shim.wait() == -signal.SIGKILL
    assert eventually(lambda: not alive(child))


def test_shims_are_this_engines(program, layout):
    address = os.path.join(layout.engine_exec, "containerd/containerd.sock")
    with (
        running([program], words=("sh", "-address", address, "-id", "one")) as ours,
        running([program], words=("sh", "-address", "/elsewhere", "-id", "two")),
        running([program], words=("sh", "-address", address, "-id")),
    ):
        assert {shim.pid: each for shim, each in shims.alive(layout).items()} == {ours: "one"}
