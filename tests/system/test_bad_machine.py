"""A machine that is not as it should be: a clear error, its code, and nothing changed."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

import containai
from containai import errors
from containai.host import files
from harness.site import Site, make_root, refused, text, tree

SYSTEM_PYTHON = "/usr/bin/python3"
#: Somebody without any right on this machine.
NOBODY = "64999"


@pytest.fixture
def bare(site: Site) -> Iterator[Site]:
    """A root on which nothing was set up yet; whatever is mounted below it goes at the end."""
    made = Site(make_root(site.root))
    yield made
    made.cai("engine", "stop", check=False)
    for path in (made.layout.engine_data, made.home):
        subprocess.run(["umount", path], capture_output=True, check=False)
    left = made.leftovers()
    shutil.rmtree(made.root)
    assert left == []


def tiny(path: str, size: str) -> None:
    """Make a file system at `path` that has hardly any room."""
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tiny", path], check=True)


def fill(path: str) -> None:
    """Write a file until its file system is full."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with contextlib.suppress(OSError):
            while os.write(fd, b"x" * 4096):
                pass
    finally:
        os.close(fd)


@pytest.mark.parametrize("words", [("run", "--yes"), ("setup", "--yes"), ("shell", "--yes")])
def test_a_kernel_that_is_too_old(bare, space, words):
    # The kernel itself tells its children that it is 2.6 (personality(2), UNAME26).
    argv = ["setarch", "--uname-2.6", sys.executable, "-m", "containai", *words]
    argv += [] if words[0] == "setup" else [space.path]
    done = subprocess.run(argv, env=bare.environment, capture_output=True, check=False)
    lines = refused(done, errors.UnsupportedError)
    assert "kernel 2.6 is too old" in lines[-2]
    assert not os.path.exists(bare.layout.engine_config)
    assert not os.path.exists(bare.layout.runtime_dir)


def disguised(site: Site, script: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run cai on this machine as if it were another: a script mounts over it, for cai alone."""
    argv = ["unshare", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh"]
    argv += [sys.executable, "-m", "containai", *words]
    return subprocess.run(argv, env=site.environment, capture_output=True, check=False)


ENFORCING = "mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce"
#: A distribution without apt, and without Docker.
OF_OTHERS = 'for each in apt-get dockerd; do mount --bind /dev/null "$(command -v $each)"; done'


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (ENFORCING, "SELinux is enforcing"),
        (OF_OTHERS, "dockerd: missing, and this system's packages are not Debian's"),
    ],
    ids=["SELinux", "distribution"],
)
def test_another_machine(bare, script, said):
    before = tree(bare.root)
    for words in (("setup", "--yes"), ("setup", "--dry-run"), ("run", "--yes", bare.root)):
        lines = refused(disguised(bare, script, *words), errors.UnsupportedError)
        assert said in lines[-2], words
    assert tree(bare.root) == before


def test_wsl_without_systemd_is_told_how_the_engine_runs(bare):
    version = os.path.join(bare.root, "version")
    with open(version, "w", encoding="utf-8") as file:
        file.write("Linux version 6.6.87.2-microsoft-standard-WSL2\n")
    # With systemd there is a directory in /run.
    script = f"mount --bind {version} /proc/version; mount -t tmpfs none /run"
    rows = json.loads(disguised(bare, script, "doctor", "--json").stdout)["checks"]
    [system] = [row for row in rows if row["step"] == "system"]
    assert system["ok"]
    assert system["seen"].endswith("in WSL, no systemd: the engine is a background process")


def test_no_room_for_the_image(bare, space):
    tiny(bare.layout.engine_data, "300m")
    done = bare.cai("run", "--yes", space.path, "--", "true", check=False)
    lines = refused(done, errors.NoSpaceError)
    assert bare.layout.engine_data in lines[-2]
    assert "MiB" in lines[-2]
    assert not os.path.exists(bare.layout.engine_config)
    assert not os.path.exists(bare.layout.runtime_dir)


def test_no_room_in_the_home(site, bare, space):
    tiny(bare.home, "64k")
    filler = os.path.join(bare.home, "filler")
    fill(filler)
    done = site.cai("run", space.path, "--", "true", env={"HOME": bare.home}, check=False)
    lines = refused(done, errors.NoSpaceError)
    assert bare.home in lines[-2]
    assert space.box not in site.container_names()
    os.unlink(filler)
    done = site.cai("run", space.path, "--", "echo", "works", env={"HOME": bare.home})
    assert done.stdout == b"works\n"
    site.cai("rm", space.path, env={"HOME": bare.home})


def test_another_dockerd_on_our_socket(site, bare, space):
    # A second ContainAI whose socket leads to an engine that is not its own.
    site.cai("engine", "start")
    for path in (bare.layout.engine_config, bare.layout.engine_socket):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(site.layout.engine_config, bare.layout.engine_config)
    os.symlink(site.layout.engine_socket, bare.layout.engine_socket)
    before = site.container_names()
    for words in (("run", space.path, "--", "true"), ("ls",), ("engine", "start")):
        lines = refused(bare.cai(*words, check=False), errors.EngineError)
        assert site.layout.engine_data in lines[-2], words
    os.unlink(bare.layout.engine_socket)
    assert site.container_names() == before


def test_no_root_and_no_sudo(site, bare):
    # As somebody who can read no checkout of root's: on the system's Python, from a copy.
    package = os.path.join(bare.root, "lib", "containai")
    shutil.copytree(os.path.dirname(containai.__file__), package)
    workspace = os.path.join(bare.home, "project")
    os.mkdir(workspace)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", bare.home], check=True)
    cai = [SYSTEM_PYTHON, "-m", "containai", "run", "--yes", workspace, "--", "true"]
    without_rights = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *cai]
    # Where sudo is installed, it is hidden from this one process.
    hide = 'sudo=$(command -v sudo) && mount --bind /dev/null "$sudo"; exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", hide, "sh", *without_rights]
    for root in (site.root, bare.root):
        environment = bare.environment | {
            "CONTAINAI_ROOT": root,
            "PYTHONPATH": os.path.dirname(package),
            "XDG_RUNTIME_DIR": "",
        }
        done = subprocess.run(argv, env=environment, capture_output=True, check=False, cwd="/")
        lines = refused(done, errors.PrivilegeError)
        assert "root is needed" in lines[-2], text(done)
        assert "sudo" in lines[-1]
    assert not os.path.exists(bare.layout.engine_config)


def test_the_subnet_taken_while_the_engine_was_down(site, space):
    site.cai("engine", "stop")
    subnet = json.loads(files.read(site.layout.engine_config) or "")["fixed-cidr"]
    subprocess.run(["ip", "link", "add", "caitaken", "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "link", "set", "caitaken", "up"], check=True)
        subprocess.run(["ip", "route", "add", subnet, "dev", "caitaken"], check=True)
        lines = refused(site.cai("engine", "start", check=False), errors.EngineError)
        assert "caitaken" in lines[-2]
        site.cai("setup", "--yes")
        assert space.run("echo", "works").stdout == b"works\n"
    finally:
        subprocess.run(["ip", "link", "delete", "caitaken"], check=True)
