import os
import shutil
import stat
import subprocess

import pytest

from containai.errors import ContainAIError
from containai.host import files
from containai.host.machine import Machine
from containai.layout import Layout
from containai.ssh import hosts, session
from harness.host import HOST

BLOCKS = "/home/u/.ssh/containai.d"
LINE = 'Include "/home/u/.ssh/containai.d/*.conf"\n'


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", LINE),
        ("Host a\n  User b\n", LINE + "Host a\n  User b\n"),
        (LINE, LINE),
        (LINE + "Host a\n", LINE + "Host a\n"),
        ("Host a\n" + LINE, LINE + "Host a\n"),
        (LINE + "Host a\n  " + LINE + LINE, LINE + "Host a\n"),
        ("# mine, without a newline", LINE + "# mine, without a newline"),
        ("Host a\r\n", LINE + "Host a\r\n"),
        ("Include other\n", LINE + "Include other\n"),
    ],
)
def test_include_is_the_first_line_once(before, after):
    assert hosts.with_include(before, BLOCKS) == after
    assert hosts.with_include(after, BLOCKS) == after


def test_include_is_removed():
    assert hosts.without_include(LINE + "Host a\n" + LINE, BLOCKS) == "Host a\n"
    assert hosts.without_include(hosts.with_include("Host a", BLOCKS), BLOCKS) == "Host a"


def test_host_block():
    layout = Layout("/", "/home/u", 1000, "/run/user/1000")
    block = hosts.host_block(
        layout, "api-1", port=2301, workspace="/srv/a b", inode="5:7", forward_agent=False
    )
    assert (
        block
        == f"""\
# Box api-1, written by cai. Changes are lost.
# workspace='/srv/a b' inode=5:7
{session.told(session.fingerprint(layout), "none")}
Host api-1
    HostName 127.0.0.1
    ProxyJump none
    Port 2301
    User agent
    HostKeyAlias containai-api-1
    HostKeyAlgorithms ssh-ed25519
    StrictHostKeyChecking yes
    UserKnownHostsFile "/home/u/.config/containai/known_hosts"
    GlobalKnownHostsFile /dev/null
    IdentityFile "/home/u/.config/containai/id_containai"
    IdentitiesOnly yes
    PreferredAuthentications publickey
    ControlPath "{layout.control_socket("api-1")}"
    ForwardAgent no
    ForwardX11 no
    LogLevel ERROR
"""
    )


@pytest.mark.parametrize("detour", ["ProxyJump bastion", "ProxyCommand nc bastion 22"])
def test_a_box_is_reached_directly(tmp_path, detour):
    layout = Layout("/", "/home/u", 1000, "/run/user/1000")
    block = hosts.host_block(
        layout, "api-1", port=2301, workspace="/w", inode="5:7", forward_agent=False
    )
    (tmp_path / "config").write_text(f"{block}\nHost *\n    {detour}\n", encoding="utf-8")
    argv = ["ssh", "-G", "-F", str(tmp_path / "config")]
    there = subprocess.run([*argv, "api-1"], capture_output=True, text=True, check=True).stdout
    elsewhere = subprocess.run([*argv, "other"], capture_output=True, text=True, check=True).stdout
    assert "bastion" not in there
    assert "bastion" in elsewhere


