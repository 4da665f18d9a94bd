"""What a box sees of the machine: its own limits, and as little of the host as can be."""

import contextlib
import json
import os

import pytest

from containai.engine import lxcfs
from harness.lxcfs import FILES_OF_LXCFS, KEPT_BY_LXCFS, readable
from harness.waiting import until

MEMORY = 512 << 20

FIGURES = r"""
free -b | awk '/^Mem:/ { print $2 } /^Swap:/ { print $2 }'
nproc
python3 -c 'import os; print(os.cpu_count())'
getconf _NPROCESSORS_ONLN
grep -c '^processor' /proc/cpuinfo
grep -c '^cpu[0-9]' /proc/stat
cut -d. -f1 /proc/uptime
cut -d' ' -f3 /proc/loadavg
wc -l </proc/swaps
"""

needs_lxcfs = pytest.mark.skipif(
    lxcfs.missing() == lxcfs.DEVICE, reason="FUSE is not to be had on this machine"
)


@pytest.fixture(scope="module")
def limited(make_lasting):
    space = make_lasting("limited")
    space.site.cai("run", "--memory", "512m", "--cpus", "1", space.path, "--", "true")
    return space


@needs_lxcfs
def test_the_box_tells_its_own_limits(limited):
    seen = list(map(float, limited.sh(FIGURES).split()))
    assert seen[:2] == [MEMORY, 0]
    assert seen[2:7] == [1] * 5
    with open("/proc/uptime", encoding="ascii") as file:
        host = float(file.read().split()[0])
    assert seen[7] < host
    assert seen[9] == 1  # the heading alone
    # It is not simply what this machine has.
    assert os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > MEMORY


def test_a_plain_container_is_left_as_docker_makes_it(site, shared):
    image = shared.inspect()["Image"]
    script = "grep -c -e lxcfs -e /dev/.containai /proc/self/mountinfo; ls /sys/class/block | wc -l"
    seen = site.docker("run", "--rm", image, "sh", "-c", script).split()
    assert seen == ["0", str(len(os.listdir("/sys/class/block")))]


def test_limits_hold_and_can_be_changed(limited):
    grow = "print(len(b'x' * int(__import__('sys').argv[1])) >> 20)"
    room, more = str(100 << 20), str(700 << 20)
    assert limited.run("python3", "-c", grow, room).stdout == b"100\n"
    # The shell stays, and tells how it ended.
    killed = f'python3 -c "$0" {more}; echo $?'
    assert limited.run("sh", "-c", killed, grow).stdout.split()[-1] == b"137"
    limited.site.cai("run", "--memory", "1g", limited.path, "--", "true")
    assert limited.run("python3", "-c", grow, more).stdout == b"700\n"
    limited.site.cai("run", "--memory", "512m", limited.path, "--", "true")
    host = limited.inspect()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (MEMORY, MEMORY, 10**9)
    assert host["CpusetCpus"].isdigit()


def processes_of_lxcfs(site):
    """Return the pids of lxcfs's keeper, and of lxcfs: 0 while it is started again."""
    keeper = lxcfs.keeper(site.layout)
    with open(f"/proc/{keeper}/task/{keeper}/children", encoding="ascii") as file:
        return keeper, int((file.read().split() or "0")[0])


@needs_lxcfs
def test_a_box_outlives_its_lxcfs(site, limited):
    _, child = processes_of_lxcfs(site)
    os.kill(child, 9)
    until(lambda: processes_of_lxcfs(site)[1] not in (0, child) and readable(limited))
    # Alone, lxcfs goes on; the next command starts what keeps it alive.
    keeper, child = processes_of_lxcfs(site)
    os.kill(keeper, 9)
    until(lambda: lxcfs.keeper(site.layout) == 0)
    assert readable(limited)
    site.cai("engine", "start")
    until(lambda: not os.path.exists(f"/proc/{child}"))
    assert readable(limited)
    # Both at once: its files are dead until then.
    keeper, child = processes_of_lxcfs(site)
    os.kill(keeper, 9)
    os.kill(child, 9)
    until(lambda: limited.run("cat", "/proc/uptime", check=False).returncode == 1)
    site.cai("engine", "start")
    until(lambda: readable(limited))
    assert float(limited.sh(FIGURES).split()[0]) == MEMORY
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert f"cai-lxcfs-{site.layout.id_window[0]:x}" not in file.read()


