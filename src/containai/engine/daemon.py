"""The private dockerd: what it runs as; start, stop and whether it answers."""

import os
import signal
import time

from containai.engine import (
    api,
    cache,
    configuration,
    forward,
    kept_ports,
    lxcfs,
    published,
    resolver,
    shims,
    sweep,
    sysbox,
)
from containai.engine import network as networks
from containai.engine.client import Engine
from containai.engine.network import Network
from containai.errors import EngineError
from containai.host import files, locks, processes, scripts, services
from containai.host.machine import Machine
from containai.host.processes import Process
from containai.host.service import MAIN_PID, Kind, Service
from containai.layout import Layout

#: How long dockerd may take until it answers, in seconds: it starts the boxes that ran first.
START_TIMEOUT = 300.0
#: How long a stop may take, in seconds: boxes have 100 s of their own.
STOP_TIMEOUT = 120.0


def script() -> str:
    """Return the program around dockerd; it is installed where only root writes."""
    return scripts.text("engine/engine.sh")


def service(host: Machine, network: Network | None, dockerd: str = "") -> Service:
    """Return the engine as a service; to stop it, neither network nor program has to be known."""
    layout = host.layout
    copy = layout.engine_running_config
    seen = Service(
        name="the engine",
        unit=layout.engine_unit,
        log=layout.engine_log,
        logs="cai engine logs",
        start_timeout=START_TIMEOUT,
        stop_timeout=STOP_TIMEOUT,
        find=lambda: _find(layout),
        ready=lambda: answering(host),
        stop=(
            *(layout.engine_program, "stop", copy, layout.engine_socket),
            # In this order: an earlier version's program, until `cai setup`, knows the PID only.
            *(MAIN_PID, layout.engine_unit),
        ),
        wants=(
            *((network_service(layout, network),) if network is not None else ()),
            lxcfs.service(layout),
            resolver.service(layout, network),
            forward.service(layout, network),
            cache.service(layout, network),
        ),
    )
    if sysbox.is_ours(layout):
        # Also where another runtime is chosen: a box keeps the one it was made with.
        seen = seen._replace(needs=sysbox.needed(layout))
    if network is None:
        return seen
    prepare = (
        *(layout.engine_program, "prepare", layout.engine_config, copy, layout.engine_data),
        *(network.boxes, layout.engine_group, layout.engine_bundles),
    )
    return seen._replace(
        kind=Kind.NOTIFY,
        description="ContainAI's own Docker engine",
        documentation="https://github.com/containai/containai",
        argv=(dockerd, "--config-file", copy),
        environment_file=configuration.proxies_file(layout),
        clear=lambda: sweep.clear(host),
        wanted_units=("network-online.target",),
        after=("network-online.target", "nss-lookup.target", "time-set.target"),
        prepare=(tuple(networks.argv(layout, network, "tidy")), prepare),
        reload=(prepare, ("/bin/kill", "-s", "HUP", MAIN_PID)),
        unit_lines=("StartLimitIntervalSec=60", "StartLimitBurst=5"),
        service_lines=(
            "Restart=always",
            "RestartSec=2",
            f"TimeoutStartSec={START_TIMEOUT:.0f}",
            f"TimeoutStopSec={STOP_TIMEOUT:.0f}",
            "# Boxes live on when dockerd crashes.",
            "KillMode=process",
            "Delegate=yes",
            "TasksMax=infinity",
            "OOMScoreAdjust=-500",
            "# What boxes inherit. The soft limit 1 is the one value that keeps a crash from",
            "# having the host's program for core dumps run as root (core(5)); a container may",
            "# be given more.",
        ),
        limits=(
            ("nofile", "infinity"),
            ("nproc", "infinity"),
            ("memlock", "infinity"),
            ("core", "1:infinity"),
        ),
        at_boot=True,
    )


def network_service(layout: Layout, network: Network) -> Service:
    """Return the boxes' network as a service: made again whenever a firewall is restarted."""
    firewalls = ("nftables.service", "ufw.service", "firewalld.service")
    up = tuple(networks.argv(layout, network, "up"))
    return Service(
        name="the network of boxes",
        unit=layout.network_unit,
        log=layout.engine_log,
        start_timeout=30.0,
        stop_timeout=30.0,
        kind=Kind.ONESHOT,
        description="Network of ContainAI's boxes",
        documentation="https://github.com/containai/containai",
        argv=up,
        reload=(up,),
        stop=tuple(networks.argv(layout, network, "down")),
        after=("network-pre.target", *firewalls),
        part_of=firewalls,
        at_boot=True,
    )


def parts(host: Machine, network: Network, dockerd: str) -> list[Service]:
    """Return the engine, and all that it wants, as services."""
    engine = service(host, network, dockerd)
    return [*engine.wants, engine]


def reachable(host: Machine) -> bool:
    """Whether there is a client, and our dockerd answers. Raises as `answering`."""
    return host.which("docker") is not None and answering(host)


def answering(host: Machine) -> bool:
    """Whether our dockerd answers. Raises EngineError where another dockerd has our socket."""
    layout = host.layout
    if not os.path.exists(layout.engine_socket) or frozen(layout):
        return False
    engine = Engine(host)
    if not engine.needs_root and _is_ours(layout):
        return True
    done = engine.docker("info", "--format", "{{.DockerRootDir}}", ok=None, timeout=api.TIMEOUT)
    seen = done.out.strip()
    # Where dockerd says nothing, as one that has just begun, some docker prints an empty line.
    if done.code != 0 or not seen:
        return False
    if os.path.realpath(seen) != os.path.realpath(layout.engine_data):
        raise EngineError(
            f"another dockerd answers on {layout.engine_socket}: its data is in {seen!r}",
            hint="stop that dockerd, then: cai engine start",
        )
    return True


