"""The private dockerd: its configuration, its bridge, its unit; start, stop and status.

Under systemd it is a unit. Elsewhere it is a background process with a pid file and a log.
"""

import json
import os
import signal
import time
from collections.abc import Container
from typing import Any

from containai.engine import api, lxcfs, resolver, runtimes, shims, sysbox
from containai.engine import network as networks
from containai.engine.client import Engine
from containai.engine.network import Network
from containai.errors import EngineError
from containai.host import files, locks, machine, proc, processes
from containai.layout import SYSBOX_RUNC, Layout

#: How long dockerd may take until it answers, in seconds: it starts the boxes that ran first.
START_TIMEOUT = 300.0
#: How long a stop may take, in seconds: boxes have 100 s of their own.
STOP_TIMEOUT = 120.0


def daemon_json(
    layout: Layout,
    network: Network,
    programs: dict[str, str],
    runtime: str,
    *,
    resolves: bool = False,
) -> str:
    """Return daemon.json: nothing in it is shared with the host's own Docker.

    `programs` are the runtimes that are there, by name; `runtime` is the one that starts boxes;
    `resolves` says that there is a resolver for boxes on their bridge.
    """
    config: dict[str, Any] = {
        "hosts": [f"unix://{layout.engine_socket}"],
        "data-root": layout.engine_data,
        "exec-root": layout.engine_exec,
        "pidfile": layout.engine_pidfile,
        # Whoever may use this socket is root on the host: not the host's docker group.
        "group": layout.engine_group,
        "bridge": layout.bridge,
        "fixed-cidr": network.boxes,
        "default-address-pools": [{"base": network.made, "size": networks.MADE_PREFIX}],
        # Two dockerds would rewrite each other's chains. engine/network.sh does all of it, boxes
        # that cannot reach each other included.
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "default-runtime": runtime,
        "runtimes": {name: {"path": path} for name, path in programs.items()},
        "default-cgroupns-mode": "private",
        "storage-driver": "overlay2",
        "features": {"containerd-snapshotter": False},
        "log-driver": "local",
        "live-restore": True,
        "shutdown-timeout": 100,
    }
    if resolves:
        config["dns"] = [network.host]
    return json.dumps(config, indent=4) + "\n"


def engine_script() -> str:
    """Return the program around dockerd; it is installed where only root writes."""
    return files.read(os.path.join(os.path.dirname(__file__), "engine.sh")) or ""


def prepare_argv(layout: Layout, network: Network) -> list[str]:
    """Return the command that has to run before dockerd starts, and before it reloads."""
    words = (layout.engine_config, layout.engine_running_config, layout.engine_data)
    return [layout.engine_program, "prepare", *words, network.boxes, layout.engine_group]


def unit(layout: Layout, dockerd: str, network: Network) -> str:
    """Return the engine's systemd unit."""
    around, copy = layout.engine_program, layout.engine_running_config
    prepare = " ".join(prepare_argv(layout, network))
    return f"""\
[Unit]
Description=ContainAI's own Docker engine
Documentation=https://github.com/containai/containai
Wants=network-online.target {layout.network_unit} {layout.lxcfs_unit} {layout.resolver_unit}
After=network-online.target nss-lookup.target time-set.target
After={layout.network_unit} {layout.lxcfs_unit} {layout.resolver_unit}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
ExecStartPre={prepare}
ExecStart={dockerd} --config-file {copy}
ExecReload={prepare}
ExecReload=/bin/kill -s HUP $MAINPID
ExecStop={around} stop {copy} {layout.engine_socket} $MAINPID
Restart=always
RestartSec=2
TimeoutStartSec={START_TIMEOUT:.0f}
TimeoutStopSec={STOP_TIMEOUT:.0f}
# Boxes live on when dockerd crashes.
KillMode=process
Delegate=yes
# What boxes inherit. The soft limit 1 is the one value that keeps a crash from having the host's
# program for core dumps run as root (core(5)); a container may be given more.
LimitNOFILE=infinity
LimitNPROC=infinity
LimitMEMLOCK=infinity
LimitCORE=1:infinity
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def network_unit(layout: Layout, network: Network) -> str:
    """Return the unit of the boxes' network: made again whenever a firewall is restarted."""
    up = " ".join(networks.argv(layout, network, "up"))
    firewalls = "nftables.service ufw.service firewalld.service"
    return f"""\
[Unit]
Description=Network of ContainAI's boxes
Documentation=https://github.com/containai/containai
After=network-pre.target {firewalls}
PartOf={firewalls}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={up}
ExecReload={up}

[Install]
WantedBy=multi-user.target
"""


