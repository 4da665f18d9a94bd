"""What cai-runc does otherwise on purpose; docs/explanation/docker-semantics.md lists it."""

import os
import subprocess

import pytest

from .client import IMAGE, NOT_FOUND, DockerFailedError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pid", "host"], "cannot share a pid namespace"),
        (["--device", "/dev/kmsg"], "device /dev/kmsg: no disk and no memory of the host"),
        (["--device", "DISK"], ": no disk and no memory of the host"),
        (["--volume", "PLANTED:/x"], "a symbolic link that not only root could have made"),
        (["--volume", "PLANTED/passwd:/x"], "a symbolic link that not only root could have made"),
        (["--volume", "/proc:/host"], "cannot map ids"),
        (["--volume", "/sys/fs/cgroup:/host"], "cannot map ids"),
        (["--mount", "type=bind,source=SHARED,target=/w,bind-propagation=rshared"], "rslave, not"),
    ],
)
def test_refused_with_its_reason(ours, tmp_path, options, said):
    tmp_path.chmod(0o777)
    (tmp_path / "planted").symlink_to("/etc")
    shared, disk = tmp_path / "shared", tmp_path / "disk"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(shared)], check=True)
    subprocess.run(["mount", "--make-shared", str(shared)], check=True)
    os.mknod(disk, 0o60600, os.makedev(7, 200))
    words = {"PLANTED": str(tmp_path / "planted"), "SHARED": str(shared), "DISK": str(disk)}
    for word, value in words.items():
        options = [each.replace(word, value) for each in options]
    try:
        with pytest.raises(DockerFailedError) as failed:
            ours.run(*options, script="true")
    finally:
        subprocess.run(["umount", str(shared)], check=True)
    assert "cai-runc: create: " in failed.value.said
    assert said in failed.value.said


def test_the_pid_namespace_of_another_container_is_refused(ours):
    first = ours.start()
    with pytest.raises(DockerFailedError, match="cannot share a pid namespace"):
        ours.run("--pid", f"container:{first}", script="true")


def test_cp_into_a_running_container_is_refused_and_harms_nothing(ours, tmp_path):
    (tmp_path / "passwd").write_text("new\n")
    container = ours.start()
    for target in ("/etc/passwd", "/etc/new", "/new", "/tmp/"):
        with pytest.raises(DockerFailedError, match="read-only file system"):
            ours("cp", str(tmp_path / "passwd"), f"{container}:{target}")
    assert ours.sh(container, "wc -l </etc/passwd; ls /etc/new /new /tmp/passwd 2>&1 | wc -l") == (
        "2\n3"
    )
    ours.sh(container, "echo 1 >/etc/new; rm /etc/group; mkdir /etc/d; rmdir /etc/d")
    ours("pause", container)
    ours("unpause", container)
    assert sorted(ours("diff", container).split("\n")) == ["A /etc/new", "C /etc", "D /etc/group"]
    # What does it: exec with tar, or once the container is stopped, cp.
    tar = ("tar", "-C", str(tmp_path), "-c", "passwd")
    data = subprocess.run(tar, capture_output=True, check=True).stdout
    ours("exec", "--interactive", container, "tar", "-x", "-C", "/etc", data=data)
    assert ours.sh(container, "cat /etc/passwd") == "new"
    ours("stop", "--time", "0", container)
    ours("cp", str(tmp_path / "passwd"), f"{container}:/etc/new")
    ours("start", container)
    assert ours.sh(container, "cat /etc/new; echo 2 >/etc/new; cat /etc/new") == "new\n2"


def test_what_the_engine_read_it_remembers_until_a_pause(ours, tmp_path):
    container = ours.start()
    with pytest.raises(DockerFailedError, match=NOT_FOUND):
        ours("cp", f"{container}:/tmp/late", str(tmp_path))
    ours.sh(container, "echo 1 >/tmp/late")
    ours("pause", container)
    ours("unpause", container)
    ours("cp", f"{container}:/tmp/late", str(tmp_path))
    assert (tmp_path / "late").read_text() == "1\n"


def test_privileged_gives_nothing_of_the_host(ours):
    script = (
        "cat /proc/self/uid_map; ls /dev | grep -cE '^(sd|vd|nvme|mem|kmsg)';"
        "(echo 1 >/proc/sys/kernel/panic) 2>&1; mknod /tmp/n c 1 3 2>&1;"
        "mount -t tmpfs t /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs t /mnt && echo inside"
    )
    rows = ours.run("--privileged", script=script).split("\n")
    assert rows[0].split()[1] != "0"
    assert rows[1:] == [
        "0",
        "sh: can't create /proc/sys/kernel/panic: Permission denied",
        "mknod: /tmp/n: Operation not permitted",
        "inside",
    ]


@pytest.mark.parametrize("option", ["--userns=host", "--cgroupns=host", "--uts=host", "--ipc=host"])
def test_namespaces_of_the_host_do_not_take_the_users_away(ours, option):
    first, second = (
        ours.run(option, script="awk '{print $2}' /proc/self/uid_map; cat /proc/self/cgroup")
        .replace("\n", " ")
        .split(" ", 1)
    )
    assert int(first) >= 0x70000000
    assert "docker" not in second or option != "--cgroupns=host"


def test_device_nodes_in_an_image_and_made_inside_are_no_devices(ours):
    with pytest.raises(DockerFailedError, match="Operation not permitted"):
        ours.run(script="mknod /n c 1 3")
    ours.run(script="mknod /p p && test -p /p")


def test_owner_of_a_bind(ours, tmp_path):
    """The owner's files are uid 1000's inside, whoever owns them; what root makes is nobody's."""
    owned = tmp_path / "owned"
    owned.mkdir()
    for each in (tmp_path, *tmp_path.parents):
        if str(each).startswith("/tmp/"):
            each.chmod(0o755)
    (owned / "file").write_text("x")
    for each in (owned, owned / "file"):
        os.chown(each, 4321, 4321)
    script = "stat -c %u:%g /w /w/file; touch /w/roots; su agent -c 'touch /w/agents'"
    assert ours.run("--volume", f"{owned}:/w", script=script) == "1000:1000\n1000:1000"
    assert (owned / "agents").stat().st_uid == 4321
    assert (owned / "roots").stat().st_uid >= 0x70000000


def test_checkpoints_are_refused(ours):
    container = ours.start("--name", "t-otherwise")
    with pytest.raises(DockerFailedError):
        ours("checkpoint", "create", container, "c1")
    assert ours("exec", "t-otherwise", "echo", IMAGE) == IMAGE


def test_exec_where_namespaces_are_shared(ours):
    """runc 1.1 joins the user namespace first, which may not join another's network after that."""
    first = ours.start()
    second = ours.start("--network", f"container:{first}")

    def joined(container):
        try:
            return ours("exec", container, "echo", "joined")
        except DockerFailedError as failed:
            return failed.said

    assert joined(second) == "joined" or "error executing setns" in joined(second)
    assert joined(first) == "joined"
