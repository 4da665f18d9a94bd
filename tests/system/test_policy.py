"""Who decides what: rights belong to whoever makes a container, ids and devices to the runtime."""

import json
import os

import pytest

#: What a process may do, as the kernel tells it, and what it finds confined.
LOOK = r"""
grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status
awk '$2 ~ "^/(sys|proc)" { print $2, substr($4, 1, 2) }' /proc/self/mounts | sort
ulimit -n; ulimit -Hn
cat /proc/self/oom_score_adj
head -c 1 /proc/kcore | wc -c
(echo 1 >/proc/sys/net/ipv4/ip_forward) && echo sysctl
unshare --mount true && echo unshare
mount -t tmpfs none /mnt && echo mount
chown 1:1 /tmp && echo chown
true
"""
#: bpf(2) and perf_event_open(2) by the number that x86_64 and aarch64 have for them.
CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for number in ((321, 298) if os.uname().machine == "x86_64" else (280, 241)):
    libc.syscall(number, -1, 0, 0, 0, 0)
    print(ctypes.get_errno())
"""

#: The kernel's 32 bit entry, in which any program may ask, and socketcall(2) of it: the answers for
#: AF_INET and AF_VSOCK. Then which families socket(2) has. EINVAL and the like are the kernel's.
SOCKETS = r"""
import ctypes, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
def low(data):
    at = libc.mmap(None, 4096, 7, 0x62, -1, 0)
    ctypes.memmove(at, data, len(data))
    return at
def socketcall(family):
    words = struct.pack("<I", low(struct.pack("<3I", family, 1, 0)))
    code = b"\x53\xb8\x66\0\0\0\xbb\x01\0\0\0\xb9" + words + b"\xcd\x80\x5b\xc3"
    return ctypes.CFUNCTYPE(ctypes.c_int)(low(code))()
if os.uname().machine == "x86_64":
    print(*map(socketcall, (2, 40)))
else:
    print(-38, -38)
for make in socket.socket, socket.socketpair:
    there = []
    for family in range(64):
        try:
            make(family, 15)
        except OSError as error:
            error.errno in (1, 38) or there.append(family)
    print(*there)
"""


def run(site, *options, runtime="cai-runc", script=LOOK):
    image = "ghcr.io/containai/base:latest"
    return site.docker(
        "run", "--rm", "--network=none", f"--runtime={runtime}", *options, image, "sh", "-c", script
    ).splitlines()


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--cap-drop=ALL"],
        ["--cap-drop=ALL", "--cap-add=CHOWN", "--user=1000"],
        ["--security-opt=no-new-privileges", "--ulimit=nofile=77:88", "--oom-score-adj=100"],
        ["--security-opt=systempaths=unconfined"],
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_a_container_is_confined_as_with_runc(site, options):
    ours, theirs = run(site, *options), run(site, *options, runtime="runc")
    if "--security-opt=systempaths=unconfined" in options:
        # Its own /sys and cgroups are writable; the host's /proc/kcore is not even root's to read.
        ours, theirs = ([x for x in each if "/sys" not in x] for each in (ours, theirs))
    assert ours == theirs


def test_cap_sys_admin_is_enough_for_mounts(site):
    assert run(site, "--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined")[-3:] == [
        "unshare",
        "mount",
        "chown",
    ]


def test_privileged_gives_no_device_of_the_host(site):
    script = (
        "grep ^CapEff /proc/self/status; cat /proc/self/uid_map; "
        "find /dev -type b; find /dev -type c -printf '%f\\n' | sort"
    )
    caps, ids, *devices = run(site, "--privileged", script=script)
    # All that this Docker knows: up to CAP_AUDIT_READ, or more.
    assert int(caps.split()[1], 16) & (1 << 38) - 1 == (1 << 38) - 1
    assert ids.split()[1] != "0"
    safe = {"full", "fuse", "null", "ptmx", "random", "tty", "tun", "urandom", "zero"}
    assert set(devices) - {"console"} <= safe


def test_bpf_and_perf_are_there_for_who_asks(site):
    everything = ["--privileged", "--security-opt=seccomp=unconfined"]
    script = f"python3 -c '{CALLS}'"
    assert run(site, *everything, script=script) == ["1", "1"]
    profile = os.path.join(site.root, "asking.json")
    rules = [{"names": ["bpf", "perf_event_open"], "action": "SCMP_ACT_LOG"}]
    with open(profile, "w", encoding="utf-8") as file:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, file)
    asked = ["--cap-add=ALL", f"--security-opt=seccomp={profile}"]
    # EINVAL and EFAULT: the kernel looked at the arguments.
    assert "1" not in run(site, *asked, script=script)


def test_sockets_are_of_five_families_also_by_way_of_32_bit(shared):
    done = shared.run("sudo", "python3", "-c", SOCKETS)
    # Not there, or, where all that is not named is not there (seccomp.unnamed), refused.
    by_32_bit, *families = done.stdout.decode().splitlines()
    assert by_32_bit in ("-38 -38", "-1 -1")
    assert families == ["1 2 10 16 17", "1"]


def test_exec_has_the_rights_of_the_box(site, shared):
    # Sysbox gives root's processes their capabilities as ambient ones, too.
    look = "grep -E '^(Cap[^A]|Seccomp|NoNew)' /proc/self/status; cat /proc/self/uid_map"
    session = shared.sh(f"sudo sh -c {look!r}")
    as_root = site.docker("exec", shared.box, "sh", "-c", look)
    assert as_root == session
    assert int(as_root.partition("CapBnd:")[2].split()[0], 16) & (1 << 38) - 1 == (1 << 38) - 1
    assert site.docker("exec", "--privileged", shared.box, "sh", "-c", look) == session
    # newuidmap is set-uid root and needs CAP_SYS_ADMIN, sudo needs that privileges can be new.
    helpers = "unshare --user --map-auto true && sudo id -u && grep ^CapEff /proc/self/status"
    words = site.docker("exec", "--user=agent", shared.box, "sh", "-c", helpers).split()
    assert words == ["0", "CapEff:", "0000000000000000"]
    assert site.docker("exec", "--tty", shared.box, "tty").startswith("/dev/pts/")


def test_exec_is_confined_as_its_container_is(site, shared):
    options = ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]
    image = shared.inspect()["Image"]
    container = site.docker("run", "--detach", *options, image, "sleep", "infinity")
    try:
        words = site.docker("exec", container, "grep", "-E", "^(CapBnd|NoNew)", "/proc/self/status")
        assert words.split() == ["CapBnd:", "0000000000000000", "NoNewPrivs:", "1"]
        # More capabilities, as with runc, but of the container's own namespace, filter and paths.
        script = "cat /proc/self/uid_map; cat /proc/sysrq-trigger; find /dev -type b"
        ids = site.docker("exec", "--privileged", container, "sh", "-c", script).split()
        assert len(ids) == 3
        assert ids[1] != "0"
        bpf = ["exec", "--privileged", container, "python3", "-c", CALLS]
        assert site.docker(*bpf).split() == ["1", "1"]
    finally:
        site.docker("rm", "--force", container)
