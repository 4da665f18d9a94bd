"""Paths are opened without following links, wherever in them they stand."""

import ctypes
import errno
import os
from pathlib import Path

import pytest

from containai.runtime import syscalls


def test_a_plain_path_is_opened(tmp_path: Path) -> None:
    fd = syscalls.open_without_links(str(tmp_path.resolve()))
    try:
        assert os.path.samestat(os.fstat(fd), tmp_path.stat())
    finally:
        os.close(fd)


@pytest.mark.parametrize("tail", ["link", "link/inner"])
def test_a_link_is_refused_in_every_place(tmp_path: Path, tail: str) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="openat2") as refused:
        syscalls.open_without_links(os.path.join(tmp_path.resolve(), tail))
    assert refused.value.errno == errno.ELOOP


class Racing:
    """A C library whose every call but the last fails as when something is renamed meanwhile."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def syscall(self, *words: object) -> int:
        self.left -= 1
        ctypes.set_errno(errno.EAGAIN)
        return 7 if self.left < 0 else -1


def test_a_lookup_that_raced_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "_libc", Racing(20))
    assert syscalls.open_beneath(0, "l/X") == 7
    monkeypatch.setattr(syscalls, "_libc", Racing(10**6))
    with pytest.raises(BlockingIOError):
        syscalls.open_beneath(0, "l/X")
