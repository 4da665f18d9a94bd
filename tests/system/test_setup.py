"""Setup and its way back, on a ContainAI of this test's own."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from containai import errors
from containai.host.files import read
from containai.provision.steps.kernel_limits import TABLE
from harness.site import Site, make_root, refused, text, tree

SSH_CONFIG = "Host elsewhere\n    User me\n"


def kernel_limits():
    """Return what the running kernel has of the limits that setup raises."""
    paths = {each.name: "/proc/sys/" + each.name.replace(".", "/") for each in TABLE}
    return {name: int(read(path) or "0") for name, path in paths.items() if os.path.exists(path)}


@pytest.fixture(scope="module")
def archive(site, tmp_path_factory):
    """The image of boxes, as `docker save` writes it."""
    path = str(tmp_path_factory.mktemp("archive") / "base.tar")
    recipes = site.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    site.docker("save", "--output", path, *[each for each in recipes if "/base:recipe-" in each])
    yield path
    os.unlink(path)


@pytest.fixture
def fresh():
    """A machine and a home where ContainAI never was, and somebody has an ssh configuration."""
    root = make_root()
    site = Site(root)
    os.makedirs(f"{site.home}/.ssh", mode=0o700)
    with open(f"{site.home}/.ssh/config", "w", encoding="utf-8") as file:
        file.write(SSH_CONFIG)
    os.chmod(f"{site.home}/.ssh/config", 0o644)
    for path in ("etc", "usr/local/lib", "var/lib", "var/log", "var/run"):
        os.makedirs(f"{root}/{path}")
    yield site
    if os.path.exists(site.layout.engine_config):
        site.cai("uninstall", "--yes", "--purge", "--containers", check=False)
    assert site.leftovers() == []
    shutil.rmtree(root)


def test_there_and_back_again(fresh, archive):
    site, setup = fresh, ("setup", "--yes", "--image-archive", archive)
    before, kernel = tree(site.root), kernel_limits()
    dry = site.cai("setup", "--dry-run", "--image-archive", archive).stdout.decode()
    assert f"# write {site.layout.engine_config} (mode 644" in dry
    assert '    "live-restore": true,' in dry
    assert f"load image base from {archive}" in dry
    workspace = f"{site.root}/ws"
    # Nobody is asked without a terminal; what would be done is shown, and not done.
    for words in (("setup", "--image-archive", archive), ("run", workspace), ("shell", workspace)):
        refused = site.cai(*words, check=False)
        assert refused.returncode == 16, words
        assert "missing  runtime cai-runc: " in text(refused)
        assert "What will be done (# as root):" in text(refused)
    assert tree(site.root).keys() - before.keys() <= {"home/.local", "home/.local/state"}

    # Nothing of the environment leads to another Docker.
    elsewhere = {"DOCKER_HOST": "unix:///none", "DOCKER_CONTEXT": "none", "DOCKER_CONFIG": "/none"}
    done = site.cai(*setup, env=elsewhere)
    assert done.stdout.decode().endswith("set up\n")
    assert "wrong" not in done.stdout.decode()
    # What is too small here is raised at boot; for a root of its own, nothing of what runs is.
    small = {each.name for each in TABLE if each.name in kernel and kernel[each.name] < each.least}
    written = tree(site.root).get("etc/sysctl.d/00-containai.conf", ("", b""))[1].decode()
    assert {line.split(" = ")[0] for line in written.splitlines() if " = " in line} == small
    assert kernel_limits() == kernel
    assert site.cai(*setup).stdout == b"everything is set up; nothing was changed\n"
    assert site.cai("setup", "--dry-run").stdout == b"nothing to do\n"
    checks = json.loads(site.cai("doctor", "--json", env=elsewhere).stdout)["checks"]
    assert {each["step"] for each in checks} >= {"system", "network", "engine", "Docker context"}

    site.cai("run", workspace, "--", "touch", "made")
    refused = site.cai("uninstall", "--yes", "--purge", check=False)
    assert (refused.returncode, "are running" in text(refused)) == (1, True)
    site.cai("stop", workspace)
    site.cai("uninstall", "--yes")
    assert site.leftovers() == []
    with open(f"{site.home}/.ssh/config", encoding="utf-8") as file:
        assert file.read() == SSH_CONFIG
    assert site.cai("doctor", check=False).returncode == 1

    # Box, image and key are still there.
    site.cai("setup", "--yes")
    assert site.cai("run", workspace, "--", "ls").stdout == b"made\n"
    site.cai("uninstall", "--yes", "--containers", "--volumes", "--images")
    data = site.layout.engine_data
    assert os.listdir(f"{data}/containers") == []
    assert set(os.listdir(f"{data}/volumes")) <= {"metadata.db", "backingFsBlockDev"}
    assert os.listdir(f"{data}/image/overlay2/imagedb/content/sha256") == []
    assert os.path.exists(site.layout.ssh_key)
    site.cai("uninstall", "--yes", "--purge")
    os.unlink(f"{workspace}/made")
    assert tree(site.root) == before
    assert site.cai("uninstall", "--yes", "--purge").stdout.startswith(b"nothing of ContainAI")


def test_killed_setup_goes_on(fresh, archive):
    site, setup = fresh, ("setup", "--yes", "--image-archive", archive)
    for sign in (site.layout.runtime_program, site.layout.engine_config, site.layout.engine_socket):
        null = subprocess.DEVNULL
        running = site.start(*setup, stdin=null, stdout=null, stderr=null, start_new_session=True)
        while not os.path.exists(sign):
            assert running.poll() is None
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    site.cai(*(each for each in setup if each != "--yes"), env={"CAI_YES": "1"})
    assert site.cai("run", f"{site.root}/ws", "--", "true").returncode == 0


def test_doctor_mends(site, shared):
    block = site.layout.ssh_block("gone")
    shutil.copy(site.layout.ssh_block(shared.box), block)
    with open(site.layout.known_hosts, "a", encoding="utf-8") as file:
        file.write("containai-gone-too ssh-ed25519 AAAA\n")
    os.chmod(site.layout.ssh_key, 0o644)
    with open(site.layout.network_program, "a", encoding="utf-8") as file:
        file.write("# changed\n")
    subprocess.run(["iptables", "-w", "-D", "FORWARD", "-j", site.layout.bridge], check=True)

    def wrong():
        found = json.loads(site.cai("doctor", "--json", check=False).stdout)["checks"]
        return {each["step"]: each["seen"] for each in found if each["state"] == "wrong"}

    seen = wrong()
    assert seen["ssh entries"] == "of boxes that are gone: gone, gone-too"
    assert "open to others" in seen["ssh"]
    assert "FORWARD" in seen["network"]
    assert seen.keys() >= {"engine configuration"}
    site.cai("doctor", "--fix", "--yes", check=False)
    assert not wrong().keys() & seen.keys()
    assert os.path.exists(site.layout.ssh_block(shared.box))
    assert not os.path.exists(block)
    shared.run("true")


def test_nothing_is_stale_while_the_engine_is_silent(site, shared):
    """What cannot be verified is not taken for gone."""
    site.cai("engine", "stop")
    done = site.cai("doctor", check=False)
    assert "unknown  ssh entries: the engine does not answer" in done.stdout.decode()
    refused(site.cai("ssh", "cleanup", check=False), errors.EngineError)
    (listed,) = [
        each
        for each in json.loads(site.cai("ssh", "list", "--json").stdout)
        if each["name"] == shared.box
    ]
    assert listed["state"] == "unknown"
    assert os.path.exists(site.layout.ssh_block(shared.box))
    site.cai("doctor", "--fix")
    assert os.path.exists(site.layout.ssh_block(shared.box))
    shared.run("true")


@pytest.mark.parametrize(
    ("variable", "value", "code", "said"),
    [
        ("CONTAINAI_ENGINE_PROVIDER", "snap", 2, "expected auto, docker-ce or distro"),
        ("CONTAINAI_SSH_PORT_RANGE", "80-90", 2, "both from 1024"),
    ],
)
def test_wrong_settings(fresh, variable, value, code, said):
    before = tree(fresh.root)
    done = fresh.cai("setup", "--yes", check=False, env={variable: value})
    assert (done.returncode, said in text(done)) == (code, True)
    assert tree(fresh.root) == before


def test_no_port_is_free(fresh):
    import socket

    before = tree(fresh.root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", fresh.ports[0]))
        taken.listen()
        only = {"CONTAINAI_SSH_PORT_RANGE": f"{fresh.ports[0]}-{fresh.ports[0]}"}
        done = fresh.cai("setup", "--yes", check=False, env=only)
    assert (done.returncode, "no free SSH port" in text(done)) == (21, True)
    assert tree(fresh.root) == before
