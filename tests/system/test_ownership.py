"""What the agent writes belongs to the workspace's owner, and root in a box is no root's."""

import os

import pytest


@pytest.mark.parametrize("owner", [0, 1000, 1234])
def test_files_of_the_workspace_belong_to_its_owner(make_space, owner):
    space = make_space(owner=owner)
    given = os.path.join(space.path, "given")
    with open(given, "w", encoding="utf-8") as file:
        file.write("from the host\n")
    os.chown(given, owner, owner)
    os.chmod(given, 0o600)
    space.sh(
        "set -e; test -O given; test -O .; cat given; echo more >>given;"
        "mkdir dir; echo x >dir/made;"
        "sudo cp /bin/true suid; sudo chmod 4755 suid"
    )
    for name in ("given", "dir", "dir/made"):
        seen = os.stat(os.path.join(space.path, name))
        assert (seen.st_uid, seen.st_gid) == (owner, owner), name
    with open(given, encoding="utf-8") as file:
        assert file.read() == "from the host\nmore\n"
    first, count = space.id_range()
    suid = os.stat(os.path.join(space.path, "suid"))
    assert suid.st_mode & 0o4000
    assert first <= suid.st_uid < first + count
    assert first <= suid.st_gid < first + count


def test_root_in_a_box_has_no_way_into_a_file_of_the_hosts_root(make_space):
    space = make_space(owner=1234)
    secret = os.path.join(space.path, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("secret\n")
    os.chmod(secret, 0o600)
    for attempt in (
        "cat secret",
        "sudo cat secret",
        "sudo sh -c 'echo x >>secret'",
        "sudo chown agent secret",
        "sudo chmod 666 secret",
    ):
        assert space.run("sh", "-c", attempt, check=False).returncode != 0, attempt
    with open(secret, encoding="utf-8") as file:
        assert file.read() == "secret\n"
    seen = os.stat(secret)
    assert (seen.st_uid, seen.st_mode & 0o7777) == (0, 0o600)


def test_no_device_of_the_host_can_be_made(shared):
    assert shared.run("sudo", "mknod", "disk", "b", "8", "0", check=False).returncode != 0
