import os
import shutil
import stat
import subprocess
from typing import Any

import pytest

from containai.errors import ContainAIError
from containai.host import files, openssh
from containai.host.machine import Machine
from containai.layout import Layout
from containai.ssh import hosts, session
from harness import hostile_ssh
from harness.host import HOST


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


#: That of the ssh that these tests run.
VERSION = openssh.parsed(
    subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True)
    .stderr.removeprefix("OpenSSH_")
    .partition(" ")[0]
)


def block(layout, **words):
    given: dict[str, Any] = {
        "port": 2301,
        "workspace": "/w",
        "inode": "5:7",
        "forward_agent": False,
        "version": VERSION,
    }
    return hosts.host_block(layout, "api-1", **given | words)


def said(config: str, directory, host: str = "api-1") -> dict[str, str]:
    """Return what ssh makes of a configuration; nothing, where it refuses it."""
    path = directory / "config"
    path.write_text(config, encoding="utf-8")
    argv = ["ssh", "-G", "-F", str(path), host]
    out = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    pairs = [line.partition(" ") for line in out.splitlines()]
    # What repeats is in the order in which it counts.
    return {key.lower(): value for key, _, value in reversed(pairs)}


def test_host_block():
    layout = Layout("/", "/home/u", 1000, "/run/user/1000")
    head, _, rest = block(layout, workspace="/srv/a b").partition("Host api-1\n")
    assert (
        head
        == f"""\
# Box api-1, written by cai. Changes are lost.
# workspace='/srv/a b' inode=5:7
{session.told(session.fingerprint(layout), "none")}
{session.variables("none", (), ())}
"""
    )
    lines = rest.splitlines()
    assert all(line.startswith("    ") for line in lines)
    assert {
        "    HostName 127.0.0.1",
        "    Port 2301",
        "    User agent",
        "    Include /home/u/.ssh/containai.d/direct",
        "    HostKeyAlias containai-api-1",
        "    UserKnownHostsFile /home/u/.config/containai/known_hosts",
        "    IdentityFile /home/u/.config/containai/id_containai",
        "    ForwardAgent no",
        "    ControlPath none",
    } <= set(lines)


def test_the_block_of_a_box_that_a_command_leads_to(tmp_path):
    layout = Layout("/", "/home/u", 1000, "/run/user/1000")
    text = block(layout, port=0, proxy="/py -IS '/a b/stream.py' work api", place="work")
    assert "\n# on=work\n" in text
    assert "    Port " not in text
    seen = said(text, tmp_path)
    assert seen["proxycommand"] == "/py -IS '/a b/stream.py' work api"
    assert seen["serveraliveinterval"] == "15"
    assert seen["hostkeyalias"] == "containai-api-1"
    assert seen["stricthostkeychecking"] in ("yes", "true")
    assert hosts.port_of(text) == 0


def test_which_boxes_are_on_a_remote_place(layout):
    os.makedirs(layout.ssh_blocks)
    hosts.files.write(layout.ssh_block("here"), block(layout), 0o600)
    away = block(layout, proxy="x", place="work")
    hosts.files.write(layout.ssh_block("there"), away, 0o600)
    assert session.place_of(layout, "here") == session.place_of(layout, "none") == ""
    assert session.place_of(layout, "there") == "work"


@pytest.fixture
def plain(layout, tmp_path):
    return said(block(layout), tmp_path)


@pytest.mark.parametrize("keyword", hostile_ssh.DECIDING)
def test_nothing_said_of_every_host_is_for_a_box(layout, tmp_path, plain, keyword):
    config = hostile_ssh.every_host(keyword)
    assert said(block(layout) + config, tmp_path) == plain
    if keyword in hostile_ssh.NEWER and VERSION < (10, 0):
        pytest.skip("this ssh does not know it")
    own = {"PubkeyAcceptedAlgorithms": "PubkeyAcceptedKeyTypes", "ProxyJump": "ProxyCommand"}
    ours = f"    {own.get(keyword, keyword)} "
    lines = block(layout).splitlines(keepends=True)
    weaker = "".join(line for line in lines if not line.startswith(ours))
    assert said(weaker + config, tmp_path) != plain


def test_only_what_is_the_users_own_affair_is_for_a_box(layout, tmp_path, plain):
    seen = said(block(layout) + hostile_ssh.every_host(), tmp_path)
    others = {key for key in seen if seen[key] != plain.get(key)}
    assert others <= {keyword.lower() for keyword in hostile_ssh.OTHERS}
    # It repeats: the box's own comes first.
    assert seen["identityfile"] == plain["identityfile"]


def test_every_keyword_of_ssh_is_looked_at(plain):
    both = hostile_ssh.DECIDING | hostile_ssh.OTHERS
    assert set(plain) - {keyword.lower() for keyword in both} == {"host", "ignoreunknown"}


