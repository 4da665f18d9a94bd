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

NAMESPACES = "uts", "ipc", "net", "mnt", "cgroup", "time", "pid", "user"
#: What the kernel counts by user: where it says how many a user may have, and how many that is
#: while a box takes all of its own, as what a distribution allows takes minutes and gigabytes.
ALLOWED = {
    "inotify_instances": ("fs/inotify/max_user_instances", 128),
    "inotify_watches": ("fs/inotify/max_user_watches", 20_000),
    "fanotify_groups": ("fs/fanotify/max_user_groups", 128),
    "fanotify_marks": ("fs/fanotify/max_user_marks", 20_000),
} | {f"{kind}_namespaces": (f"user/max_{kind}_namespaces", 200) for kind in NAMESPACES}
#: Of these a box takes all that a distribution allows; a root without CAP_SYS_RESOURCE cannot
#: allow fewer namespaces, and of the other kinds the box only takes some then.
CHEAP = {"uts_namespaces": 200_000, "cgroup_namespaces": 200_000}
#: Of these a service of the box may close one that it had before.
GIVEN_BACK = {"inotify_instances"}
#: Sets these once we end, in whichever way.
SET_AT_END = 'read -r _; while [ $# -gt 1 ]; do echo "$2" >"$1"; shift 2; done'
#: Each kind, and what the kernel says.
MAKE = r"""
import ctypes, errno, json, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
FLAGS = {"uts": 0x04000000, "ipc": 0x08000000, "net": 0x40000000, "mnt": 0x00020000,
         "cgroup": 0x02000000, "time": 0x80, "pid": 0x20000000, "user": 0x10000000}
def said(result):
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "made"
def inotify():
    return libc.inotify_init1(0)
def watch(fd, path):
    return libc.inotify_add_watch(fd, path.encode(), 2)
def fanotify():
    return libc.fanotify_init(0x200, 0)
def mark(fd, path):
    return libc.fanotify_mark(fd, 1, ctypes.c_uint64(2), -100, path.encode())
OBJECTS = {"inotify_instances": (inotify, "inotify_watches", watch),
           "fanotify_groups": (fanotify, "fanotify_marks", mark)}
end, ours = os.pipe()
def in_child(answer):
    "What it says there; the child keeps what it made until we close our end."
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(ours)
        os.write(write, answer().encode())
        os.close(write)
        os.read(end, 1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        return file.read()
def one(kind):
    return in_child(lambda: said(libc.unshare(FLAGS[kind])))
"""
#: In a box: makes of each kind until the kernel refuses, and holds them; how many there were, and
#: the refusal.
EXHAUST = (
    MAKE
    + r"""
FILES = [f"/tmp/watched/{number}" for number in range(1000)]
os.makedirs("/tmp/watched")
for path in FILES:
    open(path, "w").close()
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held, found = [], {}
def objects(kind, make, each, add):
    fds = []
    while (fd := make()) >= 0:
        fds.append(fd)
    held.extend(fds)
    found[kind] = len(fds), said(fd)
    made = 0
    for fd in fds:
        for path in FILES:
            if (result := add(fd, path)) < 0:
                found[each] = made, said(result)
                return
            made += 1
tries = json.loads(sys.argv[1])
def many(kind, wanted):
    "Held by open files, of which a process has only so many."
    made, answer = 0, "made"
    name = "time_for_children" if kind == "time" else kind
    while made < wanted and (answer := said(libc.unshare(FLAGS[kind]))) == "made":
        held.append(os.open("/proc/self/ns/" + name, os.O_RDONLY))
        made += 1
    return json.dumps([made, answer])
def namespaces(kind):
    made, answer, wanted = 0, "made", tries[kind + "_namespaces"]
    while made < wanted and answer == "made":
        if kind in ("pid", "user"):
            answer = one(kind)
            more = answer == "made"
        else:
            some = min(wanted - made, most - 1000)
            more, answer = json.loads(in_child(lambda: many(kind, some)))
        made += more
    found[kind + "_namespaces"] = made, answer
for kind in FLAGS:
    namespaces(kind)
# Last: what the box's services give back is taken as well.
for kind, (make, each, add) in OBJECTS.items():
    objects(kind, make, each, add)
print(json.dumps(found), flush=True)
sys.stdin.read()
"""
)
#: Makes one of each kind; as another user, with all rights, where one is given.
TAKE = (
    MAKE
    + r"""
if sys.argv[1:]:
    # SECBIT_NO_SETUID_FIXUP: capabilities stay.
    assert libc.prctl(28, 4) == 0
    os.setresuid(*[int(sys.argv[1])] * 3)
found = {kind + "_namespaces": one(kind) for kind in FLAGS}
for kind, (make, each, add) in OBJECTS.items():
    fd = make()
    found[kind] = said(fd)
    found[each] = said(fd) if fd < 0 else said(add(fd, "/tmp"))
print(json.dumps(found))
"""
)
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


@pytest.fixture
def lowered():
    """Let each user have no more of what the kernel counts by user; return how many of each."""
    files = {kind: Path("/proc/sys", name) for kind, (name, _) in ALLOWED.items()}
    before = {kind: int(file.read_text(encoding="ascii")) for kind, file in files.items()}
    now = {
        kind: min(before[kind], ALLOWED[kind][1]) for kind, file in files.items() if writable(file)
    }
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
    argv = [sys.executable, "-c", TAKE, *user]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def take_in(space):
    return json.loads(space.run("sudo", "python3", "-c", TAKE).stdout)


def test_what_a_box_exhausts_is_its_own(site, crowd, lowered):
    greedy, *others = crowd
    ends = {kind for kind, most in lowered.items() if most <= CHEAP.get(kind, ALLOWED[kind][1])}
    tries = {kind: lowered[kind] + 1 if kind in ends else ALLOWED[kind][1] for kind in lowered}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ("run", greedy.path, "--", "sudo", "python3", "-c", EXHAUST, json.dumps(tries))
    with site.start(*words, **pipes) as loop:
        found = json.loads(loop.stdout.readline())
        here, greedys = take(), take(str(greedy.id_range()[0]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            there = list(pool.map(take_in, others))
        # Nor does the box get any more: the loop was at its end.
        first = take_in(greedy)
        loop.stdin.close()
    # Each kind ended where the kernel's count did.
    got = dict.fromkeys(lowered, "made")
    refused = got | dict.fromkeys(ends, "ENOSPC")
    refused |= dict.fromkeys(("inotify_instances", "fanotify_groups"), "EMFILE")
    assert {name: said for name, (_, said) in found.items()} == refused
    assert [name for name, (made, _) in found.items() if not 0 < made <= lowered[name]] == []
    assert here == got
    assert [each for each in there if each != got] == []
    assert [kind for kind in ends - GIVEN_BACK if first[kind] == "made"] == []
    # It is the user who made the box's user namespace that has no more: were it root, root.
    assert [kind for kind in ends - GIVEN_BACK if greedys[kind] == "made"] == []


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
