"""What cai does to ~/.ssh, and what it does where it cannot."""

import contextlib
import json
import os
import socket
import subprocess

import pytest

from containai.host import files

MINE = b"# mine\r\nHost other\r\n\tUser nobody\r\n# no newline"


def immutable(home):
    """As somebody has it whose configuration other programs are not to touch."""
    path = os.path.join(home, ".ssh/config")
    with open(path, "wb") as file:
        file.write(MINE)
    subprocess.run(["chattr", "+i", path], check=True)
    return ["chattr", "-i", path]


def read_only(home):
    """As home-manager has it: a link to where nobody can write."""
    store = os.path.join(home, "store")
    os.mkdir(store)
    with open(f"{store}/config", "wb") as file:
        file.write(MINE)
    os.symlink(f"{store}/config", os.path.join(home, ".ssh/config"))
    subprocess.run(["mount", "--bind", store, store], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", store], check=True)
    return ["umount", store]


@pytest.fixture
def home(tmp_path):
    os.mkdir(tmp_path / ".ssh", 0o700)
    return str(tmp_path)


@pytest.mark.parametrize("hinder", [immutable, read_only])
def test_a_configuration_that_cannot_be_written_is_no_obstacle(site, make_space, home, hinder):
    space, env = make_space(), {"HOME": home}
    undo = hinder(home)
    try:
        done = site.cai("run", space.path, "--", "echo", "works", env=env)
        assert done.stdout == b"works\n"
        said = done.stderr.decode()
        assert "plain ssh" in said
        assert f"Include {home}/.ssh/containai.d/*.conf" in said
        assert files.read_beneath(home, ".ssh", "containai.d", "direct", limit=999)
        with open(f"{home}/.ssh/config", "rb") as file:
            assert file.read() == MINE
        listed = site.cai("ssh", "list", env=env)
        assert "does not begin with" in listed.stderr.decode()
    finally:
        subprocess.run(undo, check=True)
        site.cai("rm", space.path, env=env)


def test_the_rest_stays_to_the_byte(site, make_space, home):
    space, env = make_space(), {"HOME": home}
    with open(f"{home}/.ssh/config", "wb") as file:
        file.write(MINE)
    try:
        site.cai("run", space.path, "--", "true", env=env)
        with open(f"{home}/.ssh/config", "rb") as file:
            assert file.read() == f"Include {home}/.ssh/containai.d/*.conf\n".encode() + MINE
    finally:
        site.cai("rm", space.path, env=env)
    assert os.listdir(f"{home}/.ssh/containai.d") == ["direct"]


def test_what_is_left_of_boxes_that_are_gone_goes(site, shared):
    layout = site.layout
    with open(layout.ssh_block(shared.box), encoding="utf-8") as file:
        block = file.read()
    own = os.path.join(layout.ssh_blocks, "mine.conf")
    dead = os.path.join(layout.control_dir, "0" * 16)
    with contextlib.ExitStack() as undo:
        for path, text in ((layout.ssh_block("gone"), block), (own, "Host mine\n")):
            undo.callback(files.remove, path)
            files.write(path, text, 0o600)
        undo.callback(files.remove, dead)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(dead)
        shown = json.loads(site.cai("ssh", "cleanup", "--dry-run", "--json").stdout)
        assert shown == {"names": ["gone"], "sockets": [dead], "removed": False}
        assert os.path.exists(dead)
        site.cai("ssh", "cleanup")
        assert not os.path.exists(layout.ssh_block("gone"))
        assert not os.path.exists(dead)
        assert os.path.exists(own)
    assert os.path.exists(layout.control_socket(shared.box))
    assert shared.sh("echo works") == "works"
