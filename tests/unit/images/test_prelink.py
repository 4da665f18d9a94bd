"""A program with a fixed place: it runs as before, and what is not known stays as it is."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

import containai.images

PRELINK = Path(containai.images.__file__).parent / "base" / "prelink.py"
SSH = "/usr/bin/ssh"
#: Where the type of an ELF file is; a fixed place is type 2, another 3.
TYPE = slice(16, 18)


def prelink(program, result):
    argv = [sys.executable, PRELINK, program, result]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="for x86-64 only")
def test_a_program_runs_at_its_fixed_place(tmp_path):
    moved = tmp_path / "ssh"
    done = prelink(SSH, moved)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(SSH).read_bytes()[TYPE] == b"\3\0"
    assert moved.read_bytes()[TYPE] == b"\2\0"
    moved.chmod(0o755)
    said = [
        subprocess.run([each, "-G", "example.org"], capture_output=True, check=True).stdout
        for each in (SSH, moved)
    ]
    assert b"hostname example.org\n" in said[0]
    assert said[0] == said[1]
    # A second time there is nothing to do.
    assert prelink(moved, tmp_path / "again").returncode == 1


@pytest.mark.parametrize("cut", [0, 10, 60, 200, 5000])
def test_what_is_no_such_program_stays_as_it_is(tmp_path, cut):
    program = tmp_path / "program"
    program.write_bytes(Path(SSH).read_bytes()[:cut])
    done = prelink(program, tmp_path / "result")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program} keeps its place: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "result").exists()