def configuration(layout: Layout) -> dict[str, Any] | None:
    """Return daemon.json as it is, or None. Raises EngineError where it is damaged."""
    text = files.read(layout.engine_config)
    if text is None:
        return None
    try:
        config: dict[str, Any] = json.loads(text)
    except ValueError as wrong:
        raise EngineError(
            f"{layout.engine_config} is damaged: {wrong}", hint="run: cai setup"
        ) from None
    return config


def answering(layout: Layout) -> bool:
    """Whether our dockerd answers. Raises EngineError where another dockerd has our socket."""
    if not os.path.exists(layout.engine_socket):
        return False
    engine = Engine(layout)
    if not engine.needs_root and _is_ours(layout):
        return True
    done = engine.docker("info", "--format", "{{.DockerRootDir}}", ok=None, timeout=30)
    if done.code != 0:
        return False
    seen = done.out.strip()
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


def start(layout: Layout) -> None:
    """Start the engine and wait until it answers. Does nothing where it runs."""
    config = configuration(layout)
    if config is not None:
        lxcfs.start(layout)
    if answering(layout):
        if config is not None:
            resolver.start(layout, networks.of(str(config["fixed-cidr"])))
        return
    if config is None:
        raise EngineError("the engine is not set up", hint="run: cai setup")
    subnet = str(config["fixed-cidr"])
    if user := networks.user_of(networks.routes(), subnet, layout.bridge):
        raise EngineError(
            f"the engine's subnet {subnet} is in use by {user} now",
            hint="let setup choose another: cai setup",
        )
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "start", layout.engine_unit], root=True, timeout=START_TIMEOUT)
        _wait(layout)
        return
    what = "starting the engine"
    with locks.hold(layout.lock_dir, locks.ENGINE, wait=START_TIMEOUT, what=what):
        # One that is there and silent is about to answer or about to be gone.
        deadline = time.monotonic() + 2
        while running_pid(layout) is not None and time.monotonic() < deadline:
            if answering(layout):
                return
            time.sleep(0.02)
        if running_pid(layout) is None:
            _spawn(layout, networks.of(subnet))
        _wait(layout)


def renew(layout: Layout) -> None:
    """Start the engine, or exchange a running one for one that reads the configuration anew.

    Boxes live on: without a stop of ours, live-restore keeps them.
    """
    found = _running(layout)
    if found is not None:
        processes.send(signal.SIGTERM, [found])
        deadline = time.monotonic() + STOP_TIMEOUT
        while _running(layout) == found and time.monotonic() < deadline:
            time.sleep(0.05)
    # The network's program, or its address, may have changed too.
    resolver.stop(layout)
    if machine.has_systemd() and layout.is_default:
        # Units may have changed too; a stopped one would start by itself 2 s later.
        proc.run(["systemctl", "restart", layout.network_unit], root=True)
    start(layout)


def _spawn(layout: Layout, network: Network) -> None:
    dockerd = proc.which("dockerd", root=True)
    if dockerd is None:
        raise EngineError("dockerd is missing", hint="run: cai setup")
    proc.run(networks.argv(layout, network, "up"), root=True)
    resolver.start(layout, network)
    for directory in (os.path.dirname(layout.engine_log), os.path.dirname(layout.engine_socket)):
        proc.run(["mkdir", "-p", directory], root=True)
    _clear_pidfiles(layout)
    if sysbox.is_ours(layout) and runtimes.chosen(layout) == SYSBOX_RUNC:
        sysbox.start(layout)
    copy = layout.engine_running_config
    proc.run(prepare_argv(layout, network), root=True)
    # `env PATH` as dockerd looks for containerd and docker-proxy there.
    argv = ["env", f"PATH={proc.SYSTEM_PATH}", dockerd, "--config-file", copy]
    proc.start([layout.engine_program, "run", *argv], log=layout.engine_log)


