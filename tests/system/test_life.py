"""Stop, start again, remove; setup again; lists."""

import json
import os
import shlex
import socket
import subprocess

import pytest

from containai.boxes.spec import DOCKER_IN_BOX, BoxSpec, create_arguments
from harness.site import tree

IMAGE = "tar -c -C /etc hostname | docker import - kept >/dev/null"


def test_a_dry_run_changes_nothing_and_prints_what_a_run_then_asks_for(site, space):
    def state():
        return site.container_names(), site.docker("volume", "ls", "-q"), tree(site.home)

    words = ("run", "--dry-run", "--json", *space.force, space.path, "--", "true")
    before = state()
    seen = json.loads(site.cai(*words).stdout)
    assert state() == before
    assert (seen["changed"], seen["box"], seen["status"]) == (False, space.box, None)
    # Done by hand, that makes the container that a run makes.
    subprocess.run(seen["create"], check=True, capture_output=True)
    by_hand = space.inspect()
    assert json.loads(site.cai(*words).stdout)["create"] == seen["create"]
    space.run("true")
    made = space.inspect()
    assert made["Id"] != by_hand["Id"]
    for part in ("Config", "HostConfig", "Name"):
        assert made[part] == by_hand[part]
    # The outline of the box, and then the one command that is left to do.
    plan = json.loads(site.cai(*words).stdout)["plan"]
    assert plan[0] == f"box          {space.box} (kept)"
    assert plan[-2:] == ["", "$ " + shlex.join(seen["session"])]


def test_stop_is_orderly_and_start_keeps_the_state(site, space):
    space.sh(f"set -e; echo mine >~/note; {IMAGE}; sudo sh -c 'echo root >/root/note'")
    before = space.inspect()
    numbers, key, port = space.id_range(), space.host_key(), space.port
    site.cai("stop", space.path)
    state = space.inspect()["State"]
    # systemd ended by itself; after a time-out it would be 137.
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    assert not os.path.exists(site.layout.control_socket(space.box))
    assert site.left_cgroups({before["Id"]}) == []
    assert space.sh("cat ~/note; sudo cat /root/note") == "mine\nroot"
    assert space.sh("docker images -q kept | wc -l") == "1"
    assert space.inspect()["Id"] == before["Id"]
    assert (space.id_range(), space.host_key(), space.port) == (numbers, key, port)
    assert space.sh("systemctl is-system-running --wait") == "running"


def test_a_stopped_box_whose_port_somebody_took(site, space):
    space.sh("echo mine >~/note")
    port = space.port
    site.cai("stop", space.path)
    with socket.create_server(("127.0.0.1", port)):
        done = space.run("true")
        lines = done.stderr.decode().splitlines()
        assert f"port {port} of {space.box} is taken: it gets {space.port}" in "\n".join(lines)
        assert space.port != port
        plain = ["ssh", "-F", site.layout.ssh_config, space.box, "cat ~/note"]
        assert subprocess.check_output(plain) == b"mine\n"


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_rm_leaves_nothing_but_the_workspace_and_its_data(site, space, running):
    layout = site.layout
    space.sh(f"touch kept; {IMAGE}")
    found = space.inspect()
    container = found["Id"]
    volumes = [each["Name"] for each in found["Mounts"] if each["Type"] == "volume"]
    assert volumes
    assert any(container in each for each in site.ranges())
    assert os.path.exists(layout.control_socket(space.box))
    if not running:
        site.cai("stop", space.path)
    site.cai("rm", space.path)
    assert space.box not in site.container_names()
    assert {*volumes} & {*site.docker("volume", "ls", "-q").split()} == {space.box}
    assert not os.path.exists(layout.ssh_block(space.box))
    with open(layout.known_hosts, encoding="utf-8") as file:
        assert space.box not in file.read()
    assert not os.path.exists(layout.control_socket(space.box))
    assert not any(container in each for each in site.ranges())
    assert site.left_cgroups({container}) == []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert container not in file.read()
    assert os.listdir(space.path) == ["kept"]
    assert site.cai("rm", space.path, check=False).returncode == 10


