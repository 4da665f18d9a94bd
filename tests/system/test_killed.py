"""Whatever is killed or deleted at whatever moment: the same command again gives a working box."""

import json
import os
import signal
import subprocess
import time

import pytest

from containai.host import files
from harness.waiting import until


def works(space):
    assert space.run("cat", "kept").stdout == b"kept\n"
    assert space.sh("systemctl is-system-running --wait; docker info -f '{{.Driver}}'") == (
        "running\noverlay2"
    )


def wait_until_cut_off(space):
    """Wait for the end of ssh's control connection.

    A command that enters the box in that moment ends with ssh's own 255: nobody can know how far
    it came.
    """
    socket = space.site.layout.control_socket(space.box)
    until(lambda: not os.path.exists(socket))


def kill_the_engine(site):
    pid = int(files.read(site.layout.engine_pidfile) or "")
    os.kill(pid, signal.SIGKILL)
    # Until then it could still write; where nobody reaps it, no more than its name is left.
    until(lambda: not files.read(f"/proc/{pid}/cmdline"))


def _with_kept(space):
    with open(os.path.join(space.path, "kept"), "w", encoding="utf-8") as file:
        file.write("kept\n")
    return space


@pytest.fixture
def space(make_space):
    return _with_kept(make_space())


@pytest.mark.parametrize("after", [0.1, 0.3, 0.5, 0.8, 1.2])
def test_cai_killed_while_it_makes_a_box(site, space, after):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    run = site.start("run", space.path, "--", "sleep", "600", stderr=subprocess.PIPE, **quiet)
    time.sleep(after)
    run.kill()
    run.wait()
    works(space)


def test_cai_killed_while_it_starts_a_box_again(site, space):
    space.run("true")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    for after in (0.3, 0.6):
        site.cai("stop", space.path)
        run = site.start("run", space.path, "--", "true", stderr=subprocess.DEVNULL, **quiet)
        time.sleep(after)
        run.kill()
        run.wait()
        works(space)


def test_cai_killed_and_the_box_removed_at_once(site, space):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    run = site.start("run", space.path, "--", "true", stderr=subprocess.DEVNULL, **quiet)
    time.sleep(0.5)
    run.kill()
    run.wait()
    assert site.cai("rm", space.path, check=False).returncode in (0, 10)
    works(space)


def test_the_engine_killed(site, space):
    space.sh("echo mine >~/note")
    kill_the_engine(site)
    # docker-proxy, which it goes through, dies with dockerd.
    wait_until_cut_off(space)
    works(space)
    space.close_connection()
    works(space)
    assert space.sh("cat ~/note") == "mine"
    site.cai("stop", space.path)
    works(space)


def test_a_running_box_that_a_killed_engine_takes_for_stopped(site, space):
    space.sh("echo mine >~/note")
    container = space.inspect()["Id"]
    kill_the_engine(site)
    path = f"{site.layout.engine_data}/containers/{container}/config.v2.json"
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["State"] |= {"Running": False, "Pid": 0, "FinishedAt": config["State"]["StartedAt"]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    space.close_connection()
    works(space)
    assert space.sh("cat ~/note") == "mine"


def test_the_engine_killed_while_a_box_is_made(site, space):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    run = site.start("run", space.path, "--", "true", stderr=subprocess.DEVNULL, **quiet)
    time.sleep(0.7)
    os.kill(int(files.read(site.layout.engine_pidfile) or ""), signal.SIGKILL)
    run.wait()
    works(space)


def test_runs_started_together_start_one_engine(site, make_space):
    spaces = [make_space(f"w{number}") for number in range(3)]
    site.cai("engine", "stop")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    runs = [site.start("run", each.path, "--", "hostname", **pipes) for each in spaces]
    outcomes = [(*run.communicate(), run.returncode) for run in runs]
    assert [outcome for outcome in outcomes if outcome[2] != 0] == []


def test_the_engine_stopped(site, space):
    space.run("true")
    site.cai("engine", "stop")
    assert site.cai("engine", "status", check=False).returncode == 3
    works(space)


def test_the_boxs_init_killed(site, space):
    space.sh("echo mine >~/note")
    os.kill(space.inspect()["State"]["Pid"], signal.SIGKILL)
    # It ends when the kernel has torn the box's network down.
    wait_until_cut_off(space)
    works(space)
    assert space.sh("cat ~/note") == "mine"


def test_the_container_removed_behind_our_back(site, space):
    space.run("true")
    space.inspect()
    site.docker("rm", "--force", space.box)
    works(space)


def test_the_container_paused_behind_our_back(site, space):
    space.run("true")
    space.close_connection()
    site.docker("pause", space.box)
    works(space)


@pytest.fixture(scope="module")
def lasting(make_lasting):
    return _with_kept(make_lasting("lasting"))


@pytest.mark.parametrize("what", ["known_hosts", "block", "blocks", "control", "config"])
def test_a_file_of_ssh_deleted(site, lasting, what):
    layout, space = site.layout, lasting
    space.run("true")
    if what != "control":
        space.close_connection()
    match what:
        case "known_hosts":
            os.unlink(layout.known_hosts)
        case "block":
            os.unlink(layout.ssh_block(space.box))
        case "control":
            os.unlink(layout.control_socket(space.box))
        case "config":
            os.unlink(layout.ssh_config)
        case "blocks":
            os.unlink(layout.ssh_block(space.box))
            os.rename(layout.ssh_blocks, layout.ssh_blocks + "-away")
    try:
        works(space)
    finally:
        if what == "blocks":
            for name in os.listdir(layout.ssh_blocks + "-away"):
                os.rename(f"{layout.ssh_blocks}-away/{name}", f"{layout.ssh_blocks}/{name}")
            os.rmdir(layout.ssh_blocks + "-away")
    space.close_connection()
    works(space)


def _half_remove_bundle(site, container):
    """Leave what a containerd leaves that is killed while it removes a container's directory."""
    bundles = site.layout.engine_bundles
    os.makedirs(f"{bundles}/.{container}/work")
    return bundles


def test_containerd_killed_while_it_removes_a_bundle(site, space):
    space.run("true")
    container = space.inspect()["Id"]
    bundles = _half_remove_bundle(site, container)
    site.cai("stop", space.path)
    assert os.listdir(f"{bundles}/{container}")  # containerd could not remove it
    works(space)
    assert not os.path.exists(f"{bundles}/.{container}")
    # A box that comes back by itself, with the engine, has nobody to help it.
    _half_remove_bundle(site, container)
    site.cai("engine", "stop")
    site.cai("engine", "start")
    assert not os.path.exists(f"{bundles}/.{container}")
    works(space)
