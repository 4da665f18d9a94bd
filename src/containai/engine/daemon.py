"""The private dockerd: its configuration, its bridge, its unit; start, stop and status.

Under systemd it is a unit. Elsewhere it is a background process with a pid file and a log.
"""

import ipaddress
import json
import os
import time
from typing import Any

from containai.engine.client import Engine
from containai.errors import EngineError
from containai.host import files, machine, proc
from containai.layout import Layout

#: How long dockerd may take until it answers, in seconds: it loads its containers first.
START_TIMEOUT = 90.0
#: How long a stop may take, in seconds: boxes have 100 s of their own.
STOP_TIMEOUT = 120.0

#: Networks to cut the bridge's subnet from. Docker's own pools start at 172.17; these are rarely
#: used.
POOLS = ("10.203.0.0/16", "172.29.240.0/20", "192.168.240.0/20", "10.231.0.0/16", "10.77.0.0/16")
#: A bridge's prefix length: 4,093 boxes.
PREFIX = 20


def daemon_json(layout: Layout, subnet: str, programs: dict[str, str], runtime: str) -> str:
    """Return daemon.json: nothing in it is shared with the host's own Docker.

    `programs` are the runtimes that are there, by name; `runtime` is the one that starts boxes.
    """
    config = {
        "hosts": [f"unix://{layout.engine_socket}"],
        "data-root": layout.engine_data,
        "exec-root": layout.engine_exec,
        "pidfile": layout.engine_pidfile,
        # Whoever may use this socket is root on the host: not the host's docker group.
        "group": "root",
        "bridge": layout.bridge,
        "fixed-cidr": subnet,
        "icc": False,
        "default-runtime": runtime,
        "runtimes": {name: {"path": path} for name, path in programs.items()},
        "default-cgroupns-mode": "private",
        "storage-driver": "overlay2",
        "features": {"containerd-snapshotter": False},
        "log-driver": "local",
        "live-restore": True,
        "shutdown-timeout": 100,
    }
    return json.dumps(config, indent=4) + "\n"


def bridge_script(layout: Layout, subnet: str) -> str:
    """Return the shell script that makes the bridge where it is missing. Runs as root."""
    network = ipaddress.ip_network(subnet)
    address = f"{network[1]}/{network.prefixlen}"
    name = layout.bridge
    return (
        f"ip link show {name} >/dev/null 2>&1 || ip link add {name} type bridge; "
        f"ip address replace {address} dev {name} && ip link set {name} up"
    )