def _is_ours(layout: Layout) -> bool:
    """Whether the dockerd of our pid file listens on our socket, and answers.

    Cheaper than `docker info`, which has dockerd start a few programs.
    """
    try:
        pid = api.listener(layout.engine_socket)
        answers = api.get(layout.engine_socket, "/_ping").status == 200
        return answers and pid == running_pid(layout)
    except (OSError, ValueError):
        return False


def running_pid(layout: Layout) -> int | None:
    """Return the pid of our dockerd, or None."""
    return next((process.pid for process in _find(layout)), None)


def frozen(layout: Layout) -> list[Process]:
    """Return the engine's processes that a signal has stopped: connected to, they say nothing."""
    return [process for process in _both(layout) if processes.is_stopped(process)]


def _both(layout: Layout) -> list[Process]:
    """Return dockerd and its containerd, by their pid files."""
    own = os.path.join(layout.engine_exec, "containerd/containerd")
    return [
        *processes.of_file(layout.engine_pidfile, "dockerd", layout.engine_running_config),
        *processes.of_file(f"{own}.pid", "containerd", f"{own}.toml"),
    ]


def _find(layout: Layout) -> list[Process]:
    found = processes.of_file(layout.engine_pidfile, "dockerd", layout.engine_running_config)
    # Who cleans /run takes the pid file of one that runs.
    return found or [
        process
        for process in processes.find("dockerd")
        if layout.engine_running_config in process.words
    ]


def start(host: Machine) -> None:
    """Start the engine and wait until it answers. Does nothing where it runs."""
    if _start(host):
        # Nobody has a connection through it yet that an exchange would cut.
        free_ports(host)


def _start(host: Machine) -> bool:
    """Start the engine where it does not answer; return whether that was so."""
    layout = host.layout
    manager = services.manager(host)
    network = configuration.network(layout)
    if network is not None:
        manager.start(lxcfs.service(layout))
    if answering(host):
        if network is not None:
            manager.start(resolver.service(layout, network))
            manager.start(forward.service(layout, network))
            manager.start(cache.service(layout, network))
        sysbox.ready(host)
        return False
    if network is None:
        raise EngineError("the engine is not set up", hint="run: cai setup")
    if user := networks.user_of(networks.routes(host), network.boxes, layout.bridge):
        raise EngineError(
            f"the engine's subnet {network.boxes} is in use by {user} now",
            hint="let setup choose another: cai setup",
        )
    what = "starting the engine"
    with locks.hold(host, locks.ENGINE, wait=START_TIMEOUT, what=what):
        processes.send(host, signal.SIGCONT, frozen(layout))
        # One that is there and silent is about to answer or about to be gone.
        deadline = time.monotonic() + 2
        while running_pid(layout) is not None and time.monotonic() < deadline:
            if answering(host):
                return False
            time.sleep(0.02)
        dockerd = host.which("dockerd", root=True) or "dockerd"
        host.say(what)
        shims.end_lost(host)
        manager.start(service(host, network, dockerd))
    return True


def renew(host: Machine) -> None:
    """Start the engine, or exchange a running one for one that reads the configuration anew.

    Boxes live on: without a stop of ours, live-restore keeps them.
    """
    layout = host.layout
    _end(host)
    # The network's program, or its address, may have changed too; and a unit that has ended would
    # start by itself 2 s later.
    manager, network = services.manager(host), configuration.network(layout)
    manager.stop(resolver.service(layout, network))
    manager.stop(forward.service(layout, network))
    manager.stop(cache.service(layout, network))
    if network is not None:
        manager.renew(network_service(layout, network))
    start(host)


def free_ports(host: Machine, port: int | None = None) -> bool:
    """Exchange a dockerd that keeps ports which no container has; return whether it was one.

    With a `port`, only where it keeps that one: connections of other boxes end.
    """
    dockerd = _find(host.layout)
    kept = kept_ports.kept(Engine(host), dockerd[0]) if dockerd else set()
    if not kept or (port is not None and port not in kept):
        return False
    _end(host)
    _start(host)
    return True


def move_port(host: Machine, container: str, old: int, new: int) -> None:
    """Have a container that does not run publish another port: the engine is exchanged for that.

    Containers that run live on; connections through ports of theirs end.
    """
    files.write_as_root(host, host.layout.engine_moved, f"{container} {old} {new}\n", 0o600)
    _end(host)
    _start(host)


def _end(host: Machine) -> None:
    """End dockerd, if it runs, and leave its containers running."""
    layout = host.layout
    before = _find(layout)
    processes.send(host, signal.SIGTERM, before)
    # One that was stopped hears nothing else.
    processes.send(host, signal.SIGCONT, frozen(layout))
    _wait_for_the_end(layout, before)
    # What hears nothing at all is in the way of its successor; boxes have no need of it.
    processes.send(host, signal.SIGKILL, [each for each in before if processes.runs(each)])
    _wait_for_the_end(layout, before)


def _wait_for_the_end(layout: Layout, before: list[Process]) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    while before and _find(layout) == before and time.monotonic() < deadline:
        time.sleep(0.05)


def stop(host: Machine) -> None:
    """Stop every box through its systemd, and the engine. Does nothing where it is stopped."""
    layout = host.layout
    answering(host)
    manager = services.manager(host)
    # Where nobody can say any more which network it was, it stays.
    subnet = configuration.subnet(layout)
    engine = service(host, None if subnet is None else networks.of(subnet))
    manager.stop(engine)
    published.end(host)
    shims.end_all(host)
    sweep.unmount_networks(host)
    manager.stop_companions(engine)
    sweep.unmount_data(host)


def log(host: Machine, *, lines: int) -> str:
    """Return the last lines of the engine's log."""
    return services.manager(host).log(service(host, None), lines)
