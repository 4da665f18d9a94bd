"""Two boxes and the host are out of each other's reach.

Most attacks are tried twice: from inside a box, where namespaces hide the victim, and with a box's
ids and capabilities but on the host's own process, file and cgroup trees (`nsenter --user`), where
only the ids protect it. Every attack is also made on something of the attacker's own, where it
succeeds: so it is known to be one.
"""

import contextlib
import json
import os
import socket
import subprocess

import pytest

#: Tries every attack on processes of its arguments; prints what succeeded.
ON_PROCESSES = r"""
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def succeeds(act):
    try:
        act()
        return True
    except OSError:
        return False
def seize(pid):
    if libc.ptrace(0x4206, pid, None, None) != 0:  # PTRACE_SEIZE, ends with us
        raise OSError(ctypes.get_errno(), "")
def peek(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        mem.seek(int(maps.read().split("-")[0], 16))
        mem.read(4)
acts = {
    "signal": lambda pid: os.kill(pid, 0),
    "trace": seize,
    "memory": peek,
    "files": lambda pid: os.listdir(f"/proc/{pid}/root"),
    "environment": lambda pid: open(f"/proc/{pid}/environ").read(),
    "descriptors": lambda pid: os.listdir(f"/proc/{pid}/fd"),
    "priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 5),
    "oom": lambda pid: open(f"/proc/{pid}/oom_score_adj", "w").write("1000"),
}
pids = map(int, sys.argv[1:])
print(json.dumps([[n for n, act in acts.items() if succeeds(lambda: act(pid))] for pid in pids]))
"""
ALL = ["signal", "trace", "memory", "files", "environment", "descriptors", "priority", "oom"]