def unit(layout: Layout, dockerd: str, subnet: str) -> str:
    """Return the engine's systemd unit."""
    return f"""\
[Unit]
Description=ContainAI's own Docker engine
Documentation=https://github.com/containai/containai
After=network-online.target nss-lookup.target firewalld.service time-set.target
Wants=network-online.target

[Service]
Type=notify
ExecStartPre=/bin/sh -c '{bridge_script(layout, subnet)}'
ExecStart={dockerd} --config-file {layout.engine_config}
ExecReload=/bin/kill -s HUP $MAINPID
Restart=always
RestartSec=2
TimeoutStartSec=0
TimeoutStopSec={STOP_TIMEOUT:.0f}
KillMode=process
Delegate=yes
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def free_subnet(routes: str) -> str:
    """Return the first subnet that overlaps no route. `routes` is what `ip -json route` prints."""
    used = []
    for route in json.loads(routes or "[]"):
        if route["dst"] != "default":
            used.append(ipaddress.ip_network(route["dst"], strict=False))
    for pool in map(ipaddress.ip_network, POOLS):
        for subnet in pool.subnets(new_prefix=PREFIX):
            if not any(subnet.overlaps(taken) for taken in used):
                return str(subnet)
    raise EngineError(
        "every subnet that the engine may use overlaps a route of this machine",
        hint="free one of: " + ", ".join(POOLS),
    )


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


def start(layout: Layout) -> None:
    """Start the engine and wait until it answers. Does nothing where it runs."""
    if answering(layout):
        return
    config = configuration(layout)
    if config is None:
        raise EngineError("the engine is not set up", hint="run: cai setup")
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "start", layout.engine_unit], root=True, timeout=START_TIMEOUT)
        _wait(layout)
        return
    lock = os.path.join(layout.state_dir, "engine.lock")
    with files.lock(lock, wait=START_TIMEOUT, what="starting the engine"):
        # One that is there and silent is about to answer or about to be gone.
        deadline = time.monotonic() + 2
        while running_pid(layout) is not None and time.monotonic() < deadline:
            if answering(layout):
                return
            time.sleep(0.02)
        if running_pid(layout) is None:
            _spawn(layout, str(config["fixed-cidr"]))
        _wait(layout)


def _spawn(layout: Layout, subnet: str) -> None:
    dockerd = proc.which("dockerd")
    if dockerd is None:
        raise EngineError("dockerd is missing", hint="run: cai setup")
    proc.run(["sh", "-c", bridge_script(layout, subnet)], root=True)
    for directory in (os.path.dirname(layout.engine_log), os.path.dirname(layout.engine_socket)):
        proc.run(["mkdir", "-p", directory], root=True)
    _clear_pidfiles(layout)
    # `env PATH` as dockerd looks for containerd, docker-proxy and iptables there.
    argv = ["env", f"PATH={proc.SYSTEM_PATH}", dockerd, "--config-file", layout.engine_config]
    proc.start(argv, log=layout.engine_log)


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
    # It dies with its dockerd, but a moment later.
    while _pid_of(containerd + ".pid", containerd + ".toml") and time.monotonic() < deadline:
        time.sleep(0.02)
    stale = [layout.engine_pidfile]
    if _pid_of(containerd + ".pid", containerd + ".toml") is None:
        stale.append(containerd + ".pid")
    proc.run(["rm", "-f", *stale], root=True)


def running_pid(layout: Layout) -> int | None:
    """Return the pid of our dockerd, or None. A pid file alone proves nothing."""
    return _pid_of(layout.engine_pidfile, layout.engine_config)


def _pid_of(pidfile: str, word: str) -> int | None:
    """Return the pid in a file if it is of a process with that word in its command line."""
    try:
        pid = int(files.read(pidfile) or "0")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid if word.encode() in file.read().split(b"\0") else None
    except (OSError, ValueError):
        return None


def stop(layout: Layout) -> None:
    """Stop every box through its systemd, then the engine. Does nothing where it is stopped."""
    if answering(layout):
        engine = Engine(layout)
        names = engine.docker("ps", "--quiet").out.split()
        if names:
            engine.docker("stop", *names, timeout=STOP_TIMEOUT)
    if machine.has_systemd() and layout.is_default:
        proc.run(["systemctl", "stop", layout.engine_unit], root=True, timeout=STOP_TIMEOUT)
        _end_orphans(layout)
        return
    pid = running_pid(layout)
    if pid is not None:
        # The shell's kill: Debian's program of that name is in procps, which may be missing.
        proc.run(["sh", "-c", 'kill -TERM "$1"', "sh", str(pid)], root=True, ok=(0, 1))
        deadline = time.monotonic() + STOP_TIMEOUT
        while running_pid(layout) is not None:
            if time.monotonic() > deadline:
                raise EngineError(
                    f"dockerd (pid {pid}) did not end within {STOP_TIMEOUT:g} s",
                    hint="see: cai engine logs",
                )
            time.sleep(0.05)
    _end_orphans(layout)
    if binds_itself(files.read("/proc/self/mountinfo") or "", layout.engine_data):
        # dockerd does that where mounts are private; after a kill its successor does not undo it.
        proc.run(["umount", layout.engine_data], root=True, ok=None)
    proc.run(["ip", "link", "delete", layout.bridge], root=True, ok=None)


def _end_orphans(layout: Layout) -> None:
    """End the shims that a killed containerd forgot, and what they hold.

    With all boxes and the engine stopped, no shim of this engine has anything to do.
    """
    address = os.path.join(layout.engine_exec, "containerd/containerd.sock")
    script = 'for pid do kill -KILL $(cat "/proc/$pid/task/$pid/children") "$pid"; done'
    deadline = time.monotonic() + 5
    while shims := _shims(address):
        if time.monotonic() > deadline:
            raise EngineError(f"these processes of the engine do not end: {' '.join(shims)}")
        proc.run(["sh", "-c", script, "sh", *shims], root=True, ok=None)
        time.sleep(0.05)


def _shims(address: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"containerd-shim" in words[0] and address.encode() in words:
            found.append(pid)
    return found


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
