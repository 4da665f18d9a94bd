"""A box that holds whoever looks into it holds nobody but itself."""

import os
import select
import subprocess
import time

import pytest

from containai.engine import lxcfs
from containai.runtime.lxcfs import STEADY
from harness.lxcfs import readable
from harness.waiting import until

#: A FUSE file system that does not answer any more once an overlay over /proc is made of it. What a
#: file system of this kind is asked for is in include/uapi/linux/fuse.h.
SILENT = r"""
import ctypes, os, struct, threading

FORGET, BATCH_FORGET, INTERRUPT, DESTROY = 2, 42, 36, 38
LOOKUP, GETATTR, STATFS, INIT, OPENDIR = 1, 3, 17, 26, 27
DIRECTORY = struct.pack("<10Q", 1, 0, 0, 0, 0, 0, 0, 0, 0o40755 << 32, 2)
ANSWERS = {
    INIT: struct.pack("<4I2H2I2HI", 7, 31, 0, 0, 1, 1, 4096, 1, 1, 0, 0) + bytes(24),
    GETATTR: struct.pack("<QII", 0, 0, 0)
    + struct.pack("<6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 512, 0),
    STATFS: bytes(40) + struct.pack("<4I", 4096, 255, 4096, 0) + bytes(24),
    OPENDIR: bytes(16),
}
NO_ENTRY, NO_SUCH_CALL = -2, -38
libc = ctypes.CDLL(None, use_errno=True)
silent = threading.Event()


def mount(source, target, kind, data):
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, data.encode()):
        raise OSError(ctypes.get_errno(), "mount " + target)


def serve(fuse):
    while True:
        _, code, unique = struct.unpack_from("<IIQ", os.read(fuse, 1 << 17))
        if code in (FORGET, BATCH_FORGET, INTERRUPT, DESTROY):
            continue
        if code in ANSWERS:
            body = ANSWERS[code]
            os.write(fuse, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
        elif silent.is_set():
            print("held", flush=True)
        else:
            wrong = NO_ENTRY if code == LOOKUP else NO_SUCH_CALL
            os.write(fuse, struct.pack("<IiQ", 16, wrong, unique))


top = "/run/silent"
os.makedirs(top, exist_ok=True)
mount("none", top, "tmpfs", "")
lower, upper, work = (f"{top}/{each}" for each in ("lower", "upper", "work"))
for each in (lower, upper, work):
    os.mkdir(each)
fuse = os.open("/dev/fuse", os.O_RDWR)
mount("silent", lower, "fuse", f"fd={fuse},rootmode=40000,user_id=0,group_id=0")
threading.Thread(target=serve, args=[fuse], daemon=True).start()
mount("over", "/proc", "overlay", f"lowerdir={lower},upperdir={upper},workdir={work}")
silent.set()
print("armed", flush=True)
threading.Event().wait()
"""


def children(pid):
    """Return the children of a process, with the first words of their command lines."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        pids = file.read().split()
    found = {}
    for each in pids:
        with open(f"/proc/{each}/cmdline", "rb") as file:
            found[int(each)] = file.read().split(b"\0")[0].decode()
    return found


def lxcfs_of(keeper):
    return next((pid for pid, name in children(keeper).items() if name == lxcfs.PROGRAM), 0)


def is_steady(pid):
    """Whether a process is so old that its end is no reason to do without it."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        begun = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begun > STEADY


@pytest.mark.skipif(lxcfs.missing() == lxcfs.DEVICE, reason="FUSE is not to be had here")
def test_a_box_that_does_not_let_go_of_the_keeper_of_lxcfs(site, make_space):
    space, other = make_space("holds"), make_space("other")
    space.run("sh", "-c", "cat >/tmp/silent.py", input=SILENT.encode())
    # In mount namespaces of its own: in the box's the agent would hold itself.
    hold = ["run", space.path, "--", "sudo", "unshare", "--mount", "python3", "/tmp/silent.py"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    held = [site.start(*hold, **pipes) for _ in range(2)]
    try:
        assert [each.stdout.readline() for each in held] == [b"armed\n"] * 2
        # After it: whoever takes one after the other does not come to this one.
        other.run("true")
        keeper = lxcfs.keeper(site.layout)
        ended = until(lambda: lxcfs_of(keeper))
        until(lambda: is_steady(ended))
        os.kill(ended, 9)
        until(lambda: lxcfs_of(keeper) not in (0, ended) and readable(other) and readable(space))
        # It was held indeed, by one child and no more.
        until(lambda: len(children(keeper)) == 2)
        assert select.select([each.stdout for each in held], [], [], 60)[0]
    finally:
        space.run("sudo", "pkill", "-KILL", "-f", "^python3 /tmp/silent.py", check=False)
        for each in held:
            each.communicate()
    until(lambda: list(children(keeper)) == [lxcfs_of(keeper)])
    assert lxcfs.keeper(site.layout) == keeper