@pytest.mark.parametrize("home", ["/home/u", "/home/with space", "/home/50%d"])
def test_ssh_reads_the_host_block(tmp_path, home):
    layout = Layout("/", home, 1000, "/run/user/1000")
    block = hosts.host_block(
        layout, "api-1", port=2301, workspace="/srv/\n# x", inode="5:7", forward_agent=True
    )
    (tmp_path / "config").write_text(block, encoding="utf-8")
    argv = ["ssh", "-G", "-F", str(tmp_path / "config"), "api-1"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {
        "hostname 127.0.0.1",
        "port 2301",
        "user agent",
        "hostkeyalias containai-api-1",
        "stricthostkeychecking true",
        "identitiesonly yes",
        "forwardagent yes",
        f"controlpath {layout.control_socket('api-1')}",
    } <= set(said)
    for key, path in (("userknownhostsfile", layout.known_hosts), ("identityfile", layout.ssh_key)):
        assert any(line.replace("%%", "%") == f"{key} {path}" for line in said)


def test_workspace_cannot_write_into_the_block(layout):
    block = hosts.host_block(
        layout, "b", port=1, workspace="/x\nProxyCommand evil", inode="1:1", forward_agent=False
    )
    assert not any(line.strip().startswith("ProxyCommand") for line in block.splitlines())


def test_known_hosts_edits_match_the_alias_exactly():
    known = hosts.with_host_key("", "foo", "ssh-ed25519 A")
    known = hosts.with_host_key(known, "foo2", "ssh-ed25519 B")
    assert known == "containai-foo ssh-ed25519 A\ncontainai-foo2 ssh-ed25519 B\n"
    assert hosts.pinned_key(known, "foo") == "ssh-ed25519 A"
    assert hosts.pinned_key(known, "foo2") == "ssh-ed25519 B"
    assert hosts.pinned_key(known, "fo") is None
    replaced = hosts.with_host_key(known, "foo", "ssh-ed25519 C")
    assert replaced == "containai-foo2 ssh-ed25519 B\ncontainai-foo ssh-ed25519 C\n"
    assert hosts.with_host_key(known, "foo", None) == "containai-foo2 ssh-ed25519 B\n"
    assert hosts.with_host_key(known, "fo", None) == known
    assert hosts.with_host_key("no newline", "fo", None) == "no newline\n"


def test_new_key_is_a_pair():
    first, second = hosts.new_key(HOST), hosts.new_key(HOST)
    assert first.private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert first.public.split()[0] == "ssh-ed25519"
    assert len(first.public.split()) == 2
    assert first.public != second.public


@pytest.fixture
def mine(layout):
    layout.uid = os.getuid()
    return layout


def test_ensure_user(mine):
    public = hosts.ensure_user(Machine(mine))
    assert public.startswith("ssh-ed25519 ")
    for directory in (mine.config_dir, os.path.dirname(mine.ssh_config), mine.ssh_blocks):
        assert mode(directory) == 0o700
    assert mode(mine.ssh_key) == 0o600
    assert mode(mine.ssh_config) == 0o600
    assert files.read(mine.ssh_config) == f'Include "{mine.ssh_blocks}/*.conf"\n'
    private = files.read(mine.ssh_key)
    assert hosts.ensure_user(Machine(mine)) == public
    assert files.read(mine.ssh_key) == private
    left = os.listdir(os.path.dirname(mine.ssh_key))
    assert sorted(left) == ["id_containai", "id_containai.pub"]


def test_ensure_user_makes_a_lost_public_key_again(mine):
    public = hosts.ensure_user(Machine(mine))
    os.unlink(mine.ssh_key + ".pub")
    assert hosts.ensure_user(Machine(mine)).split()[:2] == public.split()[:2]


def test_ensure_user_closes_open_directories(mine):
    os.makedirs(mine.config_dir, mode=0o755)
    hosts.ensure_user(Machine(mine))
    assert mode(mine.config_dir) == 0o700


def test_config_that_is_a_link_stays_one(mine, tmp_path):
    target = tmp_path / "dotfiles"
    target.write_text("Host a\n", encoding="utf-8")
    os.mkdir(os.path.dirname(mine.ssh_config), 0o700)
    os.symlink(target, mine.ssh_config)
    hosts.ensure_user(Machine(mine))
    assert os.path.islink(mine.ssh_config)
    assert target.read_text(encoding="utf-8") == (f'Include "{mine.ssh_blocks}/*.conf"\nHost a\n')


def test_private_directory_refuses_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(ContainAIError, match="not a directory of yours"):
        files.private_directory(str(tmp_path / "link"))


def test_private_directory_refuses_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ContainAIError, match="not a directory of yours"):
        files.private_directory(str(tmp_path / "file"))


def test_publish_and_forget(mine):
    hosts.ensure_user(Machine(mine))
    hosts.publish(mine, "a", "Host a\n", "ssh-ed25519 A")
    hosts.publish(mine, "b", "Host b\n", "ssh-ed25519 B")
    assert files.read(mine.ssh_block("a")) == "Host a\n"
    assert mode(mine.ssh_block("a")) == mode(mine.known_hosts) == 0o600
    hosts.forget(Machine(mine), "a")
    hosts.forget(Machine(mine), "a")
    assert not os.path.exists(mine.ssh_block("a"))
    assert files.read(mine.known_hosts) == "containai-b ssh-ed25519 B\n"


def test_tests_have_ssh():
    assert shutil.which("ssh-keygen")
