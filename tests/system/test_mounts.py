"""`cai mount`: more of the host for a box that runs, while the box is hostile."""

import json
import os
import random
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containai.boxes import mounting
from containai.boxes.places import Mount
from containai.engine import lxcfs
from containai.errors import ContainAIError, UsageError, WorkspaceError
from harness.site import Site, refused
from harness.space import MakeSpace, Space

#: A FUSE file system at a path that answers nothing but the kernel's first question.
SILENT = r"""
import ctypes, os, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open("/dev/fuse", os.O_RDWR)
os.makedirs(sys.argv[1], exist_ok=True)
data = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
done = libc.mount(b"silent", sys.argv[1].encode(), b"fuse", 0, data.encode())
assert not done, ctypes.get_errno()
_, code, unique = struct.unpack_from("<IIQ", os.read(fuse, 1 << 17))
body = struct.pack("<4I2H2I2HI", 7, 31, 0, 0, 1, 1, 4096, 1, 1, 0, 0) + bytes(24)
os.write(fuse, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
print("armed", flush=True)
while True:
    os.read(fuse, 1 << 17)
"""
MOVING = r"""
import itertools, os
for number in itertools.count():
    for source, target in (("/m/a", "/m/c"), ("/m/c", "/m/a")):
        try:
            os.rename(source, target)
        except OSError:
            try:
                os.rename("/m/a", f"/m/{number}")
            except OSError:
                pass
"""
#: Takes everything of a path off, while nothing moves.
TAKE_OFF = """
sudo pkill -STOP -f '^python3 /tmp/moving.py'
for _ in 1 2 3 4 5 6 7 8; do
    at=$(awk 'index($4, "{path}") {{print $5; exit}}' /proc/self/mountinfo)
    [ -z "$at" ] || sudo umount --lazy "$at"
done
# sudo stops with what it runs.
sudo pkill -CONT -f 'python3 /tmp/moving.py'
"""
#: All that a mount namespace may have (fs.mount-max), in a box: each step doubles what there is.
#: Private, as each mount is one of each service's, too, otherwise.
FILL = r"""
import ctypes, itertools, os
BIND, REC, PRIVATE = 0x1000, 0x4000, 1 << 18
libc = ctypes.CDLL(None)
def mount(source, target, flags, kind=b"none"):
    return libc.mount(source, target, kind, flags, None) == 0
os.mkdir("/run/full")
assert mount(b"full", b"/run/full", 0, b"tmpfs") and mount(b"none", b"/run/full", PRIVATE)
for flags, source in ((BIND | REC, b"/run/full"), (BIND, b"/etc")):
    for number in itertools.count():
        place = b"/run/full/%d-%d" % (flags, number)
        os.mkdir(place)
        if not mount(source, place, flags):
            break
"""


@pytest.fixture(scope="module")
def lasting(make_lasting: MakeSpace) -> Space:
    return make_lasting("mounts")


@pytest.fixture
def space(lasting: Space) -> Space:
    """A workspace with a running box, that of this module."""
    lasting.run("true")
    return lasting


@pytest.fixture
def data(site: Site) -> Iterator[Path]:
    """A directory of the user's, with a file of theirs."""
    made = Path(tempfile.mkdtemp(prefix="data", dir=os.path.join(site.root, "ws")))
    (made / "file").write_text("theirs\n", encoding="utf-8")
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=True)


def container(space: Space) -> str:
    return str(space.inspect()["Id"])


def record(space: Space) -> tuple[Mount, ...]:
    return mounting.added(space.site.layout, container(space))


def mounted(space: Space, target: str) -> list[str]:
    """Return the lines of a box's mounts at a path: root, target, flags and what follows."""
    lines = space.sh("cat /proc/self/mountinfo").splitlines()
    return [" ".join(line.split()[2:]) for line in lines if line.split()[4] == target]


