import os
import stat

import pytest

from containai.layout import Layout
from containai.ssh import include

BLOCKS = "/home/u/.ssh/containai.d"
LINE = b"Include /home/u/.ssh/containai.d/*.conf\n"
EARLIER = b'Include "/home/u/.ssh/containai.d/*.conf"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", LINE),
        (b"Host a\n  User b\n", LINE + b"Host a\n  User b\n"),
        (LINE, LINE),
        (LINE + b"Host a\n", LINE + b"Host a\n"),
        (b"Host a\n" + LINE, LINE + b"Host a\n"),
        (LINE + b"Host a\n  " + LINE + LINE, LINE + b"Host a\n"),
        (
            b"# mine\nInclude ~/.ssh/containai.d/*\nHost a\n" + LINE,
            b"# mine\nInclude ~/.ssh/containai.d/*\nHost a\n",
        ),
        (b"# mine, without a newline", LINE + b"# mine, without a newline"),
        (b"Host a\r\n", LINE + b"Host a\r\n"),
        (b"Host \xe4\xff\x00\r", LINE + b"Host \xe4\xff\x00\r"),
        (b"Include other\n", LINE + b"Include other\n"),
        (b"# mine\n\n  " + LINE, b"# mine\n\n  " + LINE),
        (EARLIER, LINE),
        (b"Host a\n" + EARLIER, LINE + b"Host a\n"),
    ],
)
def test_include_is_the_first_effective_line(before, after):
    assert include.added(before, BLOCKS) == after
    assert include.added(after, BLOCKS) == after


@pytest.mark.parametrize(
    "line",
    [
        "include ~/.ssh/containai.d/*.conf",
        "Include containai.d/*",
        'INCLUDE = "/home/u/.ssh/containai.d/*.conf"',
        "Include other containai.d/*.conf",
    ],
)
def test_what_the_user_wrote_is_as_good(line):
    before = f"# mine\n{line}\nHost a\n".encode()
    assert include.added(before, BLOCKS) == before
    assert include.removed(before, BLOCKS) == before


@pytest.mark.parametrize("line", ["Includes containai.d/*", "Include containai.d/a.conf", "Host ="])
def test_something_else_is_not(line):
    before = f"{line}\n".encode()
    assert include.added(before, BLOCKS) == LINE + before


@pytest.mark.parametrize("before", [b"", b"Host a", b"Host a\r\n\xff", b"\n\n# x\n"])
def test_what_was_added_is_removed_to_the_byte(before):
    assert include.removed(include.added(before, BLOCKS), BLOCKS) == before


def test_what_is_odd_in_a_path_is_for_a_pattern_to_match():
    assert include.pattern("/home/Jo Ä/50%[x]*{1}\"'\\#") == "/home/Jo?Ä/50??x???1?????"


@pytest.fixture
def mine(layout):
    layout.uid = os.getuid()
    os.makedirs(os.path.dirname(layout.ssh_config), 0o700)
    return layout


def content(path):
    with open(path, "rb") as file:
        return file.read()


def line(layout: Layout) -> bytes:
    return include.line(layout.ssh_blocks).encode() + b"\n"


def test_put_and_take(mine):
    assert not include.is_put(mine)
    assert include.put(mine) == include.put(mine) == ""
    assert content(mine.ssh_config) == line(mine)
    assert stat.S_IMODE(os.stat(mine.ssh_config).st_mode) == 0o600
    assert include.is_put(mine)
    assert include.is_ours(mine)
    assert include.take(mine) == ""
    assert not os.path.exists(mine.ssh_config)


def test_bytes_and_mode_of_a_configuration_stay(mine, tmp_path):
    before = b"# caf\xe9\r\nHost a\r\n\tUser b\r\n\x00 no newline"
    with open(mine.ssh_config, "wb") as file:
        file.write(before)
    os.chmod(mine.ssh_config, 0o640)
    include.put(mine)
    assert content(mine.ssh_config) == line(mine) + before
    include.take(mine)
    assert content(mine.ssh_config) == before
    assert stat.S_IMODE(os.stat(mine.ssh_config).st_mode) == 0o640
    assert os.listdir(os.path.dirname(mine.ssh_config)) == ["config"]


def test_a_configuration_that_is_a_link_stays_one(mine, tmp_path):
    target = tmp_path / "dotfiles"
    target.write_bytes(b"Host a\n")
    os.symlink(target, mine.ssh_config)
    assert include.put(mine) == ""
    assert os.path.islink(mine.ssh_config)
    assert target.read_bytes() == line(mine) + b"Host a\n"
    target.write_bytes(line(mine))
    assert include.take(mine) == ""
    assert target.read_bytes() == b""


def test_a_link_to_what_is_not_there_yet(mine, tmp_path):
    os.symlink(tmp_path / "dotfiles", mine.ssh_config)
    assert include.put(mine) == ""
    assert content(tmp_path / "dotfiles") == line(mine)


def a_directory(layout, tmp_path):
    os.mkdir(layout.ssh_config)


def a_pipe(layout, tmp_path):
    os.mkfifo(layout.ssh_config)


def a_device(layout, tmp_path):
    os.symlink("/dev/null", layout.ssh_config)


def a_loop(layout, tmp_path):
    os.symlink("config", layout.ssh_config)


def a_link_into_nothing(layout, tmp_path):
    os.symlink(tmp_path / "gone/config", layout.ssh_config)


@pytest.mark.parametrize("make", [a_directory, a_pipe, a_device, a_loop, a_link_into_nothing])
def test_what_cannot_be_changed_is_said_and_left(mine, tmp_path, make):
    make(mine, tmp_path)
    before = os.lstat(mine.ssh_config)
    assert include.put(mine)
    assert not include.is_put(mine)
    assert os.lstat(mine.ssh_config) == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.listdir(os.path.dirname(mine.ssh_config)) == ["config"]
    assert include.why_not(mine)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_configuration_of_somebody_else_is_left(mine):
    with open(mine.ssh_config, "wb") as file:
        file.write(b"Host a\n")
    os.chown(mine.ssh_config, 4321, 4321)
    assert "somebody else" in include.put(mine)
    assert "somebody else" in include.why_not(mine)
    assert content(mine.ssh_config) == b"Host a\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_an_include_in_a_configuration_of_somebody_else_is_as_good(mine):
    """As home-manager makes one: what it links to is root's."""
    with open(mine.ssh_config, "wb") as file:
        file.write(b"Include containai.d/*.conf\n")
    os.chown(mine.ssh_config, 4321, 4321)
    assert include.is_put(mine)
    assert include.put(mine) == include.take(mine) == ""
    assert not include.is_ours(mine)


def test_a_directory_that_becomes_a_link_leads_nowhere_else(mine, tmp_path, monkeypatch):
    """As an agent can have it that works on dotfiles, between our two looks at the path."""
    dotfiles, aws = tmp_path / "dotfiles", tmp_path / "aws"
    dotfiles.mkdir()
    aws.mkdir()
    (dotfiles / "config").write_bytes(b"Host a\n")
    (aws / "config").write_bytes(b"[default]\n")
    os.symlink(dotfiles / "config", mine.ssh_config)
    resolved = os.path.realpath

    def swap(path, **words):
        found = resolved(path, **words)
        if found == str(dotfiles / "config"):
            dotfiles.rename(tmp_path / "moved")
            dotfiles.symlink_to(aws)
        return found

    monkeypatch.setattr(os.path, "realpath", swap)
    assert include.put(mine)
    assert (aws / "config").read_bytes() == b"[default]\n"
    assert os.listdir(aws) == ["config"]
