"""A container's life: restarts, pauses, health, removal, events, the engine's own restart."""

import json
import os
import signal

import pytest

from .client import Docker, DockerFailedError


def test_restart_keeps_files_and_address_space(docker):
    container = docker.start(script="echo started >>/tmp/log; exec sleep 1000")
    docker.until(lambda: docker.sh(container, "cat /tmp/log") == "started")
    before = docker.inspect(container, "State", "Pid")
    docker.sh(container, "mkdir /made; chown 1000 /made; echo 1 >/made/x; echo b >>/etc/hosts")
    docker("restart", "--time", "0", container)
    assert docker.inspect(container, "State", "Pid") != before
    docker.until(lambda: docker.sh(container, "cat /tmp/log") == "started\nstarted")
    assert docker.sh(container, "cat /made/x; stat -c %u /made") == "1\n1000"
    assert docker.inspect(container, "RestartCount") == 0


def more_than(seen, engine, container):
    """Return whether a container's log has grown, as something to wait for."""
    return lambda: len(engine("logs", container).split("\n")) > seen


def test_pause(docker):
    container = docker.start(script="while :; do echo >>/tmp/beats; sleep 0.05; done")
    docker.until(lambda: docker.sh(container, "wc -l </tmp/beats") not in ("0", ""))
    docker("pause", container)
    assert docker.inspect(container, "State", "Status") == "paused"
    process = docker.inspect(container, "State", "Pid")
    path = f"/proc/{process}/root/tmp/beats"
    size = os.path.getsize(path)
    with pytest.raises(DockerFailedError, match="paused"):
        docker.sh(container, "true")
    assert os.path.getsize(path) == size
    docker("unpause", container)
    docker.until(lambda: os.path.getsize(path) > size)
    docker("pause", container)
    docker("rm", "--force", container)
    docker.containers.clear()
    assert not os.path.exists(f"/proc/{process}")


def test_restart_policies(docker):
    failing = docker.start("--restart", "on-failure:2", script="echo try; exit 3")
    clean = docker.start("--restart", "on-failure", script="exit 0")
    always = docker.start("--restart", "always")
    before = docker.inspect(always, "State", "Pid")
    os.kill(before, signal.SIGKILL)
    docker.until(lambda: docker.inspect(always, "RestartCount") == 1)
    # "Running" says the engine of one that waits for its restart, too.
    docker.until(lambda: docker.inspect(always, "State", "Status") == "running")
    assert docker.sh(always, "echo back") == "back"
    docker.until(lambda: not docker.inspect(failing, "State", "Restarting")
                 and docker.inspect(failing, "RestartCount") == 2)  # fmt: skip
    docker.until(lambda: docker.inspect(failing, "State", "Status") == "exited")
    assert docker("logs", failing) == "try\ntry\ntry"
    assert docker.inspect(failing, "State", "ExitCode") == 3
    docker.until(lambda: docker.inspect(clean, "State", "Status") == "exited")
    assert docker.inspect(clean, "RestartCount") == 0
    docker("stop", "--time", "0", always)
    assert docker.inspect(always, "State", "Status") == "exited"


def test_health(docker):
    options = ["--health-cmd", "test -e /tmp/well", "--health-interval", "200ms"]
    container = docker.start(*options, "--health-retries", "2", script="exec sleep 1000")
    health = lambda: docker.inspect(container, "State", "Health", "Status")  # noqa: E731
    docker.until(lambda: health() == "unhealthy")
    docker.sh(container, "touch /tmp/well")
    docker.until(lambda: health() == "healthy")


def test_rm_leaves_nothing(site, docker):
    name = f"t-rm-{docker.runtime}"
    volumes = set(docker("volume", "ls", "--quiet").split())
    ranges = set(site.ranges())
    assert docker.run("--name", name, "--volume", "/data", script="touch /data/x") == ""
    docker.until(lambda: name not in docker("ps", "--all", "--format", "{{.Names}}"))
    # The engine forgets a container before it removes its volumes.
    docker.until(lambda: set(docker("volume", "ls", "--quiet").split()) <= volumes)
    docker("run", "--rm", "--detach", "--name", name, "--runtime", docker.runtime,
           "test-busybox", "sleep", "0.1")  # fmt: skip
    docker.until(lambda: name not in docker("ps", "--all", "--format", "{{.Names}}"))
    # Nothing asks the runtime when a container is removed: ranges are freed at the next need.
    site.prune()
    assert set(site.ranges()) <= ranges


def test_rename_and_names(docker):
    container = docker.start("--name", f"t-old-{docker.runtime}")
    new = f"t-new-{docker.runtime}"
    docker("rename", f"t-old-{docker.runtime}", new)
    assert docker("exec", new, "echo", "here") == "here"
    assert docker.inspect(new, "Id") == container
    with pytest.raises(DockerFailedError, match="already in use"):
        docker.create("--name", new, command=("true",))
    docker("restart", "--time", "0", new)
    assert docker("exec", new, "echo", "here") == "here"


def test_wait_and_events(docker):
    container = docker.create(command=("sh", "-c", "sleep 0.2; exit 12"))
    docker("start", container)
    assert docker("wait", container) == "12"
    docker("rm", container)
    docker.containers.clear()
    words = ("events", "--since", "10m", "--until", "0s", "--format", "{{json .}}")
    filters = ("--filter", f"container={container}", "--filter", "type=container")
    events = lambda: [json.loads(each) for each in docker(*words, *filters).splitlines()]  # noqa: E731
    actions = ["create", "start", "die", "destroy"]
    docker.until(lambda: [event["Action"] for event in events()] == actions)
    assert events()[2]["Actor"]["Attributes"]["exitCode"] == "12"


def test_the_engine_restarts_under_running_containers(site, busybox):
    """live-restore, for both runtimes at once."""
    engines = [Docker(site.layout.engine_socket, runtime) for runtime in ("runc", "cai-runc")]
    script = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done"
    containers = [each.start("--restart", "always", script=script) for each in engines]
    try:
        pids = [e.inspect(c, "State", "Pid") for e, c in zip(engines, containers, strict=True)]
        with open(site.layout.engine_pidfile, encoding="ascii") as file:
            daemon = int(file.read())
        os.kill(daemon, signal.SIGTERM)
        engines[0].until(lambda: not os.path.exists(site.layout.engine_pidfile))
        assert all(os.path.exists(f"/proc/{pid}") for pid in pids)
        site.cai("engine", "start")
        for engine, container, pid in zip(engines, containers, pids, strict=True):
            assert engine.inspect(container, "State", "Pid") == pid
            assert engine.sh(container, "echo again") == "again"
            seen = len(engine("logs", container).split("\n"))
            engine.until(more_than(seen, engine, container))
            engine("stop", "--time", "0", container)
            assert engine.inspect(container, "State", "Status") == "exited"
            engine("start", container)
            assert engine.sh(container, "echo once more") == "once more"
    finally:
        for engine in engines:
            engine.end()
