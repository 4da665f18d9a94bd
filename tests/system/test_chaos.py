"""Chaos: in the middle of something, something is killed. Then all works, and nothing is left.

Operations, victims and moments come from a seed, which is printed, and from the round's number:
CONTAINAI_CHAOS_SEED repeats a run, CONTAINAI_CHAOS_ROUNDS=200 makes it longer and 36-36 is that
round alone.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from typing import Any

import pytest

from containai.engine import daemon, shims
from containai.host.machine import Machine
from harness.site import text
from harness.waiting import eventually

FIRST, _, LAST = os.environ.get("CONTAINAI_CHAOS_ROUNDS", "8").rpartition("-")
ROUNDS = range(int(FIRST or "1"), int(LAST) + 1)
SEED = int(os.environ.get("CONTAINAI_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
#: Every how many rounds it is a real box that is started.
BOX_EVERY = 6
CONTAINER = "chaos"
#: Operations on a small container, and whether it runs before.
OPERATIONS = {
    "run": None,
    "start": False,
    "exec": True,
    "stop": True,
    "restart": True,
    "kill": True,
    "rm": True,
}
VICTIMS = ("runtime", "runtime", "shim", "containerd", "dockerd", "all")
#: What is there only while a container is made, or a process in one.
FLEETING = {"run": ("init", "hook"), "start": ("init", "hook"), "restart": ("init", "hook")}
#: After so many attempts in vain a container is killed, as a person would.
PATIENCE = 10
#: How long all may take until it works again, in seconds: the engine forgives a container that
#: starts for a minute (shims.py), and is swept then.
PATIENT = shims.STARTING + 40
ID = re.compile(r"[0-9a-f]{64}")


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[1]


class Surroundings:
    """What runs and lies around on this machine of a site's engine."""

    def __init__(self, site):
        self.site = site
        self.layout = site.layout
        self.roots = f"{self.layout.engine_exec}/runtime-runc/moby"
        self.bundles = self.layout.engine_bundles

    def kind(self, pid):
        """Return which kind of victim a process is, or None."""
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
        for kind, word in (
            ("dockerd", self.layout.engine_running_config),
            ("containerd", f"{self.layout.engine_exec}/containerd/containerd.toml"),
            ("runtime", self.roots),
            # Without the launcher's work, as runc is called in the end.
            ("runtime", f"--root={self.roots}"),
            ("hook", f"-exec-root={self.layout.engine_exec}"),
        ):
            if word in words:
                return kind
        if "containerd-shim" in words[0]:
            address = f"{self.layout.engine_exec}/containerd/containerd.sock"
            return "shim" if address in words else None
        if (os.path.basename(words[0]), words[1]) == ("runc", "init"):
            return "init" if self.kind(parent(pid)) in ("runtime", "shim") else None
        return None

    def victims(self, wanted):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                kind = self.kind(pid)
                if kind is not None and wanted in (kind, "all"):
                    found.append(int(pid))
        return found

    def kill(self, wanted, chance, operation):
        """Kill what is wanted a random while after it is there; return how many it were."""
        deadline = time.monotonic() + 3
        while not self.victims(wanted):
            if operation.poll() is not None or time.monotonic() > deadline:
                return 0
        time.sleep(chance.choice((0, 0.3)) * chance.random() ** 2)
        victims = self.victims(wanted)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(victims)

    def containers(self):
        return set(self.site.docker("ps", "--all", "--quiet", "--no-trunc").split())

    def known(self):
        """Return the ids of containers that anything of the engine's knows."""
        names = []
        for directory in (
            self.roots,
            self.bundles,
            f"{self.layout.runtime_state}/ranges",
        ):
            with contextlib.suppress(FileNotFoundError):
                names += os.listdir(directory)
        return {found[0] for name in names if (found := ID.match(name))}

    def left(self, gone):
        """Return what is left of the containers `gone`, and of others that the engine lacks."""
        self.site.cai("engine", "start")
        self.site.prune()
        there = self.containers()
        gone = gone | (self.known() - there)
        left = [f"cgroup {path}" for path in self.site.cgroups(gone)]
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            left += [f"mount {line}" for line in file if any(each in line for each in gone)]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                words = os.fsdecode(file.read()).replace("\0", " ")
                left += [f"process {pid} {words}" for each in gone if each in words]
        for parent in (self.roots, self.bundles, f"{self.layout.runtime_state}/ranges"):
            for name in os.listdir(parent) if os.path.isdir(parent) else ():
                left += [f"file {parent}/{name}" for each in gone if each in name]
        stage = f"{self.layout.runtime_state}/stage"
        left += [f"stage {each}" for each in os.listdir(stage) if os.listdir(f"{stage}/{each}")]
        running = len(self.site.docker("ps", "--quiet").split())
        bridge = ["ip", "-oneline", "link", "show", "master", self.layout.bridge]
        links = subprocess.run(bridge, capture_output=True, check=True).stdout.splitlines()
        if len(links) != running:
            left.append(f"network {running} containers run, links: {links}")
        # Both ends of a link here, and neither in use: no container was given one.
        every = ["ip", "-oneline", "link", "show", "type", "veth"]
        shown = subprocess.run(every, capture_output=True, text=True, check=True).stdout
        unused = re.compile(r"\d+: veth[0-9a-f]{7}@veth\S+: <\S*M-DOWN\S* .* noop ")
        left += [f"link {line}" for line in shown.splitlines() if unused.match(line)]
        return left + self.idle_ports()

    def idle_ports(self):
        """Return the ports that this engine listens on for no container that runs."""
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = os.fsdecode(file.read()).split("\0")
                proxy = "docker-proxy" in map(os.path.basename, words[:3])
                if proxy and self.kind(parent(pid)) == "dockerd":
                    left.append(words[words.index("-host-port") + 1])
        published = self.site.docker("ps", "--format", "{{.Ports}}")
        return [f"port {each}" for each in left if f":{each}->" not in published]

    def seen(self, container):
        """Return what there is to see of a container that does not work as it should."""
        inside = "systemctl list-jobs; systemctl --failed; journalctl --no-pager --lines 30"
        asked = {
            "state": ("container", "inspect", "--format", "{{json .State}}", container),
            "console": ("logs", "--tail", "20", container),
            "inside": ("exec", container, "timeout", "20", "sh", "-c", inside),
            "processes": ("top", container),
            "containers": ("ps", "--all"),
        }
        said = {name: docker(self.site, *words) for name, words in asked.items()}
        texts = {name: done.stdout + done.stderr for name, done in said.items()}
        log = daemon.log(Machine(self.layout), lines=200).splitlines()
        # Most is of how it talks to containerd.
        texts["engine"] = "\n".join([line for line in log if "[core]" not in line][-30:])
        texts["victims"] = ", ".join(f"{pid} {self.kind(pid)}" for pid in self.victims("all"))
        return "\n".join(f"--- {name}:\n{text.strip()}" for name, text in texts.items())


