"""What the kernel counts by user: makes one of each kind, or as many as it gives.

Its text is what boxes and machines are given, as it is, so it takes the standard library only:

    python3 -c TEXT take [UID]        one of each; as that user, with all rights
    python3 -c TEXT exhaust WANTED    so many of each (JSON); holds them until its input ends
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

#: The flag of each kind of namespace (namespaces(7)).
NAMESPACES = {
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
    "pid": 0x20000000,
    "user": 0x10000000,
}
#: Each kind: where root says how many of it a user may have, and how many of it a test takes, where
#: root can say so many.
ALLOWED = {
    "inotify_instances": ("fs/inotify/max_user_instances", 128),
    "inotify_watches": ("fs/inotify/max_user_watches", 20_000),
    "fanotify_groups": ("fs/fanotify/max_user_groups", 128),
    "fanotify_marks": ("fs/fanotify/max_user_marks", 20_000),
} | {f"{kind}_namespaces": (f"user/max_{kind}_namespaces", 200) for kind in NAMESPACES}
#: What the kernel says where there are no more: ENOSPC, but of these.
REFUSED = dict.fromkeys(ALLOWED, "ENOSPC") | {
    "inotify_instances": "EMFILE",
    "fanotify_groups": "EMFILE",
    "message_queues": "EMFILE",
    "pending_signals": "EAGAIN",
}
#: Of these a service of a box may close one that it had before.
GIVEN_BACK = {"inotify_instances"}
#: How many a process holds by open files. Where it forks for each, it has to have few.
MANY, FEW = 15_000, 2_000
#: How deep user namespaces are made in each other; the kernel allows 32.
DEPTH = 30
WATCHED = "/tmp/watched"

libc = ctypes.CDLL(None, use_errno=True)
#: For children, that wait until nobody has the other end; and that end.
end, ours = os.pipe()


def text() -> str:
    """Return this program, for `python3 -c`."""
    return Path(__file__).read_text(encoding="utf-8")


def said(result: int) -> str:
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "made"


def unshare(kind: str) -> str:
    return said(libc.unshare(NAMESPACES[kind]))


def inotify() -> int:
    return int(libc.inotify_init1(0))


def watch(fd: int, path: str) -> int:
    return int(libc.inotify_add_watch(fd, path.encode(), 2))


def fanotify() -> int:
    return int(libc.fanotify_init(0x200, 0))


def mark(fd: int, path: str) -> int:
    return int(libc.fanotify_mark(fd, 1, ctypes.c_uint64(2), -100, path.encode()))


#: Each kind of object, how one is made, and what is added to it how.
OBJECTS: dict[str, tuple[Callable[[], int], str, Callable[[int, str], int]]] = {
    "inotify_instances": (inotify, "inotify_watches", watch),
    "fanotify_groups": (fanotify, "fanotify_marks", mark),
}


def queue() -> int:
    """Make a message queue without a name."""
    name = b"/counted"
    fd = int(libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None))
    if fd >= 0:
        libc.mq_unlink(name)
    return fd


def send() -> int:
    """Send us a signal that never comes."""
    number = signal.SIGRTMIN
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    return int(libc.sigqueue(os.getpid(), number, ctypes.c_void_p(0)))


#: What a limit of the process bounds (getrlimit(2)), counted by user.
LIMITED = {"message_queues": queue, "pending_signals": send}


def begin(work: Callable[[], Any]) -> int:
    """Do it in a child, which keeps what it made until we end; return where its answer comes."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(ours)
        answer = json.dumps(work())
        os.write(write, answer.encode())
        os.close(write)
        os.read(end, 1)
        os._exit(0)
    os.close(write)
    return read


def answer_of(read: int) -> Any:
    with os.fdopen(read) as file:
        return json.load(file)


def alone(directory: int) -> str:
    """Leave all mounts but one: each mount namespace has a copy of them."""
    if (answer := unshare("mnt")) != "made":
        return answer
    private, detach, pivot_root = 0x44000, 2, b"."
    assert libc.mount(b"none", b"/", None, private, None) == 0
    assert libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0
    os.chdir("/mnt")
    number = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
    assert libc.syscall(number, pivot_root, pivot_root) == 0
    assert libc.umount2(b".", detach) == 0
    return answer