class Pair:
    """Two running boxes, each with a process that sleeps."""

    def __init__(self, site, one, other):
        self.site, self.one, self.other = site, one, other
        self.sleepers = {space: self._sleeper(space) for space in (one, other)}

    @staticmethod
    def init(space):
        return space.inspect()["State"]["Pid"]

    def _sleeper(self, space):
        """Start it as the box's root; return its pid in the box and on the host."""
        script = "setsid sleep 86421 >/dev/null 2>&1 & echo $!; exec sleep 0.1"
        inside = int(space.run("sudo", "sh", "-c", script).stdout.split()[0])
        namespace = os.readlink(f"/proc/{self.init(space)}/ns/pid")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    numbers = next(line for line in file if line.startswith("NSpid:")).split()
                if int(numbers[-1]) == inside and os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                    return inside, int(pid)
            except (OSError, StopIteration):
                continue
        raise AssertionError("not found on the host")

    def within(self, space, script, *words):
        """Run a script as the root of a box; return what it printed, from JSON."""
        done = space.run("sudo", "python3", "-c", script, *map(str, words))
        return json.loads(done.stdout)

    def with_ids(self, space, script, *words):
        """Run a script on the host's own trees, with the ids and capabilities of a box's root."""
        enter = ["nsenter", "--target", str(self.init(space)), "--user", "--setuid", "0"]
        argv = [*enter, "--setgid", "0", "/usr/bin/python3", "-c", script, *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/")
        return json.loads(done.stdout)

    def address(self, space):
        return space.inspect()["NetworkSettings"]["IPAddress"]


@pytest.fixture(scope="module")
def pair(site, make_lasting):
    spaces = [make_lasting(name) for name in ("one", "other")]
    starts = [
        site.start("run", space.path, "--", "true", stdin=subprocess.DEVNULL) for space in spaces
    ]
    assert [start.wait() for start in starts] == [0, 0]
    return Pair(site, *spaces)


def test_processes(pair):
    own, others = pair.sleepers[pair.one], pair.sleepers[pair.other]
    mine = os.getpid()
    # Inside, pids are the box's own; a number of the host's is nobody there, or one of its own.
    assert pair.within(pair.one, ON_PROCESSES, own[0]) == [ALL]
    assert pair.one.sh("ps -e -o args= | grep -c '^sleep 86421'") == "1"
    # Without pid namespaces the ids would still protect everybody else.
    host = pair.with_ids(pair.one, ON_PROCESSES, own[1], others[1], pair.init(pair.other), mine, 1)
    assert host[0] == ALL
    assert host[1:] == [[]] * 4


ON_FILES = r"""
import json, os, sys
def attempt(path, flags):
    try:
        os.close(os.open(path, flags))
        return True
    except OSError:
        return False
modes = (os.O_RDONLY, os.O_WRONLY)
print(json.dumps([[attempt(path, mode) for mode in modes] for path in sys.argv[1:]]))
"""


def test_files(pair):
    private = []
    for space in (pair.one, pair.other):
        # As the boxes make them, with modes that let everybody in.
        space.sh(
            "umask 0; echo secret >mine; mkdir -p ~/d; echo secret >~/d/kept;"
            "echo secret >/mnt/agent-data/kept;"
            "sudo sh -c 'umask 0; echo secret >/var/lib/docker/kept; echo secret >/etc/kept'"
        )
        found = space.inspect()
        layers = found["GraphDriver"]["Data"]
        volumes = [each["Source"] for each in found["Mounts"] if each["Type"] == "volume"]
        tops = [f"{layers['UpperDir']}/etc", f"{layers['UpperDir']}/home/agent/d", *volumes]
        private.append([f"{top}/kept" for top in tops])
    for path in [*private[0], *private[1]]:
        assert os.path.isfile(path)
    assert len(private[0]) == 4
    for victim in private:
        assert pair.with_ids(pair.one, ON_FILES, *victim) == [[False, False]] * len(victim)
    hosts = [pair.site.layout.ssh_key, pair.site.layout.engine_config, "/etc/shadow", "/dev/mem"]
    seen = pair.with_ids(pair.one, ON_FILES, *hosts, pair.site.layout.engine_socket)
    assert [writable for _, writable in seen] == [False] * 5
    assert [readable for readable, _ in seen] == [False, True, False, False, False]
    # Nothing of the other is anywhere in its tree, and a disk of the host's cannot be made.
    script = (
        "sudo grep -rs --include=kept -l secret / --exclude-dir=proc --exclude-dir=sys; cat mine"
    )
    assert set(pair.one.sh(script).split()) == {
        "/home/agent/d/kept", "/etc/kept", "/var/lib/docker/kept", "/mnt/agent-data/kept", "secret",
    }  # fmt: skip
    disk = os.stat("/").st_dev
    make = f"cd /dev/shm && mknod disk b {os.major(disk)} {os.minor(disk)} && head -c 1 disk"
    assert pair.one.run("sudo", "sh", "-c", make, check=False).returncode != 0


def test_a_file_of_the_others_workspace(pair):
    path = os.path.join(pair.other.path, "private")
    with open(path, "w", encoding="ascii") as file:
        file.write("secret")
    os.chmod(path, 0o600)
    assert pair.with_ids(pair.one, ON_FILES, path) == [[False, False]]
    assert pair.one.sh("ls /home/agent/workspace").split() == ["mine"]
    assert pair.other.sh("cat private") == "secret"


MOUNT_CGROUPS = r"""
cd /tmp && mkdir -p c
for kind in memory cpu pids devices freezer cpuset blkio; do
    mount -t cgroup -o $kind none c 2>/dev/null || continue
    echo "mounted $kind"
    ls c/release_agent 2>/dev/null
    sh -c 'echo $$ >c/cgroup.procs' 2>/dev/null && echo "joined $kind"
    for file in c/memory.limit_in_bytes c/cpu.cfs_quota_us c/pids.max; do
        [ ! -e $file ] || (echo -1 >$file) 2>/dev/null && [ -e $file ] && echo "raised $file"
    done
    find c -mindepth 1 -maxdepth 2 -type d
    umount c
done
mount -t cgroup2 none c && find c /sys/fs/cgroup -name "*$VICTIM*"
mkdir c/own && sh -c 'echo $$ >c/own/cgroup.procs' && echo "joined own"
rmdir c/own; umount c
"""
JOIN = r"""
import json, os, sys
def attempt(path):
    try:
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        return True
    except OSError:
        return False
found = [p for p in sys.argv[1:] if os.path.exists(p)]
print(json.dumps([len(found), [path for path in found if attempt(path)]]))
"""


def cgroup_files(pid):
    """Return the cgroup.procs of a process, and the limits beside it, in every hierarchy."""
    found = []
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        rows = [line.strip().split(":", 2) for line in file]
    for _, kind, path in rows:
        names = [f"/sys/fs/cgroup/{kind.removeprefix('name=')}", "/sys/fs/cgroup/unified"]
        roots = names[:1] if kind else [*names[1:], "/sys/fs/cgroup"]
        for root in roots:
            for name in ("cgroup.procs", "memory.limit_in_bytes", "memory.max", "release_agent"):
                found.append(f"{root}{path}/{name}")
    return found


def test_cgroups(pair):
    victim = pair.other.inspect()["Id"]
    done = pair.one.run("sudo", "env", f"VICTIM={victim}", "sh", "-c", MOUNT_CGROUPS)
    seen = done.stdout.decode().splitlines()
    assert seen.pop() == "joined own"
    # On a host with v1 controllers they can be mounted: the box's own part, and nothing writable.
    assert [line for line in seen if not line.startswith("mounted ")] == []
    files = cgroup_files(pair.init(pair.other)) + cgroup_files(1) + ["/sys/fs/cgroup/cgroup.procs"]
    there, joined = pair.with_ids(pair.one, JOIN, *files)
    assert there
    assert joined == []


KEYS = r"""
import ctypes, errno, json, platform
libc = ctypes.CDLL(None, use_errno=True)
ADD, REQUEST, CTL = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]
USER, DESCRIBE, UNLINK = -4, 6, 9
def said(*words):
    got = libc.syscall(*(ctypes.c_long(w) if isinstance(w, int) else w for w in words))
    return got if got >= 0 else errno.errorcode[ctypes.get_errno()]
key = said(ADD, b"user", b"cai-test", b"secret", 6, USER)
seen = said(REQUEST, b"user", b"cai-test", None, 0), said(CTL, DESCRIBE, USER, 0, 0)
dropped = said(CTL, UNLINK, key, USER) if isinstance(key, int) else key
print(json.dumps([key, *seen, dropped]))
"""


def test_keyrings(pair):
    assert pair.within(pair.one, KEYS) == ["ENOSYS"] * 4
    done = subprocess.run(["/usr/bin/python3", "-c", KEYS], capture_output=True, check=True)
    key, _, described, dropped = json.loads(done.stdout)
    # The calls themselves work: the host's root has keys.
    assert [type(each) for each in (key, described)] == [int, int]
    assert dropped == 0


SEGMENT = "import ctypes; print(ctypes.CDLL(None).shmget(0x5eed, 4096, {flags}))"
SERVE = r"""
import os, socket
server = socket.socket(socket.AF_UNIX); server.bind("\0cai-test"); server.listen()
if os.fork() == 0:
    os.setsid(); os.close(0); os.close(1); os.close(2)
    import time; time.sleep(300); os._exit(0)
"""
CONNECT = r"""
import socket
print(socket.socket(socket.AF_UNIX).connect_ex("\0cai-test"))
"""


def test_shared_memory_and_abstract_sockets(pair):
    def python(space, script):
        return space.run("python3", "-c", script).stdout.strip()

    assert int(python(pair.other, SEGMENT.format(flags="0o1666"))) >= 0
    assert int(python(pair.other, SEGMENT.format(flags="0"))) >= 0
    assert int(python(pair.one, SEGMENT.format(flags="0"))) == -1
    pair.other.sh("echo secret >/dev/shm/kept")
    assert pair.one.run("cat", "/dev/shm/kept", check=False).returncode == 1
    python(pair.other, SERVE)
    assert python(pair.other, CONNECT) == b"0"
    assert python(pair.one, CONNECT) != b"0"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0cai-test")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0cai-test")
        assert python(pair.one, CONNECT) != b"0"