@pytest.fixture
def machine(site):
    yield Surroundings(site)
    site.cai("engine", "start")
    site.docker("rm", "--force", CONTAINER, check=False)


def docker(site, *words):
    socket = f"unix://{site.layout.engine_socket}"
    return subprocess.run(
        ["docker", "--host", socket, *words], capture_output=True, text=True, check=False
    )


def run_arguments(image):
    network = ("--publish", "127.0.0.1::22", "--volume", "chaos:/v", "--memory", "1g")
    return ["run", "--detach", "--name", CONTAINER, *network, image, "sleep", "infinity"]


def works(machine, image):
    """Assert that the container runs, made anew if it is gone; return how many attempts it took."""
    site, last = machine.site, []

    def attempt():
        begun = site.cai("engine", "start", check=False)
        if len(last) == 2 * PATIENCE:
            # runc freezes a container while it kills all that is in it: where runc is killed in
            # that moment the container stays frozen, until somebody kills it again.
            docker(site, "kill", CONTAINER)
        if last and "marked for removal" in last[-2].stderr:
            # `docker rm` was interrupted; it has to be given again.
            docker(site, "rm", "--force", CONTAINER)
        if docker(site, "container", "inspect", CONTAINER).returncode != 0:
            last.append(docker(site, *run_arguments(image)))
        else:
            last.append(docker(site, "start", CONTAINER))
        last.append(docker(site, "exec", CONTAINER, "sh", "-c", "echo fine"))
        last[-1].stderr += text(begun)
        return last[-1].stdout == "fine\n"

    fine = eventually(attempt, PATIENT)
    said = [(each.args[3:5], each.returncode, each.stderr) for each in last[-4:]]
    assert fine, f"{said}\n{machine.seen(CONTAINER)}"
    return len(last) // 2