def by_runtime(space: Space, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the runtime as root of the host does."""
    state = os.path.join(space.site.layout.engine_exec, "runtime-runc/moby")
    argv = [space.site.layout.runtime_program, "--root", state, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_mount_comes_stays_and_goes(space: Space, data: Path) -> None:
    site = space.site
    said = site.cai("mount", "add", space.path, str(data), "/data", "--json")
    value = {"name": space.box, "added": True, "source": str(data), "target": "/data"}
    assert json.loads(said.stdout) == value | {"writable": False, "is_there": True}
    site.cai("mount", "add", space.path, str(data), "/srv/a/b", "--writable")
    # Once more is no second one.
    again = json.loads(site.cai("mount", "add", space.path, str(data), "/data", "--json").stdout)
    assert not again["added"]
    space.sh("echo new > /srv/a/b/new")
    owner = (data / "new").stat()
    assert (owner.st_uid, owner.st_gid) == (os.getuid(), os.getgid())
    assert space.sh("stat -c %U:%G /data/new; cat /data/file").split() == ["agent:agent", "theirs"]
    before = [mounted(space, target) for target in ("/data", "/srv/a/b")]
    assert [len(lines) for lines in before] == [1, 1]
    # It is the same as what a start makes: flags, what it shows, in which order.
    site.cai("restart", space.path)
    assert [mounted(space, target) for target in ("/data", "/srv/a/b")] == before
    site.docker("kill", space.box)
    assert space.sh("cat /srv/a/b/new /data/file").split() == ["new", "theirs"]
    listed = json.loads(site.cai("mount", "ls", space.path, "--json").stdout)
    assert [row["target"] for row in listed["mounts"]] == ["/data", "/srv/a/b"]
    for target in ("/data", "/srv/a/b"):
        site.cai("mount", "rm", space.path, target)
        assert mounted(space, target) == []
    assert record(space) == ()
    assert (data / "file").read_text() == "theirs\n"


def test_what_takes_a_boxs_place_has_its_mounts_and_rm_leaves_none(
    site: Site, make_space: MakeSpace, data: Path
) -> None:
    space = make_space("succeeded")
    space.run("true")
    site.cai("mount", "add", space.path, str(data), "/data")
    site.cai("mount", "add", space.path, str(data / "file"), "/one")
    first = container(space)
    site.cai("run", "--fresh", "--yes", space.path, "--", "cat", "/data/file", "/one")
    assert container(space) != first
    assert [mount.target for mount in record(space)] == ["/data", "/one"]
    (data / "file").unlink()
    listed = site.cai("mount", "ls", space.path)
    assert b"is not there" in listed.stderr
    # What is gone keeps no box from starting, and what is there is there.
    site.cai("restart", space.path)
    assert mounted(space, "/one") == []
    assert len(mounted(space, "/data")) == 1
    site.cai("rm", "--yes", space.path)
    assert mounting.added(site.layout, first) == ()
    assert [name for name in os.listdir(site.layout.attached) if first in name] == []


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["/nonexistent/x", "/data"], WorkspaceError, "is not there"),
        (["{data}", "data"], UsageError, "no absolute path"),
        (["{data}", "/etc/x"], WorkspaceError, "/etc is the box's own"),
        (["{data}", "/"], WorkspaceError, "its workspace is at"),
        (["{data}", "/home/agent/workspace/x"], WorkspaceError, "its workspace is at"),
        (["{home}", "/data"], WorkspaceError, "holds your home directory"),
        (["{state}", "/data"], WorkspaceError, "is cai's own"),
        (["/proc/self", "/data"], WorkspaceError, ""),
    ],
)
def test_what_cannot_be_mounted_is_refused(
    space: Space, data: Path, words: list[str], error: type[ContainAIError], said: str
) -> None:
    layout = space.site.layout
    os.makedirs(layout.state_dir, exist_ok=True)
    known = {"data": data, "home": layout.home, "state": layout.state_dir}
    asked = [word.format(**known) for word in words]
    done = space.site.cai("mount", "add", space.path, *asked, check=False)
    refused(done, error)
    assert said in done.stderr.decode()
    assert record(space) == ()


def test_a_place_that_has_something_is_refused(space: Space, data: Path) -> None:
    site = space.site
    for target in ("/run/lock", "/var/lib/docker"):
        said = by_runtime(space, "attach", container(space), str(data), target)
        assert (said.returncode, "is mounted there already" in said.stderr) == (1, True)
    site.cai("mount", "add", space.path, str(data), "/data")
    try:
        other = site.cai("mount", "add", space.path, str(data / "file"), "/data", check=False)
        refused(other, WorkspaceError)
        assert b"something is mounted there already" in other.stderr
    finally:
        site.cai("mount", "rm", space.path, "/data")
    space.sh("sudo touch /file")
    done = site.cai("mount", "add", space.path, str(data), "/file", check=False)
    refused(done, WorkspaceError)
    assert b"is no directory in the box" in done.stderr
    gone = site.cai("mount", "rm", space.path, "/data", check=False)
    refused(gone, WorkspaceError)


@pytest.mark.parametrize("target", ["relative", "/", "/a/../b", "/proc/x", "/sys", "/dev/shm", ""])
def test_the_runtime_takes_no_other_place(space: Space, data: Path, target: str) -> None:
    done = by_runtime(space, "attach", container(space), str(data), target)
    assert done.returncode == 1
    assert "cai-runc: attach: " in done.stderr
    assert record(space) == ()


def test_its_root_cannot_make_it_writable(space: Space, data: Path) -> None:
    space.site.cai("mount", "add", space.path, str(data), "/data")
    try:
        for flags in ("rw", "rw,dev", "dev"):
            remount = ("sudo", "mount", "-o", f"remount,bind,{flags}", "/data")
            assert space.run(*remount, check=False).returncode != 0
        assert space.run("sudo", "touch", "/data/x", check=False).returncode != 0
        # Nor as a part of it elsewhere, or in a mount namespace of its own.
        elsewhere = (
            "mkdir -p /run/e && mount --bind /data /run/e && mount -o remount,bind,rw /run/e"
        )
        assert space.run("sudo", "sh", "-c", elsewhere, check=False).returncode != 0
        own = "mount -o remount,bind,rw /data && touch /data/x"
        done = space.run("sudo", "unshare", "--mount", "sh", "-c", own, check=False)
        assert done.returncode != 0
    finally:
        space.sh("sudo umount /run/e || :")
        space.site.cai("mount", "rm", space.path, "/data")
    assert os.listdir(data) == ["file"]


def test_a_setuid_file_of_it_is_nobodys(space: Space, data: Path) -> None:
    space.site.cai("mount", "add", space.path, str(data), "/data", "--writable")
    try:
        space.sh("sudo cp /usr/bin/id /data/id && sudo chmod 4755 /data/id || :")
        seen = os.lstat(data / "id") if (data / "id").exists() else None
        assert seen is None or seen.st_uid >= space.site.layout.stored_ids[0]
        assert seen is None or not (seen.st_mode & stat.S_ISUID and seen.st_uid == 0)
    finally:
        space.site.cai("mount", "rm", space.path, "/data")


@pytest.mark.parametrize("where", ["/link", "/way/x", "/way/x/y"])
def test_no_link_of_the_box_is_followed(space: Space, data: Path, where: str) -> None:
    space.sh("sudo ln -sfn /etc /link; sudo ln -sfn /usr /way")
    try:
        done = by_runtime(space, "attach", container(space), str(data), where)
        assert (done.returncode, "is a symbolic link in the box" in done.stderr) == (1, True)
        assert record(space) == ()
        assert not [line for line in space.sh("cat /proc/self/mountinfo") if str(data) in line]
    finally:
        space.sh("sudo rm -f /link /way")


def test_a_place_that_moves(space: Space, data: Path) -> None:
    """Its root renames what is above the place all the time, and what is made in its stead."""
    space.sh("sudo mkdir -p /m/a/x")
    space.run("sh", "-c", "cat >/tmp/moving.py", input=MOVING.encode())
    spin = ["run", space.path, "--", "sudo", "python3", "/tmp/moving.py"]
    moving = space.site.start(*spin, stdin=subprocess.DEVNULL)

    def shown() -> int:
        return space.sh("cat /proc/self/mountinfo").count(str(data))

    try:
        said, count, end = "", 0, time.monotonic() + 120
        while count < 60 or ("was moved meanwhile" not in said and time.monotonic() < end):
            count += 1
            before = shown()
            done = by_runtime(space, "attach", container(space), str(data), "/m/a/x")
            said += done.stderr
            if done.returncode == 0:
                assert [mount.target for mount in record(space)] == ["/m/a/x"]
                by_runtime(space, "detach", container(space), "/m/a/x")
            else:
                # Nowhere else, either.
                assert shown() == before
            assert record(space) == ()
            if "mounted there already" in done.stderr:
                # What it moved, and has moved back.
                space.sh(TAKE_OFF.format(path=data))
    finally:
        space.run("sudo", "pkill", "-KILL", "-f", "^python3 /tmp/moving.py", check=False)
        moving.wait()
    assert "was moved meanwhile" in said
    # What a box has moved itself, it has until then.
    space.site.cai("restart", space.path)
    assert shown() == 0


@pytest.mark.skipif(lxcfs.missing() == lxcfs.DEVICE, reason="FUSE is not to be had here")
def test_a_file_system_that_never_answers(site: Site, make_space: MakeSpace, data: Path) -> None:
    space = make_space("silent")
    space.run("sh", "-c", "cat >/tmp/silent.py", input=SILENT.encode())
    hold = ["run", space.path, "--", "sudo", "python3", "/tmp/silent.py", "/srv/silent"]
    held = site.start(*hold, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == b"armed\n"
        done = site.cai("mount", "add", space.path, str(data), "/srv/silent/x", check=False)
        refused(done, WorkspaceError)
        assert b"does not answer" in done.stderr
        assert record(space) == ()
        site.cai("mount", "add", space.path, str(data), "/data")
        assert space.sh("cat /data/file") == "theirs"
    finally:
        space.run("sudo", "pkill", "-KILL", "-f", "^python3 /tmp/silent.py", check=False)
        held.communicate()


def test_a_mount_table_that_is_full(site: Site, make_space: MakeSpace, data: Path) -> None:
    space = make_space("full-table")
    space.sh("true")
    space.run("sudo", "python3", "-", input=FILL.encode())
    done = site.cai("mount", "add", space.path, str(data), "/data", check=False)
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr
    assert record(space) == ()


def test_a_source_that_is_swapped(space: Space, site: Site) -> None:
    """An agent that may write what is above the source puts a link to a secret of root's there."""
    secret = Path(site.root) / "secret"
    secret.mkdir(mode=0o700)
    (secret / "key").write_text("secret", encoding="utf-8")
    above = Path(space.path) / "above"
    (above / "data").mkdir(parents=True)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(above / "data", above / "aside")
            os.symlink(secret, above / "data")
            os.unlink(above / "data")
            os.rename(above / "aside", above / "data")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        ends = set()
        for _ in range(40):
            done = by_runtime(space, "attach", container(space), str(above / "data"), "/swapped")
            ends.add(done.returncode)
            if done.returncode == 0:
                assert space.sh("sudo ls -A /swapped") == ""
                by_runtime(space, "detach", container(space), "/swapped")
    finally:
        stop.set()
        thread.join()
        subprocess.run(["rm", "-rf", str(secret), str(above)], check=True)
    assert ends == {0, 1}


def test_one_that_is_killed_is_there_or_not_and_the_next_ends_right(
    space: Space, data: Path
) -> None:
    site, chance = space.site, random.Random(5)
    box = container(space)
    state = os.path.join(site.layout.engine_exec, "runtime-runc/moby")
    for _ in range(20):
        argv = [site.layout.runtime_program, "--root", state, "attach", box, str(data), "/killed"]
        running = subprocess.Popen(argv, start_new_session=True)
        time.sleep(chance.uniform(0.0, 0.05))
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert len(mounted(space, "/killed")) <= 1
        done = by_runtime(space, "attach", box, str(data), "/killed")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(mounted(space, "/killed")) == 1
        assert by_runtime(space, "detach", box, "/killed").returncode == 0
        assert (mounted(space, "/killed"), record(space)) == ([], ())


def test_whoever_has_no_container_gets_no_mount(space: Space, data: Path) -> None:
    for name, why in (("0" * 64, "no container"), ("../../etc", "no container"), ("", "expected")):
        said = by_runtime(space, "attach", name, str(data), "/data")
        assert (said.returncode, why in said.stderr) == (1, True)
    for words in ((":attach",), (":attach", str(data), "/data", "any"), (":detach", "/a", "/b")):
        done = space.site.cai("docker", "exec", space.box, *words, check=False)
        assert done.returncode != 0
        assert b"expected: :attach" in done.stdout + done.stderr
