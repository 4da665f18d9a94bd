"""What the agent writes belongs to the workspace's owner, and root in a box is no root's."""

import json
import os
import pwd
import subprocess

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
    suid = os.stat(os.path.join(space.path, "suid"))
    assert suid.st_mode & 0o4000
    stored = space.site.layout.stored_ids[0]
    assert (suid.st_uid, suid.st_gid) == (stored, stored)


#: A container in the box that writes into the workspace as root and as another user.
NESTED = r"""
set -e
mkdir -p /tmp/nested/root && cd /tmp/nested
for file in /bin/bash /bin/touch $(ldd /bin/bash /bin/touch | grep -o '/[^ ]*\.so[^ ]*'); do
    cp -L --parents "$file" root/
done
tar -C root -c . | docker import - nested >/dev/null
docker run --rm -v /home/agent/workspace:/w nested /bin/touch /w/by-container
docker run --rm --user 70:70 -v /home/agent/workspace/open:/w nested /bin/touch /w/by-70
"""
OTHERS = r"""
set -e
mkdir open; chmod 777 open
sudo mkdir d; sudo touch d/f; sudo install -o 999 -g 998 -m 600 /dev/null n
sudo cp /bin/true suid; sudo chmod 6755 suid
sudo cp /bin/true able; sudo setcap cap_net_raw+ep able
sudo ln -s /etc/shadow link; sudo chown -h 999 link
"""
#: What belongs to whom, inside.
MADE = {
    "d": (0, 0),
    "d/f": (0, 0),
    "n": (999, 998),
    "suid": (0, 0),
    "able": (0, 0),
    "link": (999, 0),
}


def owners_inside(space, made, *name):
    """Return the owners that a box of a workspace sees, by file."""
    words = ["run", *space.force, *name, space.path, "--", "stat", "-c", "%n %u %g", *made]
    lines = space.site.cai(*words).stdout.decode().splitlines()
    return {name: (int(uid), int(gid)) for name, uid, gid in map(str.split, lines)}


def owners_on_disk(space, made):
    found = {}
    for name in made:
        seen = os.lstat(os.path.join(space.path, name))
        found[name] = (seen.st_uid, seen.st_gid)
    return found


def test_what_others_in_a_box_made_is_theirs_in_the_next_box(make_space):
    space = make_space()
    space.sh(OTHERS)
    space.run("bash", "-c", NESTED)
    made = MADE | {"by-container": (0, 0), "open/by-70": (70, 70)}
    stored = space.site.layout.stored_ids[0]
    on_disk = {name: (uid + stored, gid + stored) for name, (uid, gid) in made.items()}
    assert owners_on_disk(space, made) == on_disk
    first = space.id_range()
    other = ("--name", "other-of-this-workspace")
    try:
        # Another box of the same workspace, at the same time, has another range.
        assert owners_inside(space, made, *other) == made
        space.site.cai("rm", space.path)
        assert owners_inside(space, made) == made
        assert space.sh("getcap able") == "able cap_net_raw=ep"
        assert space.sh("stat -c %a suid") == "6755"
        space.sh("sudo touch d/f n; sudo chown 998 n; sudo chown agent suid")
        space.sh("sudo rm -r d n suid able link by-container open")
    finally:
        space.site.cai("rm", *other, check=False)
    assert os.listdir(space.path) == []
    assert first[0] != stored


def test_a_box_of_a_first_version_keeps_its_files(make_space):
    """There, the ids on disk were those of the box's own range, and the record said nothing."""
    space = make_space()
    space.sh(OTHERS)
    site, container = space.site, space.inspect()["Id"]
    site.docker("stop", space.box)
    base, stored = _first_version(site, container), site.layout.stored_ids[0]
    gone = base + 32 * 262144  # the range of a box that was removed
    for name, (uid, gid) in MADE.items():
        path = os.path.join(space.path, name)
        mode, able = os.lstat(path).st_mode & 0o7777, name == "able"
        capability = os.getxattr(path, "security.capability") if able else b""
        start = gone if name == "n" else base
        os.lchown(path, start + uid, start + gid)
        if name == "suid":
            os.chmod(path, mode)
        if able:
            os.setxattr(path, "security.capability", capability[:-4] + base.to_bytes(4, "little"))
    assert owners_inside(space, MADE) == MADE
    assert space.sh("getcap able; stat -c %a suid") == "able cap_net_raw=ep\n6755"
    for name, (uid, gid) in owners_on_disk(space, MADE).items():
        assert (uid - stored, gid - stored) == MADE[name]
    space.sh("sudo rm -r d n suid able link open")
    assert _record(site, container)["stored"] == stored


