"""What the kernel counts by user or not at all: a box exhausts its own share, and nobody else's."""

import array
import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containai.boxes import limits
from harness.site import text

BOXES = 60
AT_ONCE = 6

#: In a box: take inotify instances until the kernel refuses, and many namespaces of each kind; say
#: how many of each, and hold them. In children, which have their own limits on open files.
EXHAUST = r"""
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
KINDS = {"uts": 0x04000000, "ipc": 0x08000000, "net": 0x40000000, "pid": 0x20000000,
         "mnt": 0x00020000, "cgroup": 0x02000000, "time": 0x80, "user": 0x10000000}
def watchers():
    made = 0
    while libc.inotify_init1(0) >= 0:
        made += 1
    return made
def held(take):
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(ours)
        os.write(write, b"%d" % take())
        os.close(write)
        os.read(end, 1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        return int(said.read())
end, ours = os.pipe()
said = {"inotify": 0}
while got := held(watchers):
    said["inotify"] += got
for kind, flag in KINDS.items():
    said[kind] = sum(held(lambda: libc.unshare(flag) == 0) for _ in range(40))
print(json.dumps(said), flush=True)
sys.stdin.read()
"""
#: The same things, once.
TAKE = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
wanted = [libc.inotify_init1(0)]
wanted += [libc.unshare(kind) for kind in (0x04000000, 0x08000000, 0x40000000, 0x20000000, 0x20000)]
print([each >= 0 for each in wanted])
"""
GOT = "[True, True, True, True, True, True]"
#: Who made a user namespace (ioctl_nsfs(2)).
NS_GET_OWNER_UID = 0xB704


def start(space):
    return space.run("true", check=False)


@pytest.fixture(scope="module")
def crowd(site, make_lasting):
    """Many idle boxes at once."""
    spaces = [make_lasting(f"q{number}") for number in range(BOXES)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(start, spaces))
    assert [text(each) for each in done if each.returncode != 0] == []
    return spaces


def test_sixty_boxes_run_at_once_and_answer(site, crowd):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda space: space.sh("hostname"), crowd))
    assert said == [space.box for space in crowd]
    assert len(set(site.docker("ps", "--quiet").split())) >= BOXES


def test_what_a_box_exhausts_is_its_own(site, crowd):
    greedy, other = crowd[:2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ("run", greedy.path, "--", "sudo", "python3", "-c", EXHAUST)
    with site.start(*words, **pipes) as loop:
        said = json.loads(loop.stdout.readline())
        here = subprocess.run(
            [sys.executable, "-c", TAKE], capture_output=True, text=True, check=True
        )
        there = other.run("sudo", "python3", "-c", TAKE).stdout.decode()
        # Nor does the box get any more: the loop was at its end.
        first = greedy.run("sudo", "python3", "-c", TAKE).stdout.decode()
        loop.stdin.close()
    assert all(said.values()), said
    assert here.stdout.strip() == there.strip() == GOT
    assert first.startswith("[False, "), said


def test_what_a_box_has_is_counted_for_its_own_first_id(crowd):
    for space in crowd[:3]:
        pid = space.inspect()["State"]["Pid"]
        owner = array.array("I", [0])
        with open(f"/proc/{pid}/ns/user", "rb") as namespace:
            fcntl.ioctl(namespace, NS_GET_OWNER_UID, owner)
        assert owner[0] == space.id_range()[0]


#: A process asks for every limit on core dumps that there is, the one that starts a host's helper
#: (0) among them, and says which one it has.
CORE = """
import resource
for pair in ((0, 0), (0, 1), (9, 9), (-1, -1)):
    resource.setrlimit(resource.RLIMIT_CORE, pair)
print(resource.getrlimit(resource.RLIMIT_CORE)[0])
"""
NESTED = r"""
set -e
mkdir -p /tmp/nested/root && cd /tmp/nested
files=$(ldd /bin/bash | grep -o '/[^ ]*\.so[^ ]*')
for file in /bin/bash $files; do cp -L --parents $file root/; done
tar -C root -c . | docker import - limited >/dev/null
limits() {
    docker run --rm "$@" limited /bin/bash -c 'echo "$(</proc/self/limits)"'
}
limits --ulimit core=0 | grep core
for name in nofile:open.files memlock:locked.memory nproc:processes; do
    most=$(grep "${name#*:}" /proc/1/limits | awk '{ print $(NF - 1) }')
    echo $most
    limits --ulimit ${name%:*}=$(echo $most:$most | sed s/unlimited/-1/g) | grep "${name#*:}"
done
"""


def test_no_crash_in_a_box_starts_the_hosts_helper(site, shared):
    for who in ((), ("sudo",)):
        assert shared.run(*who, "python3", "-c", CORE).stdout == b"1\n"
    assert site.docker("exec", shared.box, "python3", "-c", CORE) == "1"
    image = shared.inspect()["Image"]
    run = ("run", "--rm", "--network=none")
    for asked in ((), ("--privileged",), ("--security-opt=seccomp=unconfined",)):
        assert site.docker(*run, *asked, image, "python3", "-c", CORE) == "1"
    # Who asks for core dumps gets them.
    look = "grep core /proc/self/limits"
    given = site.docker(*run, "--ulimit=core=5000:7000", image, "sh", "-c", look)
    assert given.split()[4:6] == ["5000", "7000"]


def test_limits_of_nested_containers_go_as_far_as_the_boxs(shared):
    core, *pairs = shared.sh(NESTED).splitlines()
    assert core.split()[4] == "1"
    for most, given in zip(pairs[::2], pairs[1::2], strict=True):
        assert given.split()[-3:-1] == [most] * 2


#: How deep and how many cgroups the kernel lets the box's root make; then all of them are removed.
CGROUPS = r"""
cd /sys/fs/cgroup && mkdir cai-test && cd cai-test
deep=0
while [ $deep -lt 100 ] && mkdir d 2>/dev/null; do cd d; deep=$((deep + 1)); done
cd /sys/fs/cgroup/cai-test
many=0
while [ $many -lt 2000 ] && mkdir n$many 2>/dev/null; do many=$((many + 1)); done
find /sys/fs/cgroup/cai-test -depth -type d -exec rmdir {} +
[ $deep -ge 10 ] && [ $deep -lt 32 ] && [ $many -ge 500 ] && [ $many -lt 1024 ] && echo bounded
"""


def test_processes_and_cgroups_of_a_box_are_bounded(site, shared):
    limit = int(limits.PROCESSES[1])
    assert shared.inspect()["HostConfig"]["PidsLimit"] == limit
    container = shared.inspect()["Id"]
    found = [
        file.read_text(encoding="ascii").strip()
        for file in Path("/sys/fs/cgroup").glob(f"**/*{container}*/pids.max")
    ]
    assert found == [str(limit)]
    assert shared.sh(f"sudo sh -c '{CGROUPS}'") == "bounded"
    # A box of an earlier version gets the limit when it is entered anew.
    site.docker("update", "--pids-limit", "-1", shared.box)
    shared.close_connection()
    shared.run("true")
    assert shared.inspect()["HostConfig"]["PidsLimit"] == limit
