"""Files between a box and the host, with an agent that does what it can."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from containai import errors
from harness.hostile_tree import swapping
from harness.site import refused
from harness.waiting import until


def copy(space, *words, **options):
    return space.site.cai("cp", *words, cwd=space.path, **options)


@pytest.fixture
def mine(shared, tmp_path):
    """Two directories of a test's own: of the box, below the agent's home, and of the host."""
    name = f"cp-{os.urandom(4).hex()}"
    shared.sh(f"mkdir ~/{name}")
    yield name, tmp_path
    shared.sh(f"rm -rf ~/{name}")


def test_there_and_back(shared, mine):
    name, here = mine
    odd = "-a b\n:é"
    (here / "d" / "e").mkdir(parents=True)
    (here / "d" / odd).write_text("text")
    (here / "d/e/run").touch(mode=0o751)
    (here / "d/l").symlink_to("e/run")
    os.truncate(here / "d/e/run", 1 << 32)
    os.utime(here / "d/e/run", (0, 1_234_567_890))
    copy(shared, here / "d", f":{name}")
    owner = f"cd ~/{name}/d && find . -printf '%u\\n' | sort -u"
    assert shared.sh(owner) == "agent"
    assert shared.sh(f"stat -c '%a %Y %s' ~/{name}/d/e/run") == f"751 1234567890 {1 << 32}"
    said = json.loads(copy(shared, "--json", f"{shared.box}:{name}/d", here / "back").stdout)
    assert (said["files"], said["left_out"]) == (3, [])
    back = here / "back"
    assert (back / odd).read_text() == "text"
    assert os.readlink(back / "l") == "e/run"
    run = (back / "e/run").stat()
    assert (run.st_mode & 0o7777, run.st_mtime, run.st_size) == (0o751, 1_234_567_890, 1 << 32)
    assert run.st_blocks < 100
    assert run.st_uid == os.getuid()
    # The path of a workspace is its box, too.
    copy(shared, f"{shared.path}:{name}/d/l", here / "l")
    assert (here / "l").stat().st_size == 1 << 32


def test_a_stopped_box_is_started(site, space):
    space.sh("echo text >~/f")
    site.cai("stop", space.path)
    copy(space, ":f", "f")
    assert space.sh("cat f") == "text"


def test_what_an_agent_makes_leads_nowhere(shared, mine):
    name, here = mine
    shared.sh(
        f"cd ~/{name} && mkdir d && cd d && ln -s / root && ln -s ../.. up && mkfifo pipe && "
        "echo x >f && ln f f2 && sudo mknod null c 1 3 || : && cp /bin/true s && "
        "sudo chown root s && sudo chmod 6755 s"
    )
    done = copy(shared, f":{name}/d", here / "d", check=False)
    assert done.returncode == 1
    left = {line.strip().split(":")[0] for line in done.stderr.decode().splitlines()[1:-1]}
    assert {"root", "up", "pipe"} <= left
    assert sorted(os.listdir(here / "d")) == ["f", "f2", "s"]
    seen = (here / "d/s").stat()
    assert (seen.st_mode & 0o7777, seen.st_uid) == (0o755, os.getuid())
    # A file without an end is no file.
    done = copy(shared, ":/dev/zero", here / "zero", check=False)
    assert (done.returncode, os.path.exists(here / "zero")) == (1, False)


def test_swapped_in_the_workspace_by_the_agent(shared, mine, tmp_path):
    name, _ = mine
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("SECRET")
    shared.sh(f"mkdir -p swap && echo public >swap/f && mkdir -p ~/{name}/d && touch ~/{name}/d/x")
    swap = os.path.join(shared.path, "swap")
    with swapping(Path(swap), outside):
        for _ in range(3):
            copy(shared, "swap", f":{name}/in", check=False)
            copy(shared, "swap/f", f":{name}/f", check=False)
            copy(shared, f":{name}/d", "swap", check=False)
    assert os.listdir(outside) == ["f"]
    assert "SECRET" not in shared.sh(f"cat ~/{name}/in/* ~/{name}/f 2>/dev/null || :")
    shared.sh("rm -rf swap")


@pytest.mark.parametrize("way", ["out", "in"])
def test_killed_in_the_middle_leaves_no_half_file(shared, mine, way):
    name, here = mine
    shared.sh(f"mkfifo ~/{name}/go")
    if way == "out":
        shared.sh(f"yes | head -c 400M >~/{name}/big")
        words, there = (f":{name}/big", here / "big"), (here / "big").exists
    else:
        (here / "big").write_bytes(os.urandom(1 << 20) * 400)
        words = (here / "big", f":{name}/big")

        def there():
            return shared.run("test", "-e", f"/home/agent/{name}/big", check=False).returncode == 0

    copying = shared.site.start("cp", *words, cwd=shared.path, stdin=subprocess.DEVNULL)
    try:
        box_runs = f"pgrep -f 'copy-{way}.sh|tar --(create|extract)' >/dev/null && echo yes || :"
        until(lambda: shared.sh(box_runs) == "yes")
    finally:
        copying.send_signal(signal.SIGKILL)
        copying.wait()
    assert not there()
    until(lambda: shared.sh("pgrep -x tar || :") == "")
    until(lambda: shared.sh(f"ls -A ~/{name} | grep '^.cai-' || :") == "")
    if way == "out":
        assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((":gone", "x"), errors.CopyError),
        ((":/etc/shadow", "x"), errors.CopyError),
        ((":/etc/hostname", "gone/x"), errors.CopyError),
        ((":/etc/hostname", "gone/"), errors.CopyError),
        (("gone", ":x"), errors.CopyError),
        (("/etc/hostname", ":/etc/x"), errors.CopyError),
        (("/etc/hostname", ":gone/x"), errors.CopyError),
        (("/etc/hostname", ":/proc/x"), errors.CopyError),
        (("/etc/hostname", ":"), errors.UsageError),
        ((":/etc/hostname",), errors.UsageError),
        ((":x", ":y"), errors.UsageError),
        (("nope:x", "y"), errors.BoxNotFoundError),
    ],
)
def test_what_cannot_be_copied(shared, tmp_path, words, error):
    before = set(os.listdir(shared.path))
    lines = refused(copy(shared, *words, check=False), error)
    assert len(lines) == 2 or error is errors.UsageError
    assert set(os.listdir(shared.path)) == before


def test_a_full_disk_of_a_box(shared, mine):
    _, here = mine
    shared.sh("sudo mkdir -p /mnt/small && sudo mount -t tmpfs -o size=1m,mode=777 none /mnt/small")
    try:
        (here / "big").write_bytes(bytes(4 << 20))
        done = copy(shared, here / "big", ":/mnt/small/", check=False)
        refused(done, errors.NoSpaceError)
        assert shared.sh("ls -A /mnt/small") == ""
    finally:
        shared.sh("sudo umount /mnt/small")
