"""What the kernel counts by user or not at all: a box exhausts its own share, and nobody else's."""

import array
import fcntl
import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containai.boxes import limits
from harness import cgroups, counted
from harness.site import text

#: Each has eight instances of inotify when it is idle: were they one user's, 16 boxes would have
#: all that the kernel gives by itself, 128.
BOXES = 30
AT_ONCE = 6

#: How many of each kind a box takes, if root can allow so few.
FEW = {kind: most for kind, (_, most) in counted.ALLOWED.items()}
#: Where root, without CAP_SYS_RESOURCE, cannot, it takes all of this kind that the kernel allows,
#: up to so many: 96,365 on 24 GB. The kernel counts all kinds of namespaces in one way (inc_ucount
#: of kernel/ucount.c), and tests/machine, whose root can, exhausts each of them.
CHEAP = {"uts_namespaces": 200_000}
#: Sets these once we end, in whichever way.
SET_AT_END = 'read -r _; while [ $# -gt 1 ]; do echo "$2" >"$1"; shift 2; done'
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


def test_thirty_boxes_run_at_once_and_answer(site, crowd):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda space: space.sh("hostname"), crowd))
    assert said == [space.box for space in crowd]
    assert len(set(site.docker("ps", "--quiet").split())) >= BOXES


@pytest.fixture
def lowered():
    """Let each user have no more of what the kernel counts by user; return how many of each."""
    files = {kind: Path("/proc/sys", name) for kind, (name, _) in counted.ALLOWED.items()}
    before = {kind: int(file.read_text(encoding="ascii")) for kind, file in files.items()}
    now = {kind: min(before[kind], FEW[kind]) for kind in files if writable(files[kind])}
    words = [str(word) for kind in now for word in (files[kind], before[kind])]
    argv = ["sh", "-c", SET_AT_END, "sh", *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True):
        for kind, most in now.items():
            files[kind].write_text(str(most), encoding="ascii")
        yield before | now


def writable(file):
    """Whether root may write it, whatever its mode says to root with all rights."""
    try:
        with file.open("r+"):
            return True
    except PermissionError:
        return False


def take(*user):
    argv = [sys.executable, "-c", counted.text(), "take", *user]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def take_in(space):
    return json.loads(space.run("sudo", "python3", "-c", counted.text(), "take").stdout)


def test_what_a_box_exhausts_is_its_own(site, crowd, lowered):
    greedy, *others = crowd
    ends = {kind for kind, most in lowered.items() if most <= CHEAP.get(kind, FEW[kind])}
    ends |= {"inotify_instances", "fanotify_groups", *counted.LIMITED}
    tries = {kind: most + 1 if kind in ends else FEW[kind] for kind, most in lowered.items()}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ("sudo", "python3", "-c", counted.text(), "exhaust", json.dumps(tries))
    with site.start("run", greedy.path, "--", *words, **pipes) as loop:
        found = json.loads(loop.stdout.readline())
        here, greedys = take(), take(str(greedy.id_range()[0]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            there = list(pool.map(take_in, others))
        # Nor does the box get any more: the loop was at its end.
        first = take_in(greedy)
        loop.stdin.close()
    # Each kind ended where the kernel's count did.
    got = dict.fromkeys(counted.REFUSED, "made")
    assert {kind: said for kind, (_, said) in found.items()} == {
        kind: said if kind in ends else "made" for kind, said in counted.REFUSED.items()
    }
    assert [kind for kind, most in lowered.items() if not 0 < found[kind][0] <= most] == []
    assert here == got
    assert [each for each in there if each != got] == []
    assert [kind for kind in ends - counted.GIVEN_BACK if first[kind] == "made"] == []
    # It is the user who made the box's user namespace that has no more: were it root, root.
    assert [kind for kind in ends - counted.GIVEN_BACK if greedys[kind] == "made"] == []


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


def test_a_box_has_the_open_files_of_a_server(site, shared):
    with open(site.layout.engine_pidfile, encoding="ascii") as file:
        engine = resource.prlimit(int(file.read()), resource.RLIMIT_NOFILE)
    for who in ("", "sudo "):
        assert shared.sh(f"{who}bash -c 'ulimit -Sn; ulimit -Hn'").split() == [
            "1024",
            str(engine[1]),
        ]


def test_limits_of_nested_containers_go_as_far_as_the_boxs(shared):
    core, *pairs = shared.sh(NESTED).splitlines()
    assert core.split()[4] == "1"
    for most, given in zip(pairs[::2], pairs[1::2], strict=True):
        assert given.split()[-3:-1] == [most] * 2


@pytest.mark.unified
def test_processes_and_cgroups_of_a_box_are_bounded(site, shared):
    limit = limits.MANY
    assert shared.inspect()["HostConfig"]["PidsLimit"] == limit
    container = shared.inspect()["Id"]
    found = [
        file.read_text(encoding="ascii").strip()
        for file in Path("/sys/fs/cgroup").glob(f"**/*{container}*/pids.max")
    ]
    assert found == [str(limit)]
    assert shared.sh(f"sudo sh -c '{cgroups.BOUNDED}'") == "bounded"
    # A box of an earlier version gets the limit when it is entered anew.
    site.docker("update", "--pids-limit", "-1", shared.box)
    shared.close_connection()
    shared.run("true")
    assert shared.inspect()["HostConfig"]["PidsLimit"] == limit