REACH = r"""
import fcntl, json, socket, struct, sys
gateway, victim, port, link_local = sys.argv[1:5]

def tcp(address, family=socket.AF_INET, seconds=2):
    with socket.socket(family) as client:
        client.settimeout(seconds)
        try:
            client.connect(address)
            return client.recv(4).decode()
        except OSError:
            return ""

def arp(target, seconds=2):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    raw.bind(("eth0", 0))
    raw.settimeout(seconds)
    mac = raw.getsockname()[4]
    own = fcntl.ioctl(raw, 0x8915, struct.pack("256s", b"eth0"))[20:24]
    head = b"\xff" * 6 + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1)
    raw.send(head + mac + own + bytes(6) + socket.inet_aton(target))
    try:
        while True:
            frame = raw.recv(100)
            if frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(target):
                return True
    except TimeoutError:
        return False

open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "w").write("0")
scope = socket.if_nametoindex("eth0")
print(json.dumps({
    # What answers may take its time on a busy machine.
    "host": tcp((gateway, int(port)), seconds=30),
    "box": tcp((victim, 22)),
    "published": tcp((gateway, int(sys.argv[5]))),
    "ipv6": tcp((link_local, 22, 0, scope), socket.AF_INET6),
    "arp of the host": arp(gateway, seconds=30),
    "arp of the box": arp(victim),
}))
"""
WITH_IPV6 = r"""
echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
until ip -6 -oneline address show dev eth0 scope link -tentative | grep -q inet6; do sleep 0.1; done
ip -6 -oneline address show dev eth0 scope link | sed 's|.*inet6 \([^/]*\)/.*|\1|'
"""


def test_network(pair):
    victim = pair.address(pair.other)
    gateway = pair.one.inspect()["NetworkSettings"]["Gateway"]
    # Nothing between them in the victim: it even turns IPv6 on.
    link_local = pair.other.run("sudo", "sh", "-c", WITH_IPV6).stdout.decode().strip()
    with socket.create_connection((victim, 22), timeout=60) as control:
        assert control.recv(4) == b"SSH-"
    with contextlib.ExitStack() as undo:
        server = undo.enter_context(socket.create_server((gateway, 0)))
        port = server.getsockname()[1]
        undo.enter_context(pair.site.opened(port))
        words = [gateway, victim, port, link_local, pair.other.port]
        argv = ["run", pair.one.path, "--", "sudo", "python3", "-c", REACH, *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        with pair.site.start(*argv, **pipes) as attack:
            server.settimeout(60)
            with server.accept()[0] as client:
                client.sendall(b"host")
            seen = json.loads(attack.communicate()[0])
    # What the user opened; test_network.py has what nobody did.
    assert seen.pop("host") == "host"
    assert seen.pop("arp of the host") is True
    assert seen == {"box": "", "published": "", "ipv6": "", "arp of the box": False}
    route_localnet = f"/proc/sys/net/ipv4/conf/{pair.site.layout.bridge}/route_localnet"
    with open(route_localnet, encoding="ascii") as file:
        assert file.read() == "0\n"
