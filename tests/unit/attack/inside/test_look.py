"""How probes look."""

import os

import pytest

from containai.attack.inside import look
from containai.attack.probe import Unverified


def test_child_that_fails_is_not_fine():
    def killed():
        os.kill(os.getpid(), 9)

    assert look.in_child(lambda: "said") == "said"
    assert look.in_child(killed) == "killed by SIGKILL"
    with pytest.raises(Unverified):
        look.in_child(lambda: str(1 / 0))


def test_mountinfo_is_read():
    line = r"36 35 8:1 /a\040b /mnt\0402 ro,noatime shared:7 master:1 - ext4 /dev/sda1 rw,errors=x"
    (mount,) = look.mounts(line)
    assert (mount.id, mount.root, mount.point, mount.kind) == (36, "/a b", "/mnt 2", "ext4")
    assert (mount.options, mount.peers) == (frozenset({"ro", "noatime"}), ("shared:7", "master:1"))
