"""Births are as the kernel says them."""

import os
import time

from containai.host import birth


def test_a_directory_keeps_its_birth_where_it_moves(tmp_path):
    before = time.time_ns()
    (tmp_path / "a").mkdir()
    born = birth.of(str(tmp_path / "a"))
    if born is None:  # what there is of this file system or libc does not know
        return
    # The kernel's clock of files is up to a tick behind.
    assert before - 10**8 < born <= time.time_ns()
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "a").rename(tmp_path / "b")
    assert birth.of(str(tmp_path / "b")) == born


def test_of_what_is_not_there_nobody_knows(tmp_path):
    assert birth.of(str(tmp_path / "a")) is None