@needs_lxcfs
def test_without_lxcfs_a_box_sees_the_kernels_own_files(site, limited):
    config = os.path.join(site.layout.runtime_dir, "runtime.json")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    with contextlib.ExitStack() as undo:
        undo.callback(site.cai, "setup", "--yes")
        with open(config, "w", encoding="utf-8") as file:
            file.write(json.dumps(json.loads(text) | {"lxcfs": "/nonexistent"}))
        os.kill(lxcfs.keeper(site.layout), 15)
        until(lambda: lxcfs.keeper(site.layout) == 0)
        # What it had is taken away at once, and a box starts without.
        assert limited.sh(f"{KEPT_BY_LXCFS}; head -c 8 /proc/meminfo") == "0\nMemTotal"
        limited.site.cai("stop", limited.path)
        assert limited.sh(f"{KEPT_BY_LXCFS}; systemctl is-system-running --wait") == "0\nrunning"
    limited.site.cai("stop", limited.path)
    assert limited.sh(KEPT_BY_LXCFS) == str(FILES_OF_LXCFS)


SANDBOXES = r"""
unshare --user --map-root-user --pid --fork --mount-proc sh -c 'echo $$'
unshare --user --map-root-user --net --mount sh -c 'mount -t sysfs none /sys && ls /sys/class/net'
bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
    --symlink usr/lib64 /lib64 --proc /proc --dev /dev sh -c 'echo $$'
bwrap --dev-bind / / --unshare-user --unshare-pid --proc /proc sh -c 'test -d /proc/2; echo $?'
"""
#: Without the untouched proc, what is mounted in /proc keeps the kernel from allowing another.
WITHOUT = r"""
sudo unshare --mount sh -c 'umount /dev/.containai/proc && exec setpriv --reuid agent \
    --regid agent --clear-groups unshare --user --map-root-user --pid --fork --mount-proc true'
"""


def test_rootless_containers_find_their_devices(shared):
    modes = shared.sh("stat -c '%F %a %t:%T' /dev/fuse /dev/net/tun").splitlines()
    assert modes == ["character special file 666 a:e5", "character special file 666 a:c8"]
    shared.run("python3", "-c", "import os; os.open('/dev/fuse', os.O_RDWR)")


def test_sandboxes_in_a_box_mount_a_proc_and_a_sysfs_of_their_own(shared):
    assert shared.sh(SANDBOXES).split() == ["1", "lo", "2", "0"]
    assert shared.run("sh", "-c", WITHOUT, check=False).returncode != 0


LOOK = r"""
import json, os, sys

def look(path):
    try:
        if os.path.isdir(path):
            return "empty" if not os.listdir(path) else "something"
        with open(path, "rb") as file:
            return "something" if file.read(200).strip(b"\0 \n") else "empty"
    except FileNotFoundError:
        return "absent"
    except OSError as refused:
        return "refused"

print(json.dumps({path: look(path) for path in sys.argv[1:]}))
"""
GONE = """
/proc/kcore /proc/kmsg /proc/keys /proc/timer_list /proc/sched_debug /proc/sysrq-trigger
/proc/slabinfo /proc/vmallocinfo /proc/pagetypeinfo /proc/kpagecount /proc/kpageflags
/proc/interrupts /proc/partitions /proc/acpi /proc/scsi /proc/asound /proc/latency_stats
/proc/fs/ext4 /proc/fs/jbd2 /proc/fs/xfs /sys/fs/ext4 /sys/fs/xfs /sys/kernel/vmcoreinfo
/sys/firmware /sys/kernel/debug /sys/kernel/tracing /sys/kernel/security /sys/fs/bpf /sys/fs/pstore
/sys/block /sys/class/block /sys/dev/block /sys/devices/virtual/powercap
/dev/mem /dev/kmem /dev/port /dev/kmsg /dev/sda /dev/vda /dev/nvme0n1 /dev/loop0 /dev/dm-0
""".split()  # noqa: SIM905