def _wait(layout: Layout) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    pause, seen_alive = 0.05, time.monotonic()
    while not answering(layout):
        if running_pid(layout) is not None:
            seen_alive = time.monotonic()
        dead = time.monotonic() - seen_alive > 5 and not machine.has_systemd()
        if dead or time.monotonic() > deadline:
            raise EngineError(
                "the engine did not start; its log ends with:\n  "
                + "\n  ".join(log(layout, lines=8).splitlines()),
                hint="see: cai engine logs",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _clear_pidfiles(layout: Layout) -> None:
    """Remove what a killed dockerd left: its successor takes any process of that pid for alive.

    A zombie counts for it too, and where PID 1 reaps late there is one.
    """
    containerd = os.path.join(layout.engine_exec, "containerd", "containerd")
    deadline = time.monotonic() + 2
    words = (containerd + ".pid", "containerd", containerd + ".toml")
    # It dies with its dockerd, but a moment later.
    while _process_of(*words) and time.monotonic() < deadline:
        time.sleep(0.02)
    stale = [layout.engine_pidfile]
    if _process_of(*words) is None:
        stale.append(containerd + ".pid")
    proc.run(["rm", "-f", *stale], root=True)


def running_pid(layout: Layout) -> int | None:
    """Return the pid of our dockerd, or None. A pid file alone proves nothing."""
    found = _running(layout)
    return None if found is None else found.pid


def _running(layout: Layout) -> processes.Process | None:
    return _process_of(layout.engine_pidfile, "dockerd", layout.engine_running_config)


def _process_of(pidfile: str, program: str, word: str) -> processes.Process | None:
    """Return the process of a pid file if it is root's, of that program and with that word."""
    try:
        found = processes.look(int(files.read(pidfile) or "0"), program)
    except (OSError, ValueError):
        return None
    return found if found is not None and word in found.words else None


def stop(layout: Layout) -> None:
    """Stop every box through its systemd, and the engine. Does nothing where it is stopped."""
    answering(layout)
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "stop", layout.engine_unit], root=True, timeout=STOP_TIMEOUT + 10)
        shims.end_all(layout)
        lxcfs.stop(layout)
        resolver.stop(layout)
        _unmount_networks(layout)
        return
    pid = running_pid(layout)
    if pid is not None:
        around = [layout.engine_program, "stop", layout.engine_running_config]
        try:
            proc.run([*around, layout.engine_socket, str(pid)], root=True, timeout=STOP_TIMEOUT)
        except proc.ProcessError as failed:
            raise EngineError(
                f"dockerd (pid {pid}) did not end: {failed}", hint="see: cai engine logs"
            ) from None
    shims.end_all(layout)
    lxcfs.stop(layout)
    resolver.stop(layout)
    _unmount_networks(layout)
    if sysbox.is_ours(layout):
        sysbox.stop(layout)
    if binds_itself(files.read("/proc/self/mountinfo") or "", layout.engine_data):
        # dockerd does that where mounts are private; after a kill its successor does not undo it.
        proc.run(["umount", layout.engine_data], root=True, ok=None)
    config = configuration(layout)
    # After an uninstall the configuration is there for the next setup, and the program is not.
    if config is not None and os.path.exists(layout.network_program):
        proc.run(networks.argv(layout, networks.of(config["fixed-cidr"]), "down"), root=True)


def sweep(layout: Layout) -> None:
    """End, unmount and remove what a running engine has forgotten because something was killed."""
    engine = Engine(layout)
    shims.end_forgotten(engine)
    shims.discard_bundles(layout)
    names = engine.docker("ps", "--quiet").out.split()
    form = "{{.NetworkSettings.SandboxKey}}"
    keys = engine.docker("inspect", "--format", form, *names, ok=(0, 1)).out if names else ""
    _unmount_networks(layout, {os.path.basename(key) for key in keys.split()}, shims.STARTING)


def _unmount_networks(layout: Layout, used: Container[str] = (), age: float = 0) -> None:
    """Unmount the network namespaces that a dockerd leaves, but those in use or younger than `age`.

    The host's, after `--network host`; those of containers that it forgot when it was killed.
    """
    directory = os.path.realpath(os.path.join(layout.engine_exec, "netns")) + "/"
    lines = (files.read("/proc/self/mountinfo") or "").splitlines()
    left = [path for path in (line.split(" ")[4] for line in lines) if path.startswith(directory)]
    left = [path for path in left if os.path.basename(path) not in used]
    if age:
        # Of a running engine: its host's namespace is kept, and what a container starts with.
        then = time.time() - age
        left = [path for path in left if not path.endswith("/default")]
        left = [path for path in left if os.stat(path).st_ctime < then]
    if left:
        proc.run(["umount", *left], root=True, ok=None)
        proc.run(["rm", "-f", *left], root=True, ok=None)


def binds_itself(mountinfo: str, path: str) -> bool:
    """Whether a path is a mount of the very directory that it covers. `mountinfo` as in proc(5)."""
    rows = [line.split(" ")[:5] for line in mountinfo.splitlines()]
    at = {row[0]: (row[3], row[4]) for row in rows}
    for _, parent, _, source, target in rows:
        if target == path and parent in at:
            above, where = at[parent]
            return source == os.path.normpath(os.path.join(above, os.path.relpath(path, where)))
    return False


def log(layout: Layout, *, lines: int) -> str:
    """Return the last lines of the engine's log."""
    if machine.has_systemd() and layout.is_default:
        argv = ["journalctl", "--unit", layout.engine_unit, "--no-pager", "--lines", str(lines)]
    else:
        argv = ["tail", "-n", str(lines), layout.engine_log]
    return proc.run(argv, root=True, ok=None).out
