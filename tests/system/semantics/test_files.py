"""The container's file system: cp, diff, commit, export, layers and what is in them."""

import io
import os
import tarfile
from typing import Any

import pytest

from .client import NOT_FOUND, DockerFailedError
from .image import archive_of, entry, layer


def contents(archive):
    """Return the members of a tar archive by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return {member.name.removeprefix("./"): member for member in found}


def test_cp_both_ways_while_stopped(docker, tmp_path):
    container = docker.start()
    docker.sh(container, "mkdir -p /made/deep; echo 1 >/made/deep/file")
    docker("stop", "--time", "0", container)
    docker("cp", f"{container}:/made", str(tmp_path))
    assert (tmp_path / "made/deep/file").read_text() == "1\n"
    (tmp_path / "made/deep/file").write_text("2\n")
    docker("cp", str(tmp_path / "made"), f"{container}:/etc")
    docker("cp", str(tmp_path / "made/deep/file"), f"{container}:/made/deep/file")
    docker("cp", "-", f"{container}:/tmp", data=layer([entry("piped", b"3\n", uid=1000)]))
    docker("start", container)
    said = docker.sh(container, "cat /etc/made/deep/file /made/deep/file /tmp/piped")
    assert said == "2\n2\n3"
    said = docker.sh(container, "stat -c %u:%n /etc/made/deep/file /made /tmp/piped")
    assert said.split() == ["0:/etc/made/deep/file", "0:/made", "1000:/tmp/piped"]
    assert docker.sh(container, "echo 4 >>/etc/made/deep/file; rm /tmp/piped; mkdir /etc/x") == ""


def test_cp_out_while_running(docker, tmp_path):
    script = "cd /tmp; echo 1 >one; echo new >>/etc/passwd; rm /etc/group; chown 1000 one"
    container = docker.start(script=f"{script}; echo up; exec sleep 1000")
    docker.until_logged(container, "up")
    docker("cp", f"{container}:/etc/passwd", str(tmp_path))
    assert (tmp_path / "passwd").read_text().endswith("\nnew\n")
    with pytest.raises(DockerFailedError, match=NOT_FOUND):
        docker("cp", f"{container}:/etc/group", str(tmp_path))
    (member,) = contents(docker.raw("cp", f"{container}:/tmp/one", "-")).values()
    assert (member.name, member.uid, member.size) == ("one", 1000, 2)


def test_diff(docker):
    script = "echo >/new; rm /etc/group; chmod 600 /etc/passwd; mkdir -p /d/e; echo up; sleep 1000"
    container = docker.start(script=script)
    docker.until_logged(container, "up")
    changes = ["A /d", "A /d/e", "A /new", "C /etc", "C /etc/passwd", "D /etc/group"]
    assert sorted(docker("diff", container).split("\n")) == changes
    docker("stop", "--time", "0", container)
    assert sorted(docker("diff", container).split("\n")) == changes


def test_commit_and_run_the_result(docker):
    script = "mkdir -p /opt/a; echo $0 >/opt/a/b; chown -R 1000:2000 /opt; ln /opt/a/b /opt/c"
    script += "; rm /etc/group; mkfifo /opt/pipe; rm -r /home; mkdir /home; echo up; exec sleep 99"
    container = docker.start(script=script)
    docker.until_logged(container, "up")
    docker("commit", "--change", "ENV LEFT=1", container, "test-committed")
    check = (
        "cat /opt/a/b; stat -c '%u:%g %h' /opt/c; ls /etc/group 2>&1; test -p /opt/pipe; echo $?"
    )
    said = docker.run(image="test-committed", script=check + "; echo $LEFT").split("\n")
    assert said == ["sh", "1000:2000 2", "ls: /etc/group: No such file or directory", "0", "1"]
    # Once more on top of it, with the container stopped.
    top = docker.start(image="test-committed", script="rm -r /opt/a; echo up; exec sleep 99")
    docker.until_logged(top, "up")
    docker("stop", "--time", "0", top)
    docker("commit", top, "test-committed-twice")
    assert docker.run(image="test-committed-twice", script="ls /opt") == "c\npipe"


def test_commit_of_what_the_engine_saw_before(docker, tmp_path):
    """Nothing that Docker once looked up is old in the commit of a running container."""
    container = docker.start()
    with pytest.raises(DockerFailedError, match=NOT_FOUND):
        docker("cp", f"{container}:/etc/late", str(tmp_path))
    docker.sh(container, "echo 1 >/etc/late")
    docker("commit", container, "test-late")
    assert docker.run(image="test-late", script="cat /etc/late") == "1"
    docker("cp", f"{container}:/etc/late", str(tmp_path))
    assert (tmp_path / "late").read_text() == "1\n"


def test_export_running_and_stopped(docker):
    script = "echo 12 >/tmp/f; chown 1000:2000 /tmp/f; chmod 4750 /tmp/f; ln /tmp/f /tmp/g"
    container = docker.start(script=f"{script}; rm /etc/group; echo up; exec sleep 1000")
    docker.until_logged(container, "up")
    for _ in range(2):
        found = contents(docker.raw("export", container))
        assert (found["tmp/f"].uid, found["tmp/f"].gid) == (1000, 2000)
        assert (found["tmp/f"].mode & 0o7777, found["tmp/g"].linkname) == (0o4750, "tmp/f")
        assert found["bin/busybox"].uid == 0
        assert "etc/group" not in found
        docker("stop", "--time", "0", container)


def test_read_only_root_with_a_place_to_write(docker):
    script = "touch /x 2>&1; touch /tmp/x && df -T /tmp | grep -c tmpfs; touch /etc/hosts; id -u"
    said = docker.run("--read-only", "--tmpfs", "/tmp", script=script).split("\n")
    assert said == ["touch: /x: Read-only file system", "1", "0"]


#: struct vfs_cap_data, version 2: CAP_NET_RAW permitted and effective (capabilities(7)).
CAPPED = bytes.fromhex("0100000200200000000000000000000000000000")


def special(base_layer):
    """Return an image with every kind of file, and a second layer that changes some."""
    attributes = {
        "SCHILY.xattr.security.capability": CAPPED.decode("latin-1"),
        "SCHILY.xattr.user.note": "kept",
    }
    with tarfile.open(fileobj=io.BytesIO(base_layer)) as archive:
        busybox = archive.extractfile("bin/busybox").read()
    owned: dict[str, Any] = {"mode": 0o6711, "uid": 1000, "gid": 2000, "mtime": 1_000_000_000}
    first = [
        entry("capped/grep", busybox, mode=0o755, pax_headers=attributes),
        entry("one", b"1", **owned),
        entry("two", kind=tarfile.LNKTYPE, link="one", **owned),
        entry("fifo", kind=tarfile.FIFOTYPE, mode=0o640),
        entry("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        entry("disk", kind=tarfile.BLKTYPE, devmajor=7, devminor=99, mode=0o660),
        entry("dangling", kind=tarfile.SYMTYPE, link="/nowhere"),
        entry("gone/inner", b"x"),
        entry("opaque/old", b"x"),
        entry("odd \u00e9 : , \\ name", b"odd"),
    ]
    second = [
        entry(".wh.gone"),
        entry("opaque", kind=tarfile.DIRTYPE),
        entry("opaque/.wh..wh..opq"),
        entry("opaque/new", b"y"),
    ]
    return archive_of([base_layer, layer(first), layer(second)], "test-special")


def test_every_kind_of_file_in_layers(docker, base_layer):
    docker("load", data=special(base_layer))
    container = docker.start(image="test-special")
    said = docker.sh(
        container,
        "cd /; stat -c '%n %A %u:%g %h %Y' one two; stat -c '%n %F %t,%T %a' fifo null disk;"
        "readlink dangling; ls gone 2>&1; ls opaque; cat odd*; su agent -c '/capped/grep CapEff"
        " /proc/self/status'",
    )
    assert said.split("\n") == [
        "one -rws--s--x 1000:2000 2 1000000000",
        "two -rws--s--x 1000:2000 2 1000000000",
        "fifo fifo 0,0 640",
        "null character special file 1,3 666",
        "disk block special file 7,63 660",
        "/nowhere",
        "ls: gone: No such file or directory",
        "new",
        "oddCapEff:\t0000000000002000",
    ]
    process = docker.inspect(container, "State", "Pid")
    assert os.getxattr(f"/proc/{process}/root/capped/grep", "user.note") == b"kept"
    # Writing to a linked file, into a pipe, over a directory that had a lower one.
    said = docker.sh(
        container,
        "cd /; echo 22 >two; cat two; (echo through >fifo &); cat fifo; mkdir gone; ls gone;"
        "mv opaque moved; ls moved; rm -r moved null disk; ls -d moved null disk 2>&1 | wc -l",
    )
    assert said.split("\n") == ["22", "through", "new", "3"]


SOCKET = 'import socket; socket.socket(socket.AF_UNIX).bind("/opt/socket")'


def test_a_socket_stays_over_a_restart_and_is_left_out_of_images(docker):
    """Docker's archives have no sockets; the container's own layer has."""
    made = f"test -e /opt/socket || python3 -c '{SOCKET}'; echo up; exec sleep 1000"
    container = docker.start(image="ghcr.io/containai/base:latest", script=made)
    docker.until_logged(container, "up")
    docker("restart", "--time", "0", container)
    docker.until(lambda: docker("logs", container) == "up\nup")
    assert docker.sh(container, "test -S /opt/socket && stat -c %u:%a /opt/socket") == "0:755"
    assert "A /opt/socket" in docker("diff", container).split("\n")
    docker("commit", container, "test-socket")
    assert docker.run(image="test-socket", script="ls -A /opt") == ""


def test_sixty_layers(docker, base_layer):
    layers = [base_layer, layer([entry("top", b"0"), entry("d/0", b"0")])]
    for index in range(1, 59):
        files = [entry("top", str(index).encode()), entry(f"d/{index}", b"x")]
        layers.append(layer([*files, entry(f"d/.wh.{index - 1}")]))
    docker("load", data=archive_of(layers, "test-sixty"))
    script = "cat /top; echo; ls /d; echo x >/d/58; mkdir /d/1; mv /d/58 /d/1; ls /d /d/1"
    said = docker.run(image="test-sixty", script=script).split()
    assert said == ["58", "58", "/d:", "1", "/d/1:", "58"]
