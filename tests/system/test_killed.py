"""Whatever is killed or deleted at whatever moment: the same command again gives a working box.

A kill waits until a `cai run` has come so far, and a little longer, by a seed that is printed and
that CONTAINAI_KILLED_SEED repeats. What it was to hit is looked at before it is killed.
"""

import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from containai.engine import daemon, published
from containai.errors import EngineError
from containai.host import files, processes
from containai.host.machine import Machine
from harness.waiting import until

SEED = int(os.environ.get("CONTAINAI_KILLED_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
#: By the end of it no cai is done, from no stage on, in seconds.
A_LITTLE = 0.1
#: How often it is tried to kill a cai before it is done: a busy machine wakes us late.
ATTEMPTS = 5


def works(space):
    assert space.run("cat", "kept").stdout == b"kept\n"
    assert space.sh("systemctl is-system-running --wait; docker info -f '{{.Driver}}'") == (
        "running\noverlay2"
    )


def stages(site):
    """Return how far a `cai run` comes, and where something appears by which one knows."""
    layout = site.layout
    return {
        "container": f"{layout.engine_data}/containers",
        "block": layout.ssh_blocks,
        "bundle": layout.engine_bundles,
        "runc": f"{layout.engine_exec}/runtime-runc/moby",
    }


def there(directory):
    return set(os.listdir(directory)) if os.path.isdir(directory) else set()


def run_until(site, space, stage):
    """Start a `cai run`; return it a little after it has come so far."""
    chance = random.Random(f"{SEED} {stage}").random() * A_LITTLE
    print(f"CONTAINAI_KILLED_SEED={SEED}: {stage} and {chance:.3f} s")
    directory = stages(site).get(stage, "")
    before = there(directory)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    run = site.start("run", space.path, "--", "sleep", "600", stderr=subprocess.PIPE, **quiet)
    deadline = time.monotonic() + 60
    while directory and there(directory) <= before:
        assert run.poll() is None, run.stderr.read()
        assert time.monotonic() < deadline, f"{stage} is never there"
    time.sleep(chance)
    return run


def kill_before_it_is_done(run):
    """Kill a cai; return whether it still was one: at its end it becomes ssh."""
    os.kill(run.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    program = files.read(f"/proc/{run.pid}/comm") or ""
    ended = run.poll() is not None
    run.kill()
    run.wait()
    run.stderr.close()
    return not ended and program.startswith("python")


def kill_cai(site, space, stage, undo):
    """Kill a `cai run` of the space's at a stage; one that was quicker is undone first."""
    for _ in range(ATTEMPTS):
        if kill_before_it_is_done(run_until(site, space, stage)):
            return
        site.cai(undo, space.path)
    pytest.fail(f"{ATTEMPTS} times cai was done before it was killed")


def wait_until_cut_off(space):
    """Wait for the end of ssh's control connection.

    A command that enters the box in that moment ends with ssh's own 255: nobody can know how far
    it came.
    """
    socket = space.site.layout.control_socket(space.box)
    until(lambda: not os.path.exists(socket))


def kill_the_engine(site):
    pid = daemon.running_pid(site.layout)
    assert pid
    os.kill(pid, signal.SIGKILL)
    # Until then it could still write; where nobody reaps it, no more than its name is left.
    until(lambda: not files.read(f"/proc/{pid}/cmdline"))
    return pid


def _with_kept(space):
    with open(os.path.join(space.path, "kept"), "w", encoding="utf-8") as file:
        file.write("kept\n")
    return space


@pytest.fixture
def space(make_space):
    return _with_kept(make_space())


@pytest.mark.parametrize("stage", ["begun", "container", "block", "bundle", "runc"])
def test_cai_killed_while_it_makes_a_box(site, space, stage):
    kill_cai(site, space, stage, "rm")
    if stage != "begun":
        assert space.box in site.container_names()
    works(space)


@pytest.mark.parametrize("stage", ["bundle", "runc"])
def test_cai_killed_while_it_starts_a_box_again(site, space, stage):
    space.sh("echo mine >~/note")
    container = space.inspect()["Id"]
    site.cai("stop", space.path)
    kill_cai(site, space, stage, "stop")
    works(space)
    assert space.inspect()["Id"] == container
    assert space.sh("cat ~/note") == "mine"


def test_cai_killed_and_the_box_removed_at_once(site, space):
    kill_cai(site, space, "bundle", "rm")
    site.cai("rm", space.path)
    assert space.box not in site.container_names()
    assert not os.path.exists(site.layout.ssh_block(space.box))
    works(space)


def test_the_engine_killed(site, space):
    space.sh("echo mine >~/note")
    container = space.inspect()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with site.start("run", space.path, "--", "sed", "--unbuffered", "p", **pipes) as session:
        killed = kill_the_engine(site)
        # What leads to a box is no child of dockerd's.
        session.stdin.write(b"still\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"still\n"
        works(space)
        assert daemon.running_pid(site.layout) is None
        session.stdin.close()
        assert (session.stdout.read(), session.wait()) == (b"still\n", 0)
    space.close_connection()
    works(space)
    assert daemon.running_pid(site.layout) not in (None, killed)
    assert space.sh("cat ~/note") == "mine"
    # It has lived on.
    assert space.inspect()["State"]["Pid"] == container["State"]["Pid"]
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
    site.cai("engine", "start")
    assert not space.inspect()["State"]["Running"]
    works(space)
    assert space.sh("cat ~/note") == "mine"


@pytest.mark.parametrize("stage", ["container", "bundle", "runc"])
def test_the_engine_killed_while_a_box_is_made(site, space, stage):
    run = run_until(site, space, stage)
    kill_the_engine(site)
    said = run.communicate()[1]
    assert run.returncode == EngineError.exit_code, said
    works(space)


def proxies(site):
    """Return the processes that listen on ports for a running engine's containers."""
    dockerd = daemon.running_pid(site.layout)
    every = published.every(site.layout)
    return [each for each in every if processes.parent(each) == dockerd]


def kill_the_engine_when_it_listens(site, space):
    """Kill dockerd when it has given a starting box its port, and not yet noted whose that is."""
    site.cai("stop", space.path)
    others = set(proxies(site))
    run = site.start("run", space.path, "--", "true", stdin=subprocess.DEVNULL)
    until(lambda: set(proxies(site)) - others)
    kill_the_engine(site)
    assert run.wait() == EngineError.exit_code


def test_the_engine_killed_when_it_has_given_a_box_its_port(site, space):
    space.sh("echo mine >~/note")
    kill_the_engine_when_it_listens(site, space)
    works(space)
    assert space.sh("cat ~/note") == "mine"
    assert len(proxies(site)) == len(site.docker("ps", "--quiet").split())


def test_an_engine_that_keeps_a_boxs_port_is_exchanged(site, space, make_space):
    # Of boxes that other tests share.
    there = len(proxies(site))
    other = _with_kept(make_space("other"))
    works(other)
    before = other.inspect()["State"]
    space.run("true")
    said = b""
    for _ in range(ATTEMPTS):
        kill_the_engine_when_it_listens(site, space)
        # As a unit that starts again by itself: nobody looks at what it keeps.
        daemon._start(Machine(site.layout))
        assert len(proxies(site)) - there in (1, 2)
        said = space.run("true").stderr
        # A kill that came a moment late finds it noted whose the port is, one that came a moment
        # early finds nothing noted, and nothing is kept.
        if b"exchanged the engine" in said:
            break
    assert b"exchanged the engine" in said
    works(space)
    works(other)
    after = other.inspect()["State"]
    assert (after["Pid"], after["StartedAt"]) == (before["Pid"], before["StartedAt"])
    assert len(proxies(site)) == there + 2


def test_a_stopped_box_whose_port_was_taken_gets_another(site, space, shared):
    space.sh("echo mine >~/note")
    before, others = shared.inspect()["State"], shared.port
    site.cai("stop", space.path)
    port = space.port
    with socket.create_server(("127.0.0.1", port)):
        said = space.run("true").stderr
        assert f"port {port} of {space.box} is taken".encode() in said
        works(space)
        assert space.sh("cat ~/note") == "mine"
        assert space.port not in (port, others)
        block = files.read(site.layout.ssh_block(space.box)) or ""
        assert f"    Port {space.port}\n" in block
        space.close_connection()
        assert subprocess.run(ssh(site, space, "true"), check=False).returncode == 0
    # The engine was exchanged for that: the others live on.
    assert shared.inspect()["State"]["StartedAt"] == before["StartedAt"]
    assert not os.path.exists(site.layout.engine_moved)
    site.cai("stop", space.path)
    works(space)


def ssh(site, space, command):
    return ["ssh", "-F", site.layout.ssh_config, "-o", "BatchMode=yes", space.box, command]


def add_links(name, peer, bridge=None):
    """Make a pair of links as dockerd does, which then gives the second to a container."""
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", peer], check=True)
    if bridge:
        subprocess.run(["ip", "link", "set", name, "master", bridge, "up"], check=True)


def test_the_engine_killed_before_a_link_is_its_containers(site, space):
    space.run("true")
    subprocess.run(["ip", "link", "add", "caitheirs", "type", "bridge"], check=True)
    try:
        add_links("vethc0ffee0", "vethc0ffee1", site.layout.bridge)
        add_links("vethc0ffee2", "vethc0ffee3")
        # Another Docker's, which is slow.
        add_links("vethc0ffee4", "vethc0ffee5", "caitheirs")
        kill_the_engine(site)
        site.cai("engine", "start")
        left = {each for each in os.listdir("/sys/class/net") if each.startswith("vethc0ffee")}
        assert left == {"vethc0ffee4", "vethc0ffee5"}
    finally:
        for name in ("vethc0ffee4", "caitheirs"):
            subprocess.run(["ip", "link", "delete", name], check=True)
    works(space)


def test_runs_started_together_start_one_engine(site, make_space):
    spaces = [make_space(f"w{number}") for number in range(3)]
    site.cai("engine", "stop")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    runs = [site.start("run", each.path, "--", "hostname", **pipes) for each in spaces]
    outcomes = [(*run.communicate(), run.returncode) for run in runs]
    assert [outcome for outcome in outcomes if outcome[2] != 0] == []
    config = site.layout.engine_running_config
    assert len([each for each in processes.find("dockerd") if config in each.words]) == 1


def test_the_engine_stopped(site, space):
    space.run("true")
    site.cai("engine", "stop")
    assert site.cai("engine", "status", check=False).returncode == 3
    works(space)


def test_the_boxs_init_killed(site, space):
    space.sh("echo mine >~/note")
    before = space.inspect()["State"]
    os.kill(before["Pid"], signal.SIGKILL)
    # It ends when the kernel has torn the box's network down.
    wait_until_cut_off(space)
    works(space)
    assert space.inspect()["State"]["StartedAt"] > before["StartedAt"]
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
