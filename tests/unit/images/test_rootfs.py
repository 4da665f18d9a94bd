import os
import re
import subprocess
from typing import Any

import pytest

from containai.images import rootfs


def test_bootstrap_argv():
    argv = rootfs.bootstrap_argv("/t", "image:tag", "unix:///s")
    assert argv[4:] == [
        "/t",
        "image:tag",
        "unix:///s",
        "mmdebstrap",
        "--variant=minbase",
        "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
        "--include=ca-certificates",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt={option}" for option in rootfs.dpkg_options()),
        "trixie",
        "/t/root.tar",
        "deb http://deb.debian.org/debian trixie main",
        "deb http://deb.debian.org/debian trixie-updates main",
        "deb http://deb.debian.org/debian-security trixie-security main",
    ]
    assert "path-exclude=/usr/share/locale/*" in rootfs.dpkg_options()


def test_a_root_that_is_made_otherwise_has_another_name(monkeypatch):
    before = rootfs.bootstrapped_reference()
    assert re.fullmatch(r"ghcr\.io/containai/rootfs:trixie-[0-9a-f]{16}", before)
    monkeypatch.setattr(rootfs, "SUITE", "forky")
    assert rootfs.bootstrapped_reference() != before


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """Return a function that starts the real script around a pretended mmdebstrap and docker."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (
        ("docker", 'echo "$@"; cat "$4"'),
        (
            "mmdebstrap",
            'mktemp -d >&2; echo started; eval "$BEFORE"; echo root >"$TMPDIR/root.tar"',
        ),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    argv = rootfs.bootstrap_argv(str(tmp_path / "build"), "image:tag", "unix:///s")

    def start(before):
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.DEVNULL,
            "text": True,
        }
        return subprocess.Popen(argv, env=os.environ | {"BEFORE": before}, **pipes)

    yield start
    assert os.listdir(tmp_path / "build") == []


def test_a_root_file_system_is_handed_to_the_engine(bootstrap, tmp_path):
    said = bootstrap(":").communicate()[0].splitlines()
    assert said[-2:] == [f"--host unix:///s import {tmp_path}/build/root.tar image:tag", "root"]


def test_a_bootstrap_that_fails_leaves_nothing(bootstrap):
    build = bootstrap("exit 7")
    build.communicate()
    assert build.returncode == 7


def test_a_bootstrap_that_is_ended_leaves_nothing(bootstrap):
    build = bootstrap("exec sleep 60")
    build.stdout.readline()
    build.terminate()
    assert build.wait(10) == 143


def test_what_a_killed_bootstrap_left_is_removed_when_its_last_process_has_ended(
    bootstrap, tmp_path
):
    killed = bootstrap("sleep 1; echo late >>$TMPDIR/late; exit 1")
    killed.stdout.readline()
    killed.kill()
    killed.wait()
    assert len(os.listdir(tmp_path / "build")) == 1
    assert bootstrap(":").communicate()[0].endswith("\nroot\n")
