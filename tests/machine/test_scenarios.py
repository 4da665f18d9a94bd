"""What people's servers do: set up, reboot, lose power, fill up, lose the network, be upgraded."""

import json
import os
import random
import re
import shlex
import time
from pathlib import Path

import pytest

from harness import cgroups, counted
from harness.site import IMAGE

from . import manifest
from .machine import Machine
from .product import CAI, HOME, IN_BOX, PROJECT, SETUP, SLOW, SOCKET, Product

SEED = int(os.environ.get("CONTAINAI_POWER_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]


def _fill(machine: Machine, *, leave: int) -> None:
    """Let the file /full take the disk but for `leave` MiB."""
    machine.run(f"fallocate -l $(($(stat -f -c '%f * %S' /) - ({leave} << 20))) /full")


def test_disk_too_full_for_setup(installed: Product) -> None:
    machine = installed.machine
    _fill(machine, leave=40)
    failed = installed.cai(*SETUP, check=False)
    assert failed.returncode == 20, failed.stderr
    machine.run("rm /full; ! command -v dockerd; test ! -e /usr/sbin/policy-rc.d")


def test_no_network(installed: Product) -> None:
    # All but the harness's own connection.
    rules = ("ip daddr 10.0.2.2 tcp sport 22 accept", "oif lo accept", "drop")
    installed.machine.run(
        "nft 'add table ip cut; add chain ip cut out { type filter hook output priority 0; }; "
        + "; ".join(f"add rule ip cut out {rule}" for rule in rules)
        + "'"
    )
    failed = installed.cai(*SETUP, check=False)
    assert failed.returncode == 1, failed.stderr
    assert "The package lists could not be fetched" in failed.stderr
    installed.machine.run("! command -v dockerd; test ! -e /usr/sbin/policy-rc.d")


def test_setup_makes_what_is_promised_and_nothing_else(set_up: Product) -> None:
    machine = set_up.machine
    units = ["containai-docker.service", "docker.service", "docker.socket", "containerd.service"]
    active = machine.run(["systemctl", "is-active", *units], check=False).stdout.split()
    assert active == ["active", "inactive", "inactive", "inactive"]
    enabled = machine.run(["systemctl", "is-enabled", *units], check=False).stdout.split()
    assert enabled == ["enabled", "disabled", "disabled", "disabled"]
    assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
    config = json.loads(machine.run(["cat", "/etc/containai/docker/daemon.json"]).stdout)
    assert config["hosts"] == [f"unix://{SOCKET}"]
    assert config["data-root"] == "/var/lib/containai-docker"
    assert set_up.docker("info", "--format", "{{.DefaultRuntime}}") == config["default-runtime"]
    machine.run("test ! -e /etc/docker/daemon.json; test ! -e /var/lib/docker/image")
    assert machine.run(["stat", "-c%G %a", SOCKET]).stdout == "containai 660\n"
    context = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    found = machine.run([*context, "docker-containai"], user="admin").stdout
    assert found == f"unix://{SOCKET}\n"
    again = set_up.cai("setup")  # nobody could be asked: there is no terminal
    assert again.stdout == "everything is set up; nothing was changed\n"
    assert set_up.cai("setup", "--dry-run").stdout == "nothing to do\n"
    assert "kernel limits: high enough for many boxes" in set_up.cai("doctor").stdout
    machine.run(["systemd-analyze", "verify", "containai-docker.service"])


def test_box_on_pure_cgroup_v2(running: Product) -> None:
    seen = running.sh(
        "tr '\\0' ' ' </proc/1/cmdline; echo; systemctl is-system-running --wait; "
        "systemctl is-active ssh docker; sudo id -u; cat /proc/1/attr/current; "
        "stat -fc %T /sys/fs/cgroup; docker info --format '{{.Driver}} {{.CgroupVersion}}'"
    )
    assert seen.splitlines() == [
        "/sbin/init --log-level=err ", "running", "active", "active", "0", "unconfined",
        "cgroup2fs", "overlay2 2",
    ]  # fmt: skip
    assert running.sh(f"sudo sh -c {shlex.quote(cgroups.BOUNDED)}") == "bounded"
    running.sh("echo x >new; sudo sh -c 'echo x >roots'")
    owner = ["stat", "-c%U", f"{PROJECT}/new"]
    assert running.machine.run(owner).stdout == "admin\n"
    roots = running.machine.run(["stat", "-c%u", f"{PROJECT}/roots"]).stdout
    assert int(roots) not in (0, 1000)
    name = running.boxes()[0]["name"]
    assert running.docker("exec", name, "id", "-u") == "0"
    boot = ["ssh", name, "cat", "/proc/sys/kernel/random/boot_id"]
    seen = running.machine.run(boot, user="admin").stdout
    assert seen.strip() == running.machine.boot_id()


def test_limits_hold_for_a_box_and_its_containers(running: Product) -> None:
    running.cai("run", "--memory", "768m", "--cpus", "0.5", ".", "--", "true")
    (box,) = running.boxes()
    container = running.docker("inspect", "--format", "{{.Id}}", box["name"])
    find = f"find /sys/fs/cgroup -type d -name '*{container}*' -print -quit"
    group = running.machine.run(f"cd $({find}); cat memory.max cpu.max").stdout.split()
    assert group == [str(768 << 20), "50000", "100000"]
    assert running.sh("free -m | awk '/^Mem:/ {print $2}'") == "768"
    seen = running.sh(
        f"{IN_BOX}; docker run --rm --memory 64m --cpus 0.25 busybox busybox "
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; "
        "docker run --rm --memory 64m busybox sh -c 'x=xx; while :; do x=$x$x; done' || echo $?"
    )
    assert seen.splitlines() == [str(64 << 20), "25000 100000", "137"]


# In the box: makes all there are of each kind, and holds them.
EXHAUST = (
    "sudo systemd-run --quiet --unit greedy --property StandardOutput=file:/tmp/found sh -c "
    "'sleep infinity | python3 /home/agent/workspace/counted.py exhaust \"$0\"' {}; "
    "until grep . /tmp/found; do sleep 1; systemctl is-active --quiet greedy; done"
)


def test_what_a_box_exhausts_is_its_own(running: Product) -> None:
    """Of every kind: on this machine root can allow each user so few."""
    machine, program = running.machine, counted.text()
    machine.put(Path(counted.__file__), PROJECT, user="admin")
    allow = [f"echo {most} >/proc/sys/{name}" for name, most in counted.ALLOWED.values()]
    machine.run("; ".join(allow))
    wanted = {kind: most + 1 for kind, (_, most) in counted.ALLOWED.items()}
    found = json.loads(running.sh(EXHAUST.format(shlex.quote(json.dumps(wanted)))))
    assert {kind: said for kind, (_, said) in found.items()} == counted.REFUSED
    got = dict.fromkeys(counted.REFUSED, "made")
    assert json.loads(machine.run(["python3", "-", "take"], stdin=program).stdout) == got
    (box,) = running.boxes()
    image, pid = running.docker(
        "inspect", "--format", "{{.Image}} {{.State.Pid}}", box["name"]
    ).split()
    other = ["docker", "--host", f"unix://{SOCKET}", "run", "--rm", "--interactive"]
    other += ["--privileged", image, "python3", "-", "take"]
    assert json.loads(machine.run(other, stdin=program, timeout=SLOW).stdout) == got
    # It is the user who made the box's user namespace that has no more: were it root, root.
    owner = machine.run(["stat", "--format=%u", f"/proc/{pid}"]).stdout.strip()
    greedys = machine.run(["python3", "-", "take", owner], stdin=program).stdout
    made = {kind for kind, said in json.loads(greedys).items() if said == "made"}
    assert made <= counted.GIVEN_BACK


def test_self_test_finds_nothing(running: Product) -> None:
    done = running.cai("doctor", "--attack", running.boxes()[0]["name"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_reboot_brings_boxes_back(running: Product) -> None:
    before = running.identity()
    running.sh(
        "sudo systemd-run --quiet --unit witness "
        "--property 'ExecStop=/usr/bin/touch /home/agent/stopped' sleep infinity"
    )
    off = f"{HOME}/off"
    running.machine.run(["mkdir", off], user="admin")
    running.cai("run", off, "--", "true")
    running.cai("stop", off)
    running.machine.reboot()
    states = {box["workspace"]: box["status"] for box in running.boxes()}
    assert states == {PROJECT: "running", off: "stopped"}
    assert running.sh("ls ~/stopped; systemctl is-system-running --wait") == (
        "/home/agent/stopped\nrunning"
    )
    running.cai("rm", off)
    assert running.identity() == before


def test_power_cut(running: Product) -> None:
    before = running.identity()
    running.machine.run("echo kept > /root/kept; sync; echo lost > /root/lost")
    running.machine.power_cut()
    # A cut it was.
    assert running.machine.run("cat /root/kept /root/lost", check=False).stdout == "kept\n"
    assert [box["status"] for box in running.boxes()] == ["running"]
    assert running.identity() == before
    assert running.sh("systemctl is-system-running --wait") == "running"


def test_power_cut_during_a_start(set_up: Product) -> None:
    # From the ssh key to the first login, about, under emulation.
    after = random.Random(SEED).uniform(2, 40)
    print(f"power is cut after {after:.1f} s; again: CONTAINAI_POWER_SEED={SEED}")
    words = shlex.join(["env", f"CONTAINAI_IMAGE_NAME={IMAGE}", CAI, "run", PROJECT, "--", "true"])
    set_up.machine.run(f"setsid --fork {words} </dev/null >/dev/null 2>&1", user="admin")
    time.sleep(after)
    set_up.machine.power_cut()
    assert set_up.sh("systemctl is-system-running --wait") == "running"
    assert len(set_up.boxes()) == len(set_up.ranges()) == 1
    assert set_up.docker("ps", "--all", "--quiet").count("\n") == 0
    set_up.cai("rm", "--data", "--yes", ".")
    assert set_up.ranges() == []
    assert set_up.docker("volume", "ls", "--quiet") == ""


def test_full_disk(running: Product) -> None:
    machine = running.machine
    before = running.identity()
    other = f"{HOME}/other"
    machine.run(f"mkdir {other}", user="admin")
    _fill(machine, leave=64)
    machine.run("sync; ! dd if=/dev/zero of=/rest bs=4k 2>/dev/null")
    failed = running.cai("run", other, "--", "true", check=False)
    assert failed.returncode == 20, failed.stderr
    assert "space" in failed.stderr
    machine.run("rm /full /rest; sync")
    assert [box["workspace"] for box in running.boxes()] == [PROJECT]
    assert len(running.ranges()) == 1
    # Its own Docker's, and its data.
    assert len(running.docker("volume", "ls", "--quiet").split()) == 2
    assert running.identity() == before
    running.cai("run", other, "--", "true")


# What changes beside the packages' own files: what their scripts and triggers write, the first
# use of sudo, and the workspace, which is the user's.
NOT_OURS = re.compile(
    r"/etc/(passwd|shadow|group|gshadow)-?$|/etc/ld\.so\.cache$|/etc/(alternatives|rc[0-6S]\.d)/|/boot/initrd\.img-|"
    r"/usr/sbin/(ip|ip6|arp|eb)tables|"
    rf"{HOME}/\.sudo_as_admin_successful$|{PROJECT}/"
)


def test_uninstall_leaves_what_was_there(running: Product) -> None:
    machine = running.machine
    everything = ("uninstall", "--yes", "--containers", "--volumes", "--images", "--purge")
    refused = running.cai("uninstall", "--yes", "--purge", check=False)
    assert refused.returncode == 1
    assert "--containers" in refused.stderr
    plan = running.cai(*everything, "--dry-run").stdout
    assert plan.splitlines()
    said = running.cai(*everything).stdout
    packages = said.partition("sudo apt-get purge ")[2].splitlines()[0].split()
    assert sorted(packages) == manifest.new_packages(machine)
    owned = set(machine.run(["dpkg-query", "-L", *packages]).stdout.splitlines())
    left = [
        "\n".join(lines)
        for path, lines in manifest.changed(machine).items()
        if path not in owned and not NOT_OURS.match(path)
    ]
    assert not left, "\n".join(left)
    # Of the users of the machine, all that is new is a package's own.
    users = machine.run("diff /etc/passwd- /etc/passwd", check=False).stdout.splitlines()
    assert [line.partition(":")[0] for line in users if line[0] in "<>"] == ["> dnsmasq"]
    machine.run("! getent group containai")
    assert machine.run(["cat", f"{PROJECT}/kept"]).stdout == "kept\n"


def test_upgrade_with_a_box_running(running: Product, newer_packages: Path) -> None:
    before = running.identity()
    name = before["name"]
    started = running.docker("inspect", "--format", "{{.State.StartedAt}}", name)
    running.install(newer_packages)
    assert running.cai("--version").stdout == "cai 99.0\n"
    assert running.identity() == before
    assert running.cai("doctor", check=False).returncode == 1
    running.cai("setup", "--yes")
    assert running.cai("doctor").returncode == 0
    assert running.identity() == before
    assert running.docker("inspect", "--format", "{{.State.StartedAt}}", name) == started
    running.cai("stop", ".")
    assert running.identity() == before
