"""What a sysbox-fs that was killed leaves mounted, and what it does not."""

import contextlib
import ctypes
import os
import pathlib
import struct
import subprocess
import threading

import pytest

from containai.engine import sysbox
from containai.layout import Layout
from harness.host import HOST

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


def fuse(source, point):
    """Mount a file system of FUSE; return what keeps it, which answers nothing yet."""
    point.mkdir(parents=True)
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    where = str(point).encode()
    assert libc.mount(source.encode(), where, b"fuse", 0, options) == 0, ctypes.get_errno()
    return fd


def answer(fd):
    """Say yes to whatever the kernel asks first, and later how large the file system is."""
    with contextlib.suppress(OSError):
        while asked := os.read(fd, 1 << 17):
            _, opcode, unique = struct.unpack_from("<IIQ", asked)
            init, statfs = 26, 17
            said = {
                init: struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0),
                statfs: bytes(80),
            }.get(opcode, b"")
            os.write(fd, struct.pack("<IiQ", 16 + len(said), 0, unique) + said)


def test_what_a_killed_sysbox_fs_left_mounted_is_taken_away_first(tmp_path):
    layout = Layout(str(tmp_path / "root"), str(tmp_path), 0)
    where = pathlib.Path(layout.sysbox_mount)
    others = tmp_path / "others"
    os.close(fuse("sysboxfs", where / ("0" * 64)))
    os.close(fuse("sysboxfs", where / ("1" * 64)))
    # Of somebody else, elsewhere, and one that is served.
    os.close(fuse("sshfs", where / "not-ours"))
    os.close(fuse("sysboxfs", others))
    served = fuse("sysboxfs", where / "served")
    serving = threading.Thread(target=answer, args=(served,))
    serving.start()
    kept = {str(where / "not-ours"), str(where / "served"), str(others)}
    try:
        for argv in sysbox.service(layout, "sysbox-fs").prepare:
            HOST.run(argv, root=True)
        assert mounted(tmp_path) == kept
    finally:
        for point in mounted(tmp_path):
            subprocess.run(["umount", "--lazy", "--no-canonicalize", point], check=True)
        os.close(served)
        serving.join()


def mounted(below):
    with open("/proc/mounts", encoding="utf-8") as file:
        found = [line.split() for line in file]
    return {point for _, point, kind, *_ in found if kind == "fuse" and str(below) in point}