@pytest.mark.parametrize("line", ["Match all", "Match final all", "Match final host 127.0.0.1"])
def test_nor_what_is_said_of_what_matches(layout, tmp_path, line):
    seen = said(block(layout) + f"{line}\n    ProxyJump bastion\n    User other\n", tmp_path)
    assert "proxyjump" not in seen
    assert seen["user"] == "agent"


def test_what_ssh_does_not_know_does_no_harm_to_a_box(layout, tmp_path):
    """As a configuration for other systems, too, has it."""
    config = block(layout) + "Host *\n    UseKeychain yes\n"
    assert said(config, tmp_path)["user"] == "agent"
    assert not said(config, tmp_path, "other")


def test_an_ssh_gets_only_what_it_knows(layout):
    """What it does not know would be an error with every host."""
    versions = [(0, 0), (8, 6), (8, 7), (9, 9), (10, 0), (11, 1)]
    lines = [block(layout, version=version).splitlines() for version in versions]
    assert [len(each) - len(lines[0]) for each in lines] == [0, 0, 6, 6, 7, 7]
    assert all(each == lines[-1][: len(each)] for each in lines)
    assert {line.split()[0] for line in lines[-1][len(lines[0]) :]} == {
        # OpenSSH 8.5 and 8.7
        *("KnownHostsCommand", "LogVerbose", "PermitRemoteOpen"),
        *("ForkAfterAuthentication", "SessionType", "StdinNull"),
        # 10.0, or a little before
        "ChannelTimeout",
    }


def test_a_block_has_each_keyword_once(layout):
    lines = block(layout, version=(99, 0)).splitlines()
    keywords = [line.split()[0] for line in lines if line[0] != "#"]
    assert len(keywords) == len(set(keywords))


def test_readers_that_heed_an_include_have_no_jump(layout, tmp_path):
    """asyncssh takes a ProxyJump in spite of a ProxyCommand."""
    os.makedirs(layout.ssh_blocks)
    files.write(layout.ssh_direct, hosts.DIRECT)
    detour = "Host *\n    ProxyJump bastion\n"
    assert "proxyjump" not in said(block(layout) + detour, tmp_path)
    alone = block(layout).replace("    ProxyCommand none\n", "")
    assert "proxyjump" not in said(alone + detour, tmp_path)
    os.unlink(layout.ssh_direct)
    assert said(alone + detour, tmp_path)["proxyjump"] == "bastion"


@pytest.mark.parametrize("home", ["/home/u", "/home/with space", "/home/50%d"])
def test_ssh_reads_the_host_block(tmp_path, home):
    layout = Layout("/", home, 1000, "/run/user/1000")
    seen = said(block(layout, workspace="/srv/\n# x", forward_agent=True), tmp_path)
    for key, value in {
        "hostname": "127.0.0.1",
        "port": "2301",
        "user": "agent",
        "hostkeyalias": "containai-api-1",
        "stricthostkeychecking": "true",
        "identitiesonly": "yes",
        "forwardagent": "yes",
        "controlmaster": "false",
        "userknownhostsfile": layout.known_hosts,
        "identityfile": layout.ssh_key,
    }.items():
        assert seen[key].replace("%%", "%") == value


def test_workspace_cannot_write_into_the_block(layout):
    lines = block(layout, workspace="/x\nProxyCommand evil").splitlines()
    commands = [line for line in lines if line.strip().startswith("ProxyCommand")]
    assert commands == ["    ProxyCommand none"]


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


def test_a_key_is_pinned_by_the_address_too():
    """For readers that do not know HostKeyAlias."""
    known = hosts.with_host_key("", "foo", "ssh-ed25519 A", 2301)
    assert known == "containai-foo,[127.0.0.1]:2301 ssh-ed25519 A\n"
    assert hosts.pinned_key(known, "foo") == "ssh-ed25519 A"
    assert hosts.with_host_key(known, "foo", "ssh-ed25519 A", 2302) == (
        "containai-foo,[127.0.0.1]:2302 ssh-ed25519 A\n"
    )
    # The port of one that is stopped may be another's by now.
    assert hosts.with_host_key(known, "bar", "ssh-ed25519 B", 2301) == (
        "containai-foo ssh-ed25519 A\ncontainai-bar,[127.0.0.1]:2301 ssh-ed25519 B\n"
    )


def test_the_port_of_a_block(layout):
    assert hosts.port_of(block(layout, port=2317)) == 2317
    assert hosts.port_of("Host a\n") == hosts.port_of("Host a\n  Port x\n") == 0


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
    assert files.read(mine.ssh_config) == f"Include {mine.ssh_blocks}/*.conf\n"
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


def test_a_configuration_that_cannot_be_changed_is_said_and_no_error(mine):
    os.makedirs(mine.ssh_config)
    told = []
    assert hosts.ensure_user(Machine(mine), told.append).startswith("ssh-ed25519 ")
    (line,) = told
    assert "plain ssh" in line
    assert f"Include {mine.ssh_blocks}/*.conf" in line


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
