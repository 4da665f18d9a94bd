"""Faults of the host, the engine, the runtime and the network: each seen by name, and mended."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from containai import errors
from containai.engine import lxcfs, resolver
from containai.host import cgroups, files
from harness.faults import Fault, checks, try_out
from harness.site import Site, make_root, refused
from harness.space import Space
from harness.waiting import until

#: Somebody without any right on this machine.
NOBODY = 64999
#: A user of this machine who is given what is a box's.
NEWCOMER = "cai-t-newcomer"


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def alter(path: str, line: str = "# altered\n") -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(line)


def pid_of(path: str) -> int:
    return int(files.read(path) or "")


def engine_stopped(site: Site) -> None:
    site.cai("engine", "stop")


def engine_killed(site: Site) -> None:
    os.kill(pid_of(site.layout.engine_pidfile), signal.SIGKILL)


def engine_frozen(site: Site) -> None:
    os.kill(pid_of(site.layout.engine_pidfile), signal.SIGSTOP)


def containerd_frozen(site: Site) -> None:
    os.kill(pid_of(f"{site.layout.engine_exec}/containerd/containerd.pid"), signal.SIGSTOP)


def socket_of_somebody(site: Site) -> None:
    os.chown(site.layout.engine_socket, NOBODY, NOBODY)


def socket_for_all(site: Site) -> None:
    os.chmod(site.layout.engine_socket, 0o666)


def socket_and_pid_file_gone(site: Site) -> None:
    os.unlink(site.layout.engine_socket)
    os.unlink(site.layout.engine_pidfile)


def run_cleaned(site: Site) -> None:
    """As by who removes all of /run, but for what is mounted there."""
    socket_and_pid_file_gone(site)
    subprocess.run(
        ["rm", "-rf", "--one-file-system", site.layout.engine_exec],
        capture_output=True,
        check=False,
    )


def settings_altered(site: Site) -> None:
    alter(site.layout.engine_config, "\n")


def settings_cut(site: Site) -> None:
    os.truncate(site.layout.engine_config, 100)


def of_an_older_version(site: Site) -> None:
    with open(site.layout.version_file, "w", encoding="utf-8") as file:
        file.write("0.0.1\n")
    alter(f"{site.layout.runtime_dir}/containai_runtime/spec.py")


def runtime_gone(site: Site) -> None:
    os.unlink(site.layout.runtime_program)


def runtime_altered(site: Site) -> None:
    alter(site.layout.runtime_program)


def runtime_not_executable(site: Site) -> None:
    os.chmod(site.layout.runtime_program, 0o644)


def runtime_of_somebody(site: Site) -> None:
    os.chown(site.layout.runtime_program, NOBODY, NOBODY)


def network_not_executable(site: Site) -> None:
    os.chmod(site.layout.network_program, 0o644)


def record(site: Site) -> str:
    name = next(each for each in site.ranges() if each.endswith(".json"))
    return f"{site.layout.runtime_state}/ranges/{name}"


def record_cut(site: Site) -> None:
    os.truncate(record(site), 10)


def range_taken(site: Site) -> Callable[[], object]:
    first, _ = site.layout.stored_ids
    run("useradd", "--no-create-home", "--no-user-group", "--uid", str(first + 7), NEWCOMER)
    return lambda: run("userdel", NEWCOMER)


def lxcfs_dead(site: Site) -> None:
    keeper = lxcfs.keeper(site.layout)
    children = (files.read(f"/proc/{keeper}/task/{keeper}/children") or "").split()
    for pid in (keeper, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not lxcfs.keeper(site.layout))


def bridge_without_address(site: Site) -> None:
    run("ip", "-4", "address", "flush", "dev", site.layout.bridge)


def bridge_gone(site: Site) -> None:
    run("ip", "link", "delete", site.layout.bridge)


def table_flushed(site: Site) -> None:
    run("nft", "flush", "table", "ip", site.layout.bridge)


def tables_gone(site: Site) -> None:
    for family in ("ip", "ip6", "bridge"):
        run("nft", "delete", "table", family, site.layout.bridge)


def metadata_open(site: Site) -> None:
    run("nft", "flush", "chain", "ip", site.layout.bridge, "closed")


def frames_open(site: Site) -> None:
    run("nft", "flush", "chain", "bridge", site.layout.bridge, "prerouting")


def iptables_emptied(site: Site) -> None:
    run("iptables", "-w", "-D", "FORWARD", "-j", site.layout.bridge)


def forwarding_off(site: Site) -> None:
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("0")


def resolver_gone(site: Site) -> None:
    for process in resolver.processes_of(site.layout):
        children = files.read(f"/proc/{process.pid}/task/{process.pid}/children") or ""
        for pid in (process.pid, *map(int, children.split())):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not resolver.processes_of(site.layout))


def context_elsewhere(site: Site) -> None:
    words = ["docker", "context", "update", "docker-containai", "--docker", "host=unix:///none"]
    subprocess.run(words, env=site.environment, check=True, capture_output=True)


def context_gone(site: Site) -> None:
    shutil.rmtree(f"{site.home}/.docker/contexts")


def frozen_behind_the_engine(site: Site) -> None:
    box = min(site.docker("ps", "--format", "{{.Names}}").split())
    found = site.inspect(box)
    groups = cgroups.groups(found["State"]["Pid"], found["Id"])
    path, word = (
        (f"{groups['freezer']}/freezer.state", "FROZEN")
        if "freezer" in groups
        else (f"{groups['']}/cgroup.freeze", "1")
    )
    with open(path, "w", encoding="ascii") as file:
        file.write(word)


ENGINE, RUNTIME, NETWORK, FILES, SOCKET = (
    "engine", "runtime cai-runc", "network", "engine configuration", "engine socket"
)  # fmt: skip
FAULTS = (
    Fault("engine killed", engine_killed, ENGINE, "not running"),
    Fault("engine frozen", engine_frozen, ENGINE, "frozen"),
    Fault("containerd frozen", containerd_frozen, ENGINE, "frozen"),
    Fault("socket of somebody", socket_of_somebody, SOCKET, f"user {NOBODY}'s"),
    Fault("socket for all", socket_for_all, SOCKET, "its mode is 666"),
    Fault("socket and pid file gone", socket_and_pid_file_gone, ENGINE, "not running"),
    Fault("daemon.json altered", settings_altered, FILES, "daemon.json"),
    Fault("of an older version", of_an_older_version, RUNTIME, "of cai 0.0.1"),
    Fault("runtime gone", runtime_gone, RUNTIME, "cai-runc is missing"),
    Fault("runtime altered", runtime_altered, RUNTIME, "same version"),
    Fault("runtime not executable", runtime_not_executable, RUNTIME, "mode 644, not 755"),
    Fault("runtime of somebody", runtime_of_somebody, RUNTIME, f"user {NOBODY}'s"),
    Fault("network not executable", network_not_executable, FILES, "/network"),
    Fault("id record damaged", record_cut, "id ranges", "is damaged"),
    Fault("range taken", range_taken, "id ranges", NEWCOMER, mended="sudo usermod .*"),
    Fault("lxcfs dead", lxcfs_dead, "lxcfs service", "does not run"),
    Fault("bridge without address", bridge_without_address, NETWORK, "the address"),
    Fault("bridge gone", bridge_gone, NETWORK, "the bridge cai"),
    Fault("nft table flushed", table_flushed, NETWORK, "the table ip"),
    Fault("nft tables gone", tables_gone, NETWORK, "the table ip"),
    Fault("metadata open", metadata_open, NETWORK, "rules of our tables"),
    Fault("frames open", frames_open, NETWORK, "rules of our tables"),
    Fault("iptables emptied", iptables_emptied, NETWORK, "iptables' FORWARD"),
    Fault("forwarding off", forwarding_off, NETWORK, "forwarding"),
    Fault("resolver gone", resolver_gone, "resolver", "does not answer"),
    Fault("context elsewhere", context_elsewhere, "Docker context", "unix:///none"),
    Fault("context gone", context_gone, "Docker context", "not there"),
    Fault("box frozen", frozen_behind_the_engine, "frozen boxes", "freezer"),
    Fault("daemon.json cut off", settings_cut, FILES, "daemon.json"),
    Fault("engine stopped", engine_stopped, ENGINE, "not running", stops=True),
    Fault("/run cleaned", run_cleaned, ENGINE, "not running", stops=True),
)


@pytest.fixture(scope="module")
def broken(site: Site, shared_space: Space) -> Site:
    """A site with a running box, for all faults one after the other."""
    shared_space.run("true")
    return site


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_seen_and_mended(broken: Site, fault: Fault) -> None:
    assert try_out(broken, fault).what == fault.name


@pytest.fixture
def bare(site: Site) -> Iterator[Site]:
    """A root on which nothing was set up, whose engine would be on a file system of its own."""
    made = Site(make_root(site.root))
    data = made.layout.engine_data
    os.makedirs(data)
    run("mount", "-t", "tmpfs", "-o", "size=6g,nr_inodes=3000", "few", data)
    yield made
    run("umount", data)
    shutil.rmtree(made.root)


def test_no_inode_is_left(bare: Site) -> None:
    """Nothing of ours mends it: the check names the place, and what shows who has so many."""
    for number in range(2500):
        os.mkdir(f"{bare.layout.engine_data}/{number}")
    row = checks(bare)["inodes"]
    assert (row["ok"], bare.layout.engine_data in row["seen"]) == (False, True)
    assert f"du --inodes -x {bare.layout.engine_data}" in row["hint"]
    refused(bare.cai("setup", "--yes", check=False), errors.NoSpaceError)
    assert not os.path.exists(bare.layout.engine_config)
    for number in range(2500):
        os.rmdir(f"{bare.layout.engine_data}/{number}")
    assert checks(bare)["inodes"]["ok"]
