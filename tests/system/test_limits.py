"""Limits of a box: those by default, and others while it runs."""

import json
import math
import os

import pytest

from containai import errors
from containai.boxes.limits import MOST, UNBOUNDED
from containai.engine import lxcfs
from harness.site import refused
from harness.waiting import until

MIB = 1 << 20
TOTAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
ONLINE = os.cpu_count() or 1
SEEN = """
free -b | awk '/^Mem:/ { print $2 } /^Swap:/ { print $2 }'
nproc
df -B1 --output=size /dev/shm | tail -1
"""
#: As many threads as 600, if they can be had.
THREADS = """
import threading
end = threading.Event()
try:
    for _ in range(600):
        threading.Thread(target=end.wait).start()
except RuntimeError:
    print("no more")
end.set()
"""


def seen(space):
    return list(map(int, space.sh(SEEN).split()))


@pytest.fixture(scope="module")
def halved(site, make_lasting):
    """A box as one has it who has set nothing."""
    space = make_lasting("halved")
    env = {"CONTAINAI_BOX_MEMORY": "auto", "CONTAINAI_BOX_CPUS": "auto"}
    done = site.cai("run", space.path, "--", "true", env=env)
    assert b" of memory, " in done.stderr
    return space


def test_a_box_has_half_of_the_machine_and_sees_it(halved):
    memory = min(max(TOTAL // 2, 2 << 30), TOTAL) // MIB * MIB
    processors = max(ONLINE / 2, 1)
    host = halved.inspect()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (memory, memory, 16384)
    assert host["NanoCpus"] == processors * 1e9
    assert seen(halved) == [memory, 0, math.ceil(processors), memory // 2]


def test_limits_are_changed_and_taken_away_while_it_runs(site, halved):
    def limit(*words):
        return json.loads(site.cai("limit", halved.path, *words, "--json").stdout)["limits"]

    began = halved.inspect()["State"]["StartedAt"]
    assert limit("--memory", "512m", "--pids", "500")["memory"] == 512 * MIB
    assert (seen(halved)[0], seen(halved)[3]) == (512 * MIB, 256 * MIB)
    assert halved.run("python3", "-c", THREADS).stdout == b"no more\n"
    none = limit("--memory", "none", "--cpus", "none", "--pids", "none")
    assert none == {"memory": 0, "cpus": ONLINE, "swap": 0, "pids": 0, "disk": 0}
    host = halved.inspect()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (UNBOUNDED, MOST)
    memory, _, processors, shared = whole = seen(halved)
    assert processors == ONLINE
    assert abs(memory - TOTAL) < MIB
    assert abs(shared - TOTAL // 2) < MIB
    assert halved.inspect()["State"]["StartedAt"] == began
    # A start has it the same again, and a limit is back at once.
    site.cai("stop", halved.path)
    assert seen(halved) == whole
    assert limit("--memory", "1g")["memory"] == 1 << 30
    assert seen(halved)[0] == 1 << 30


def test_what_is_used_is_shown_beside_the_limits(site, halved):
    seen = json.loads(site.cai("status", halved.path, "--size", "--json").stdout)
    assert seen["status"] == "running"
    assert 10 * MIB < seen["load"]["memory"] < 1 << 30
    assert 0 <= seen["load"]["cpu_percent"] < 100 * ONLINE + 50
    assert 10 < seen["load"]["processes"] < 500
    assert seen["sizes"]["root"] > 0
    assert seen["sizes"]["docker"] > 0
    (listed,) = [
        row
        for row in json.loads(site.cai("ls", "--load", "--json").stdout)
        if row["name"] == seen["name"]
    ]
    assert listed["load"]["processes"] > 10
    process = site.cai("status", halved.path, "--processes").stdout.decode()
    assert "/sbin/init" in process
    done = site.cai("status", halved.path, "--watch", check=False)
    refused(done, errors.UsageError)


@pytest.mark.parametrize(
    "words",
    [
        ("--memory", "64m"),
        ("--memory", "0.001%"),
        ("--cpus", "99999"),
        ("--pids", "3"),
        ("--swap", "1g", "--memory", "none"),
        ("--disk", "2g"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(site, shared, words):
    before = shared.inspect()["HostConfig"]
    done = site.cai("limit", shared.path, *words, check=False)
    first, *rest = done.stderr.decode().splitlines()
    assert done.returncode == errors.UsageError.exit_code
    assert first.startswith("cai: ")
    assert rest[0].startswith("  hint: ")
    assert shared.inspect()["HostConfig"] == before


def test_a_limit_on_disk_is_refused_where_the_storage_has_none(site, make_space):
    space = make_space()
    done = site.cai("run", "--disk", "2g", space.path, "--", "true", check=False)
    [line, *_] = refused(done, errors.UsageError)
    assert "has no limits on disk" in line
    assert not any(space.path in line for line in site.cai("ls").stdout.decode().splitlines())


def test_what_is_ended_for_memory_is_told_once(site, make_space):
    if lxcfs.missing():
        pytest.skip("nobody follows the kernel's log without lxcfs")
    space = make_space()
    site.cai("run", "--memory", "512m", space.path, "--", "true")
    grow = "open('/proc/self/comm', 'w').write('x,oom_memcg=/a'); print(len(b'x' * (1 << 30)))"
    ended = site.cai("run", space.path, "--", "sh", "-c", f'python3 -c "{grow}"; echo $?')
    assert ended.stdout == b"137\n"
    notes = os.path.join(site.layout.kills, space.inspect()["Id"])
    until(lambda: os.path.exists(notes))
    # Whichever command is next, of whichever box.
    said = site.cai("run", space.path, "--", "true").stderr.decode()
    assert "the kernel ended 'x,oom_memcg=/a' in the box " in said
    assert "limit of 512 MiB on the memory of the box was reached" in said
    assert site.cai("run", space.path, "--", "true").stderr == b""
    assert b"the kernel ended" not in site.cai("ls").stderr


def test_a_machine_with_fewer_processors_than_it_had(site, make_space):
    space = make_space()
    site.cai("run", space.path, "--", "true", env={"CONTAINAI_BOX_CPUS": "1"})
    container = space.inspect()["Id"]
    site.cai("engine", "stop")
    # What a virtual machine leaves that had many and was given fewer.
    path = os.path.join(site.layout.engine_data, "containers", container, "hostconfig.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["CpusetCpus"] = "4095"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    # It comes back with the engine, and gets others once it is entered.
    site.cai("engine", "start")
    until(lambda: space.inspect()["State"]["Running"])
    done = site.cai("run", space.path, "--", "nproc")
    assert done.stdout == b"1\n"
    assert b" gets processors that this machine still has: 1\n" in done.stderr
    assert space.inspect()["HostConfig"]["CpusetCpus"] in map(str, range(ONLINE))
    site.cai("stop", space.path)
    assert space.sh("nproc") == "1"
