"""Mounts: binds, volumes, tmpfs, propagation."""

import os
import subprocess

import pytest

from .client import DockerFailedError


@pytest.fixture
def tree(site, tmp_path_factory):
    """A directory of the host that a container may traverse."""
    path = tmp_path_factory.mktemp("tree")
    for each in (path, *path.parents):
        if str(each).startswith("/tmp/pytest"):
            each.chmod(0o755)
    (path / "file").write_text("of the host\n")
    (path / "deep").mkdir()
    (path / "deep/file").write_text("deep\n")
    return path


def test_bind_read_write_and_read_only(docker, tree):
    options = ["--volume", f"{tree}:/rw", "--volume", f"{tree}:/ro:ro"]
    options += ["--mount", f"type=bind,source={tree}/deep,target=/m,readonly"]
    options += ["--volume", f"{tree}/file:/etc/one-file", "--volume", f"{tree}/file:/etc/group:ro"]
    script = (
        "cat /rw/file /ro/deep/file /m/file /etc/one-file /etc/group; echo in >/rw/new;"
        "cat /ro/new; echo changed >/etc/one-file;"
        "for f in /ro/x /m/x /etc/group; do echo >$f; done 2>&1; exit 0"
    )
    assert docker.run(*options, script=script).split("\n") == [
        "of the host",
        "deep",
        "deep",
        "of the host",
        "of the host",
        "in",
        "sh: can't create /ro/x: Read-only file system",
        "sh: can't create /m/x: Read-only file system",
        "sh: can't create /etc/group: Read-only file system",
    ]
    assert (tree / "new").read_text() == "in\n"
    assert (tree / "file").read_text() == "changed\n"


def test_bind_sees_what_the_host_does_later(docker, tree):
    container = docker.start("--volume", f"{tree}:/w")
    assert docker.sh(container, "ls /w") == "deep\nfile"
    (tree / "later").write_text("later\n")
    (tree / "file").rename(tree / "renamed")
    assert docker.sh(container, "cat /w/later; ls /w; mv /w/later /w/deep/; echo 1 >/w/deep/2") == (
        "later\ndeep\nlater\nrenamed"
    )
    assert sorted(os.listdir(tree / "deep")) == ["2", "file", "later"]


def test_bind_through_links_that_root_made(docker):
    # On every Debian, /bin is a link, and awk is behind two.
    options = ["--volume", "/bin:/of-host:ro", "--volume", "/usr/bin/awk:/awk:ro"]
    script = "test -s /of-host/dpkg && test -s /awk && test ! -L /awk && echo there"
    assert docker.run(*options, script=script) == "there"


def test_bind_of_nothing(docker, tree):
    with pytest.raises(DockerFailedError, match="does not exist"):
        docker.run("--mount", f"type=bind,source={tree}/absent,target=/x", script="true")
    # --volume makes what is missing.
    assert docker.run("--volume", f"{tree}/made:/x", script="ls -A /x") == ""
    assert (tree / "made").is_dir()


def test_bind_includes_what_is_mounted_in_it(docker, tree):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tree / "deep")], check=True)
    try:
        (tree / "deep/inner").write_text("mounted\n")
        said = docker.run("--volume", f"{tree}:/w", script="cat /w/deep/inner; echo 1 >/w/deep/new")
        assert said == "mounted"
        assert (tree / "deep/new").read_text() == "1\n"
        options = ["--mount", f"type=bind,source={tree},target=/w,bind-nonrecursive"]
        assert docker.run(*options, script="ls /w/deep") == "file"
    finally:
        subprocess.run(["umount", str(tree / "deep")], check=True)


@pytest.mark.parametrize(("propagation", "seen"), [("rslave", "later"), ("rprivate", "")])
def test_propagation_from_the_host(docker, tree, propagation, seen):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tree)], check=True)
    try:
        subprocess.run(["mount", "--make-shared", str(tree)], check=True)
        (tree / "sub").mkdir()
        mount = f"type=bind,source={tree},target=/w,bind-propagation={propagation}"
        container = docker.start("--mount", mount)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tree / "sub")], check=True)
        (tree / "sub/later").touch()
        assert docker.sh(container, "ls /w/sub") == seen
        docker.end()
    finally:
        subprocess.run(["umount", "--recursive", str(tree)], check=True)


