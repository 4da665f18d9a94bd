import os

import pytest

from containai.host import openssh
from containai.host.fake import FakeMachine

DEBIAN = "OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19 27 Jan 2026\n"


@pytest.mark.parametrize(
    ("number", "parsed"),
    [
        ("9.2p1", (9, 2)),
        ("10.0p2", (10, 0)),
        ("8.10", (8, 10)),
        ("-", (0, 0)),
        ("", (0, 0)),
        ("9", (0, 0)),
        ("x.1", (0, 0)),
    ],
)
def test_parsed(number, parsed):
    assert openssh.parsed(number) == parsed


@pytest.fixture
def host(layout, tmp_path, monkeypatch):
    made = FakeMachine(layout)
    (tmp_path / "ssh").write_text("", encoding="utf-8")
    monkeypatch.setattr(made, "which", lambda program: str(tmp_path / program))
    made.answer("ssh", "-V", err=DEBIAN)
    return made


def test_it_is_asked_once(host):
    os.makedirs(host.layout.state_dir)
    assert openssh.version(host) == openssh.version(host) == (9, 2)
    assert host.ran == [("ssh", "-V")]


def test_who_only_looks_makes_no_directory(host):
    assert openssh.version(host) == openssh.version(host) == (9, 2)
    assert not os.path.exists(host.layout.state_dir)


def test_another_program_is_asked_again(host, tmp_path):
    assert openssh.version(host) == (9, 2)
    (tmp_path / "ssh").write_text("another", encoding="utf-8")
    host.answer("ssh", "-V", err="OpenSSH_8.0p1, OpenSSL 1.1.1k\n")
    assert openssh.version(host) == (8, 0)


def test_none_and_another_ssh_have_no_version(host, tmp_path):
    host.answer("ssh", "-V", err="Dropbear v2024.86\n")
    assert openssh.version(host) == (0, 0)
    os.unlink(tmp_path / "ssh")
    assert openssh.version(host) == (0, 0)