def test_the_hosts_own_is_gone_or_unreadable(shared):
    for user in ([], ["sudo"]):
        seen = json.loads(shared.run(*user, "python3", "-c", LOOK, *GONE).stdout)
        assert {path: how for path, how in seen.items() if how == "something"} == {}
        assert len(seen) == len(GONE)
    # It can tell something from nothing.
    control = json.loads(shared.run("python3", "-c", LOOK, "/proc/version", "/proc/net").stdout)
    assert set(control.values()) == {"something"}
    names = shared.sh("cd /dev && find . -type b; find . -type c -printf '%f\n' | sort -u").split()
    terminals = {name for name in names if name.isdigit() or name == "console"}
    assert set(names) - terminals <= {
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "fuse", "tun",
    }  # fmt: skip


UNREADABLE = r"""
sudo awk '$1 !~ /^0+$/' /proc/kallsyms | head -1
sudo dmesg 2>/dev/null | wc -l
ps -e -o comm= | grep -c -e dockerd -e containerd-shim -e kthreadd
hostname
lsblk --noheadings 2>&1 | wc -l
"""


def test_the_kernels_log_its_addresses_and_the_hosts_processes_are_out_of_sight(shared):
    assert shared.sh(UNREADABLE).splitlines() == ["0", "1", shared.box, "0"]


def test_paths_of_the_host_show_only_for_what_is_mounted_from_it(site, shared):
    roots = shared.sh("awk '{ print $4 }' /proc/self/mountinfo").split()
    # As seen from the root of their file system, which may be mounted at /tmp.
    top = f"/{os.path.basename(site.root)}/"
    ours = [each.partition(top)[2] for each in roots if top in each]
    assert ours
    known = [os.path.relpath(each, site.root) for each in (site.layout.engine_data, shared.path)]
    assert [each for each in ours if not each.startswith(tuple(known))] == []


WRITABLE = r"""
import os
for directory, _, names in os.walk("/proc/sys"):
    for name in names:
        path = os.path.join(directory, name)
        try:
            os.close(os.open(path, os.O_WRONLY))
            print(path[10:])
        except OSError:
            pass
"""
#: Those that belong to a namespace of the box: network, IPC (with message queues), process ids
#: (pid_max from Linux 6.14 on), and the limits of the user namespace.
NAMESPACED = (
    "net/",
    "user/",
    "fs/mqueue/",
    "fs/binfmt_misc/",
    "kernel/msg",
    "kernel/sem",
    "kernel/shm",
)
NAMESPACED_NAMES = {
    "kernel/auto_msgmni", "kernel/ns_last_pid", "kernel/pid_max", "kernel/hostname",
    "kernel/domainname",
}  # fmt: skip
DANGEROUS = """
kernel/core_pattern kernel/modprobe kernel/sysrq kernel/panic kernel/hotplug kernel/poweroff_cmd
kernel/randomize_va_space kernel/kptr_restrict kernel/dmesg_restrict kernel/yama/ptrace_scope
kernel/unprivileged_bpf_disabled kernel/perf_event_paranoid kernel/threads-max kernel/printk
vm/overcommit_memory vm/drop_caches vm/mmap_min_addr vm/swappiness vm/panic_on_oom
fs/file-max fs/suid_dumpable fs/protected_symlinks fs/pipe-max-size fs/nr_open
""".split()  # noqa: SIM905


def test_only_sysctls_of_the_boxs_own_namespaces_can_be_written(shared):
    seen = shared.run("sudo", "python3", "-c", WRITABLE).stdout.decode().split()
    assert "net/ipv4/ip_forward" in seen
    foreign = [
        name for name in seen if not name.startswith(NAMESPACED) and name not in NAMESPACED_NAMES
    ]
    assert foreign == []
    assert [name for name in DANGEROUS if name in seen] == []