def test_two_containers_share_a_volume(docker, volume):
    name = volume()
    first = docker.start("--volume", f"{name}:/a")
    second = docker.start("--mount", f"type=volume,source={name},target=/b")
    docker.sh(first, "echo one >/a/one; mkdir /a/d; chown 1000:2000 /a/d; mkfifo /a/pipe")
    docker.sh(second, "echo two >/b/two; echo more >>/b/one; rmdir /b/d", "--user", "0")
    assert docker.sh(first, "cat /a/one /a/two; ls /a") == "one\nmore\ntwo\none\npipe\ntwo"
    docker("exec", "--detach", first, "sh", "-c", "echo through >/a/pipe")
    assert docker.sh(second, "cat /b/pipe") == "through"
    docker("rm", "--force", first, second)
    docker.containers.clear()
    reader = docker.start("--volume", f"{name}:/c:ro")
    assert docker.sh(reader, "cat /c/one; touch /c/x 2>&1 || stat -c %u:%g /c/two") == (
        "one\nmore\ntouch: /c/x: Read-only file system\n0:0"
    )


def test_a_new_volume_gets_what_the_image_has_there(docker, volume):
    copied, bare = volume(), volume()
    options = ["--volume", f"{copied}:/etc", "--mount", f"source={bare},target=/bin2,volume-nocopy"]
    assert docker.run(*options, script="ls /etc/passwd; ls -A /bin2") == "/etc/passwd"
    mount = f"type=volume,source={copied},target=/x"
    assert docker.run("--mount", mount, script="head -n 1 /x/passwd; stat -c %u /x/passwd") == (
        "root:x:0:0::/root:/bin/sh\n0"
    )
    options = ["--mount", f"type=volume,source={bare},target=/etc/,volume-nocopy"]
    assert docker.run(*options, script="ls /etc/passwd 2>&1; exit 0").endswith(
        "No such file or directory"
    )


def test_volumes_from(docker):
    first = docker.start("--volume", "/data", script="echo 1 >/data/made; exec sleep 1000")
    docker.until(lambda: docker.sh(first, "ls /data") == "made")
    assert docker.run("--volumes-from", first, script="cat /data/made; echo 2 >/data/more") == "1"
    script = "cat /data/more; touch /data/x 2>&1 || true"
    assert docker.run("--volumes-from", f"{first}:ro", script=script) == (
        "2\ntouch: /data/x: Read-only file system"
    )


def test_tmpfs(docker):
    options = ["--tmpfs", "/a:size=1m,mode=1770,uid=1000,exec", "--mount"]
    options += ["type=tmpfs,target=/b,tmpfs-size=2m,tmpfs-mode=0700", "--tmpfs", "/c:ro"]
    script = (
        "stat -c '%a %u' /a /b; df -k /a /b | awk '/tmpfs/ {print $2}'; touch /c/x 2>&1;"
        "dd if=/dev/zero of=/a/full bs=64k count=17 2>&1 | grep -c 'No space'; cp /bin/true /a/t;"
        "rm /a/full; cp /bin/busybox /a/true 2>&1 | grep -c space; grep ' /b ' /proc/mounts"
    )
    lines = docker.run(*options, script=script).split("\n")
    assert lines[:7] == [
        "1770 1000",
        "700 0",
        "1024",
        "2048",
        "touch: /c/x: Read-only file system",
        "1",
        "1",
    ]
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(lines[7].split()[3].split(","))


def test_shm_and_ipc(docker):
    first = docker.start("--ipc", "shareable", "--shm-size", "8m")
    docker.sh(first, "echo shared >/dev/shm/x")
    script = "cat /dev/shm/x; df -k /dev/shm | awk '/shm/ {print $2}'"
    assert docker.run("--ipc", f"container:{first}", script=script) == "shared\n8192"
    assert docker.run(script="ls /dev/shm; df -k /dev/shm | awk '/shm/ {print $2}'") == "65536"


def test_mount_over_a_link_of_the_image_stays_inside(docker, tree):
    """A destination is looked up in the container's root, not in the host's."""
    docker.create("--name", "t-linked", command=("ln", "-s", "/etc", "/link"))
    try:
        docker("start", "--attach", "t-linked")
        docker("commit", "t-linked", "test-linked")
    finally:
        docker("rename", "t-linked", "t-linked-done")
    said = docker.run("--volume", f"{tree}:/link/x", image="test-linked", script="cat /etc/x/file")
    assert said == "of the host"
    assert not os.path.exists("/etc/x")