def held_by_files(kind: str, wanted: int) -> tuple[int, str]:
    directory = os.open("/proc/self/ns", os.O_RDONLY)
    name = "time_for_children" if kind == "time" else kind
    made, answer = 0, alone(directory) if kind == "mnt" else "made"
    while answer == "made" and made < wanted:
        if (answer := unshare(kind)) == "made":
            os.open(name, os.O_RDONLY, dir_fd=directory)
            made += 1
    return made, answer


def of_pids(wanted: int) -> tuple[int, str]:
    """A pid namespace has a file from its first process on, which may end at once."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    made, answer = 0, "made"
    while made < wanted and (answer := unshare("pid")) == "made":
        try:
            os.posix_spawn("/", ["none"], {})
        except PermissionError:
            os.open("/proc/self/ns/pid_for_children", os.O_RDONLY)
        assert libc.setns(own, NAMESPACES["pid"]) == 0
        made += 1
    return made, answer


def nested_users(wanted: int) -> tuple[int, str]:
    """Make user namespaces, each in the one before; the last one keeps all."""
    made, answer = 0, "made"
    while made < wanted and (answer := unshare("user")) == "made":
        for name, line in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
        made += 1
    return made, answer


def of_users(wanted: int) -> tuple[int, str]:
    made, answer = 0, "made"
    while made < wanted and answer == "made":
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, json.dumps(nested_users(min(wanted - made, DEPTH))).encode())
            signal.pause()
        more, answer = json.loads(os.read(read, 100))
        made += more
        os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
    return made, answer


def namespaces(kind: str, wanted: int) -> tuple[int, str]:
    """Make them in as many processes as it takes."""
    make = {"pid": of_pids, "user": of_users}.get(kind, partial(held_by_files, kind))
    size = FEW if kind == "pid" else MANY
    parts = [min(size, wanted - start) for start in range(0, wanted, size)]
    begun = [begin(partial(make, part)) for part in parts]
    answers = list(map(answer_of, begun))
    refused = [answer for _, answer in answers if answer != "made"]
    return sum(made for made, _ in answers), (refused or ["made"])[0]


def objects() -> dict[str, tuple[int, str]]:
    files = [f"{WATCHED}/{number}" for number in range(1000)]
    os.makedirs(WATCHED)
    for path in files:
        Path(path).touch()
    found = {}
    for kind, (make, each, add) in OBJECTS.items():
        fds = []
        while (fd := make()) >= 0:
            fds.append(fd)
        found[kind] = len(fds), said(fd)
        made, result = 0, 0
        for fd, path in ((fd, path) for fd in fds for path in files):
            if (result := add(fd, path)) < 0:
                break
            made += 1
        found[each] = made, said(result)
    for kind, make in LIMITED.items():
        made = 0
        while (result := make()) >= 0:
            made += 1
        found[kind] = made, said(result)
    return found


def exhaust(wanted: dict[str, int]) -> dict[str, tuple[int, str]]:
    """Return how many there were of each kind, and what the kernel said in the end."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = {}
    for kind in NAMESPACES:
        found[f"{kind}_namespaces"] = namespaces(kind, wanted[f"{kind}_namespaces"])
    # Objects last: what services of the box give back meanwhile is taken as well.
    return found | objects()


def take(user: str = "") -> dict[str, str]:
    """Return what the kernel says to one more of each kind."""
    if user:
        # SECBIT_NO_SETUID_FIXUP: capabilities stay.
        assert libc.prctl(28, 4) == 0
        os.setresuid(*[int(user)] * 3)
    reads = {kind: begin(partial(unshare, kind)) for kind in NAMESPACES}
    found = {f"{kind}_namespaces": str(answer_of(read)) for kind, read in reads.items()}
    for kind, (make, each, add) in OBJECTS.items():
        fd = make()
        found[kind] = said(fd)
        found[each] = said(fd) if fd < 0 else said(add(fd, "/tmp"))
    return found | {kind: said(make()) for kind, make in LIMITED.items()}


if __name__ == "__main__":
    if sys.argv[1] == "take":
        print(json.dumps(take(*sys.argv[2:])))
    else:
        print(json.dumps(exhaust(json.loads(sys.argv[2]))), flush=True)
        sys.stdin.read()
