"""Limits on memory, processors, processes; devices."""

import pytest

from .client import DockerFailedError

MIB = 1024 * 1024


def limit(docker, container, controller, version_1, version_2):
    """Return what a file of the container's cgroup on the host says."""
    process = docker.inspect(container, "State", "Pid")
    with open(f"/proc/{process}/cgroup", encoding="ascii") as file:
        rows = [line.strip().split(":", 2) for line in file]
    for _, names, path in rows:
        if controller in names.split(","):
            where = f"/sys/fs/cgroup/{names}{path}/{version_1}"
            break
    else:
        where = f"/sys/fs/cgroup{rows[-1][2]}/{version_2}"
    with open(where, encoding="ascii") as file:
        return file.read().strip()


def test_memory_and_its_update(docker):
    container = docker.start("--memory", "64m", "--memory-swap", "64m")
    memory = ("memory", "memory.limit_in_bytes", "memory.max")
    assert limit(docker, container, *memory) == str(64 * MIB)
    docker("update", "--memory", "96m", "--memory-swap", "96m", container)
    assert limit(docker, container, *memory) == str(96 * MIB)
    # Where two seconds pass without an answer, docker stats tells nothing.
    form = "{{.MemUsage}} {{.PIDs}}"
    docker.until(
        lambda: docker("stats", "--no-stream", "--format", form, container).endswith("/ 96MiB 1")
    )
    docker("restart", "--time", "0", container)
    assert limit(docker, container, *memory) == str(96 * MIB)


def test_processors_and_their_update(docker):
    container = docker.start("--cpus", "0.5", "--cpuset-cpus", "0", "--cpu-shares", "512")
    quota = ("cpu", "cpu.cfs_quota_us", "cpu.max")
    assert limit(docker, container, *quota).split()[0] == "50000"
    assert docker.sh(container, "nproc") == "1"
    docker("update", "--cpus", "1.5", container)
    assert limit(docker, container, *quota).split()[0] == "150000"


def test_processes_and_their_update(docker):
    container = docker.start("--pids-limit", "20")
    assert limit(docker, container, "pids", "pids.max", "pids.max") == "20"
    fork = "for i in $(seq 30); do sleep 5 >/dev/null 2>&1 & done"
    with pytest.raises(DockerFailedError, match="can't fork"):
        docker.sh(container, fork)
    docker("update", "--pids-limit", "100", container)
    assert docker.sh(container, fork) == ""


def test_out_of_memory_is_reported(docker):
    # What is written to a tmpfs counts, and cannot be given back.
    script = "dd if=/dev/zero of=/t/x bs=1M count=64; echo survived"
    options = ["--memory", "16m", "--memory-swap", "16m", "--tmpfs", "/t:size=100m"]
    # containerd's report may come after the container's end and is lost then, with any runtime.
    for _ in range(4):
        container = docker.start(*options, script=f"{script}; sleep 0.5")
        code = docker("wait", container)
        assert code == "137" or (code == "0" and "survived" in docker("logs", container))
        if docker.inspect(container, "State")["OOMKilled"]:
            return
    pytest.fail("OOMKilled was never reported")


def test_stats_and_usage_of_a_busy_container(docker):
    container = docker.start(script="while :; do :; done")

    def told():
        form = "{{.CPUPerc}} {{.PIDs}}"
        share, processes = docker("stats", "--no-stream", "--format", form, container).split()
        return processes == "1" and float(share.rstrip("%")) > 0

    docker.until(told)


def test_devices(docker):
    options = ["--device", "/dev/fuse", "--device", "/dev/zero:/dev/other:r"]
    script = (
        "stat -c '%t,%T %u:%g' /dev/fuse /dev/other; exec 3<>/dev/fuse && echo open;"
        "head -c 2 /dev/other | wc -c; echo >/dev/null;"
        "ls /dev | grep -cE '^(sd|vd|nvme|mem|kmsg)'; exit 0"
    )
    said = docker.run(*options, script=script).split("\n")
    assert said == ["a,e5 0:0", "1,5 0:0", "open", "2", "0"]


def test_the_devices_of_every_container(docker):
    script = (
        "for d in null zero full random urandom tty; do test -c /dev/$d || echo $d; done;"
        "test -e /dev/fd/0 && test -e /dev/stdin && test -d /dev/shm && test -c /dev/ptmx;"
        "head -c 3 /dev/urandom | wc -c; (echo x >/dev/full) 2>&1; mknod /tmp/p p && echo made"
    )
    assert docker.run(script=script).split("\n") == [
        "3",
        "sh: write error: No space left on device",
        "made",
    ]


def test_oom_score(docker):
    container = docker.start("--oom-score-adj", "321")
    assert docker.sh(container, "cat /proc/1/oom_score_adj") == "321"
