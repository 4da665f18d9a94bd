"""What root writes for the machine can be read by its users, directories on the way included."""

import os
import stat

import pytest

from containai.host import files
from harness.host import HOST


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_directories_and_file_are_readable_by_all(tmp_path):
    old = os.umask(0o077)
    try:
        files.write_as_root(HOST, str(tmp_path / "a" / "b" / "file"), "text", 0o644)
    finally:
        os.umask(old)
    for part, mode in (("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o644)):
        assert stat.S_IMODE((tmp_path / part).stat().st_mode) == mode
    assert os.listdir(tmp_path / "a" / "b") == ["file"]