def test_a_box_of_an_earlier_version_takes_its_named_volume_along(site, shared, space):
    made = BoxSpec(
        name=space.box,
        workspace=space.path,
        image=shared.inspect()["Image"],
        ssh_port=site.ports[1],
        owner=os.getuid(),
    )
    volume = f"{space.box}-docker"
    named = f"type=volume,source={volume},target={DOCKER_IN_BOX}"
    words = create_arguments(made)
    site.docker(*(named if each.startswith("type=volume,") else each for each in words))
    rows = {row["name"]: row for row in json.loads(site.cai("ls", "--json").stdout)}
    assert rows[space.box]["status"] == "unfinished"
    assert volume in site.docker("volume", "ls", "-q").split()
    site.cai("rm", space.path)
    assert volume not in site.docker("volume", "ls", "-q").split()


def test_a_volume_whose_container_somebody_removed_goes_with_the_next_box(site, space):
    space.run("true")
    mounts = space.inspect()["Mounts"]
    (volume,) = (each["Name"] for each in mounts if each["Destination"] == DOCKER_IN_BOX)
    site.docker("rm", "--force", space.box)
    assert volume in site.docker("volume", "ls", "-q").split()
    space.run("true")
    assert volume not in site.docker("volume", "ls", "-q").split()


def test_no_id_range_left(site, shared, space):
    config = os.path.join(site.layout.runtime_dir, "runtime.json")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    first, count = shared.id_range()
    assert count == 262144
    site.prune()
    before = site.ranges()
    try:
        with open(config, "w", encoding="utf-8") as file:
            json.dump(json.loads(text) | {"id_base": first, "id_count": count}, file)
        done = space.run("true", check=False)
    finally:
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
    assert done.returncode == 17
    assert f"all 1 id ranges from {first} to {first + count - 1} are taken: remove a container" in (
        done.stderr.decode()
    )
    assert space.box not in site.container_names()
    assert site.ranges() == before
    space.run("true")


def test_ls_knows_every_box(site, shared):
    rows = {row["name"]: row for row in json.loads(site.cai("ls", "--json").stdout)}
    row = rows[shared.box]
    assert row["status"] == "running"
    assert row["workspace"] == shared.path
    assert row["ssh_port"] == shared.port
    assert row["problems"] in ([], ())
    assert shared.path in site.cai("ls").stdout.decode()


def test_ls_shows_a_box_whose_workspace_is_gone_and_rm_removes_it(site, make_space):
    space = make_space()
    space.run("true")
    os.rename(space.path, space.path + "-moved")
    os.rename(space.path + "-moved", os.path.join(site.root, "ws", "elsewhere"))
    done = site.cai("ls")
    os.rmdir(os.path.join(site.root, "ws", "elsewhere"))
    assert b"is gone" in done.stderr
    site.cai("rm", "--name", space.box)
    assert space.box not in site.container_names()


def test_a_second_setup_changes_nothing(site):
    done = site.cai("setup", "--yes")
    assert done.stdout == b"everything is set up; nothing was changed\n"
    assert done.stderr == b"cai: looking at this machine\n"
    assert site.cai("setup", "--dry-run").stdout == b"nothing to do\n"


def test_engine_status(site):
    assert site.cai("engine", "status").stdout.startswith(b"running ")


def test_a_box_that_dies_at_boot_says_why_and_nothing_else(site, space):
    harm = r'rm /usr/lib/systemd/system/*.target; printf "\033]0;x\007" >/dev/console'
    space.run("sudo", "sh", "-c", harm)
    site.docker("kill", space.box)
    done = space.run("true", check=False)
    assert done.returncode == 11
    assert b"rescue.target not found" in done.stderr
    assert b"\033" not in done.stderr