def gone(machine):
    """Assert that the container can be removed."""
    site, last = machine.site, []

    def attempt():
        last.append(docker(site, "rm", "--force", CONTAINER).stderr)
        return "no such" in docker(site, "container", "inspect", CONTAINER).stderr.lower()

    assert eventually(attempt, PATIENT), f"{last[-3:]}\n{machine.seen(CONTAINER)}"


def interrupted(machine, operation, victim, chance):
    """Let an operation be interrupted by a death; return how many died."""
    try:
        killed = machine.kill(victim, chance, operation)
        with contextlib.suppress(subprocess.TimeoutExpired):
            operation.wait(60)
    finally:
        operation.kill()
        operation.wait()
    return killed


def round_of_a_container(machine, image, chance):
    site = machine.site
    name = chance.choice(sorted(OPERATIONS))
    victim = chance.choice(VICTIMS + 2 * FLEETING.get(name, ()))
    gone(machine)
    runs = OPERATIONS[name]
    if runs is not None:
        works(machine, image)
        if not runs:
            docker(site, "kill", CONTAINER)
    seen = machine.known()
    words = {
        "run": run_arguments(image),
        "exec": ["exec", CONTAINER, "sleep", "0.2"],
        "stop": ["stop", "--time", "0", CONTAINER],
        "restart": ["restart", "--time", "0", CONTAINER],
        "rm": ["rm", "--force", CONTAINER],
    }.get(name, [name, CONTAINER])
    argv = ["docker", "--host", f"unix://{site.layout.engine_socket}", *words]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    killed = interrupted(machine, subprocess.Popen(argv, **quiet), victim, chance)
    attempts = works(machine, image)
    seen |= machine.known()
    gone(machine)
    return f"{name}: killed {killed} x {victim}, works at attempt {attempts}", seen


def round_of_a_box(machine, space, chance):
    site = machine.site
    victim = chance.choice((*VICTIMS, *FLEETING["run"], "cai", "cai"))
    space.close_connection()
    docker(site, "kill", space.box)
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    run = site.start("run", space.path, "--", "true", stderr=subprocess.DEVNULL, **quiet)
    if victim == "cai":
        time.sleep(chance.random())
        run.kill()
        run.wait()
        killed = 1
    else:
        killed = interrupted(machine, run, victim, chance)
    box_works(machine, space)
    return f"box: killed {killed} x {victim}", machine.known()


def box_works(machine, space):
    """Assert that the box can be entered, has what was in it and has booted without a failure."""
    said = []
    command = "cat ~/note; timeout 60 systemctl is-system-running --wait"

    def attempt():
        done = space.run("sh", "-c", command, check=False)
        said.append((done.returncode, done.stdout, done.stderr))
        return done.stdout == b"kept\nrunning\n"

    # A first command may get in over a connection whose end has not been noticed yet.
    fine = eventually(attempt, PATIENT)
    assert fine, "\n".join([f"{len(said)} attempts", *map(str, said[-3:]), machine.seen(space.box)])


def round_of(machine, space, image, number):
    """Make a round, until nothing is left; return what happened in it."""
    chance = random.Random(f"{SEED} {number}")
    others = machine.known()
    if number % BOX_EVERY == 0:
        what, seen = round_of_a_box(machine, space, chance)
    else:
        what, seen = round_of_a_container(machine, image, chance)
    gone = seen - others - {space.inspect()["Id"]}
    # What could be of a container that is starting is given a minute.
    clean = eventually(lambda: not machine.left(gone), shims.STARTING + 20)
    left = [] if clean else machine.left(gone)
    assert left == [], what
    return what


@pytest.mark.timeout(120 * len(ROUNDS) + 300)
def test_whatever_is_killed_all_works_and_nothing_is_left(site, machine, make_space):
    print(f"CONTAINAI_CHAOS_SEED={SEED} CONTAINAI_CHAOS_ROUNDS={ROUNDS[0]}-{ROUNDS[-1]}")
    space = make_space()
    space.sh("echo kept >~/note")
    ids, image = space.id_range(), space.inspect()["Image"]
    for number in ROUNDS:
        try:
            print(f"{number}: {round_of(machine, space, image, number)}", flush=True)
        except BaseException as failed:
            failed.add_note(f"CONTAINAI_CHAOS_SEED={SEED} CONTAINAI_CHAOS_ROUNDS={number}-{number}")
            raise
    assert space.id_range() == ids