def _record(site, container):
    path = os.path.join(site.layout.runtime_state, "ranges", container + ".json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _first_version(site, container):
    """Make a record what a first version wrote; return the first id of the range."""
    said = _record(site, container)
    del said["stored"]
    path = os.path.join(site.layout.runtime_state, "ranges", container + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(said, file)
    return said["base"]


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


def refused(space, *words, **options):
    """Return what is said where a workspace gets no box."""
    done = space.site.cai("run", *words, space.path, "--", "true", check=False, **options)
    assert done.returncode == 23
    assert space.box not in space.site.container_names()
    return done.stderr.decode()


def test_a_workspace_of_another_user_takes_force(make_space):
    space = make_space(owner=1234)
    said = refused(space)
    assert f"'{space.path}' belongs to 1234, and the agent would act as its owner" in said
    assert "--force" in said
    # Who went through sudo is no other user.
    user = pwd.getpwuid(1)
    os.chown(space.path, user.pw_uid, user.pw_gid)
    refused(space)
    space.site.cai("run", space.path, "--", "true", env={"SUDO_UID": "1"})
    # A box that is there is entered.
    space.site.cai("run", space.path, "--", "true")


def test_root_is_told_who_could_run_set_id_programs(make_space):
    space = make_space()
    person = next((each for each in pwd.getpwall() if 1000 <= each.pw_uid < 65534), None)
    if person is None:
        pytest.skip("no user but root and services")
    said = space.run("true").stderr.decode()
    assert f"other users of this machine can enter it, '{person.pw_name}' for one" in said
    assert f"chmod 700 {space.path}" in said
    assert "can enter it" not in space.run("true").stderr.decode()
    space.site.cai("rm", space.path)
    os.chmod(space.path, 0o700)
    assert "can enter it" not in space.run("true").stderr.decode()


def test_files_of_others_are_told_of(make_space):
    space = make_space()
    os.mkdir(os.path.join(space.path, "d"))
    strange = os.path.join(space.path, "d", "strange")
    with open(strange, "w", encoding="utf-8"):
        pass
    os.chown(strange, 1, 1)
    said = space.run("true").stderr.decode()
    assert "'d/strange' and maybe more in" in said
    assert "sudo chown" in said
    done = space.run("sudo", "rm", "-f", "d/strange", check=False)
    assert b"Value too large for defined data type" in done.stderr


def test_reclaim_gives_the_owner_what_others_in_boxes_made(make_space):
    space = make_space(owner=1234)
    space.sh(OTHERS)
    site = space.site
    secret = os.path.join(space.path, "d", "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("the host root's\n")
    done = site.cai("reclaim", space.path, check=False)
    assert done.returncode == 1
    assert b"cai stop" in done.stderr
    site.cai("rm", space.path)
    # What is left of a box of a first version.
    gone = site.layout.id_window[0] + 60 * 262144
    os.lchown(os.path.join(space.path, "n"), gone, gone + 7)
    assert site.cai("reclaim", "--dry-run", space.path).stdout.startswith(b"6 files")
    # From within a directory that is nobody's.
    inner = site.cai("reclaim", cwd=os.path.join(space.path, "d"))
    assert inner.stdout == b"2 files and directories now belong to 1234:1234\n"
    assert site.cai("reclaim", space.path).stdout.startswith(b"4 files")
    assert set(owners_on_disk(space, MADE).values()) == {(1234, 1234)}
    assert os.stat(secret).st_uid == 0
    assert os.stat("/etc/shadow").st_uid == 0
    assert os.stat(os.path.join(space.path, "suid")).st_mode & 0o7777 == 0o755
    assert "security.capability" not in os.listxattr(os.path.join(space.path, "able"))
    assert site.cai("reclaim", space.path).stdout.startswith(b"0 files")


@pytest.fixture
def mounted(make_space):
    """Return a function that mounts something at a path and unmounts it at the end."""
    points = []

    def mount(point, *words):
        os.makedirs(point, exist_ok=True)
        if subprocess.run(["mount", *words, point], check=False).returncode != 0:
            pytest.skip(f"cannot mount: {words}")
        points.append(point)

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", "--lazy", point], check=True)


def overlay(top):
    for name in ("lower", "upper", "work"):
        os.makedirs(os.path.join(top, name))
    options = f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work"
    return ["-t", "overlay", "overlay", "-o", options]


def test_a_file_system_that_cannot_map_ids_is_named(make_space, mounted, tmp_path):
    space = make_space()
    mounted(space.path, *overlay(str(tmp_path / "o")))
    said = refused(space)
    assert f"it is on overlay at {space.path}" in said
    assert "move or copy it" in said


def test_what_is_mounted_in_a_workspace_can_be_left_out(make_space, mounted, tmp_path):
    space = make_space()
    inner = os.path.join(space.path, "in ner")
    mounted(inner, *overlay(str(tmp_path / "o")))
    with open(os.path.join(inner, "file"), "w", encoding="utf-8"):
        pass
    said = refused(space)
    assert f"(in it: overlay at {inner})" in said
    assert "--skip-mounts" in said
    done = space.site.cai("run", "--skip-mounts", space.path, "--", "ls", "-A", ".", "in ner")
    assert done.stdout == b".:\nin ner\n\nin ner:\n"
    assert f"left out of the box, whose directories there are empty: {inner}" in (
        done.stderr.decode()
    )
