"""The daemons of ContainAI's Sysbox: sysbox-mgr and sysbox-fs.

Their sockets have fixed names below /run/sysbox: there is one Sysbox a machine. Under systemd each
is a unit; elsewhere a background process, started with the engine. A Sysbox that the host has from
a package is its administrator's: it is used, and neither started nor stopped.
"""

import os
import signal
import time

from containai.engine import runtimes
from containai.errors import EngineError
from containai.host import machine, proc, processes
from containai.layout import Layout

#: In the order they need each other, with the name of their socket and pid file.
DAEMONS = {"sysbox-mgr": "sysmgr", "sysbox-fs": "sysfs"}
#: Where they have sockets and pid files.
RUN_DIR = "/run/sysbox"
#: How long one of them may take until it is ready, in seconds, each time it is tried.
START_TIMEOUT = 20
#: How long it may take to end, in seconds.
STOP_TIMEOUT = 30

# One that is there and not ours is left alone: it says what it is, and nothing is started.
# The checks that both make as they start fork without exec, and now and then such a child waits
# for a thread that it does not have (seen in 0.7.1 built with Go 1.26): they are started again.
_START = r"""
set -eu
log=$1 run=$2 short=$3 seconds=$4; shift 4
alive() { pid=$(cat "$run/$short.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null; }
if alive; then
    echo "another Sysbox is running: $(readlink "/proc/$pid/exe"), pid $pid" >&2
    exit 1
fi
mkdir -p "$(dirname "$log")"
for attempt in 1 2 3; do
    rm -f "$run/$short.sock" "$run/$short.pid"
    setsid "$@" </dev/null >>"$log" 2>&1 &
    child=$!
    tries=$((seconds * 20))
    while kill -0 "$child" 2>/dev/null && [ "$tries" -gt 0 ]; do
        if alive && [ -S "$run/$short.sock" ]; then exit 0; fi
        tries=$((tries - 1))
        sleep 0.05
    done
    if [ "$tries" -gt 0 ]; then
        grep level=fatal "$log" | tail -n 1 >&2
        exit 1
    fi
    kill -KILL -- "-$child"
done
echo "not ready within $seconds s, three times" >&2
exit 1
"""


def argv(layout: Layout, daemon: str) -> list[str]:
    """Return the command line of a daemon."""
    program = os.path.join(layout.sysbox_dir, daemon)
    if daemon == "sysbox-fs":
        return [program, "--mountpoint", layout.sysbox_mount]
    # Preloading inner images copies them into the box's image at every stop; nobody here commits.
    return [program, "--data-root", layout.sysbox_data, "--disable-inner-image-preload"]


def unit(layout: Layout, daemon: str) -> str:
    """Return the systemd unit of a daemon.

    It is started again where it hangs as it starts, and when it dies: the boxes that it served are
    lost to its successor, new ones work.
    """
    needs = "" if daemon == "sysbox-mgr" else "After=containai-sysbox-mgr.service\n"
    return f"""\
[Unit]
Description={daemon} of ContainAI
Documentation=https://github.com/nestybox/sysbox
{needs}Before={layout.engine_unit}

[Service]
Type=notify
NotifyAccess=main
Environment=DOCKER_HOST=unix://{layout.engine_socket}
ExecStartPre=/bin/mkdir -p {layout.sysbox_mount}
ExecStart={" ".join(argv(layout, daemon))}
TimeoutStartSec={START_TIMEOUT}
Restart=on-failure
RestartSec=1
LimitNOFILE=infinity
LimitNPROC=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def unit_name(daemon: str) -> str:
    """Return the name of a daemon's unit."""
    return f"containai-{daemon}.service"


def is_ours(layout: Layout) -> bool:
    """Whether ContainAI's own Sysbox is installed."""
    return runtimes.sysbox_program(layout) == layout.sysbox_program


def running(layout: Layout) -> bool:
    """Whether both of our daemons run."""
    return all(_found(argv(layout, daemon)[0]) for daemon in DAEMONS)


def start(layout: Layout) -> None:
    """Start what is not running and wait until it is ready.

    Raises EngineError where a daemon does not start, with what it said.
    """
    for daemon, short in DAEMONS.items():
        if _found(argv(layout, daemon)[0]):
            continue
        if machine.has_systemd() and layout.is_default:
            words = ["systemctl", "start", unit_name(daemon)]
        else:
            proc.run(["mkdir", "-p", layout.sysbox_mount], root=True)
            where = f"DOCKER_HOST=unix://{layout.engine_socket}"
            path = f"PATH={proc.SYSTEM_PATH}"
            words = ["sh", "-c", _START, "sh", layout.sysbox_log, RUN_DIR]
            words += [short, str(START_TIMEOUT)]
            words += ["env", path, where, *argv(layout, daemon)]
        try:
            proc.run(words, root=True, timeout=START_TIMEOUT * 3 + 10)
        except proc.ProcessError as failed:
            said = (failed.done.err.strip() or f"code {failed.done.code}").splitlines()[-1]
            raise EngineError(
                f"{daemon} does not start: {said}",
                hint=f"see: {_log_hint(layout, daemon)}",
            ) from None


def stop(layout: Layout) -> None:
    """End our daemons, where they are background processes. Their boxes have to be stopped."""
    for daemon in reversed(DAEMONS):
        found = _found(argv(layout, daemon)[0])
        processes.send(signal.SIGTERM, found)
        deadline = time.monotonic() + STOP_TIMEOUT
        while any(map(processes.is_there, found)) and time.monotonic() < deadline:
            time.sleep(0.05)


def _log_hint(layout: Layout, daemon: str) -> str:
    if machine.has_systemd() and layout.is_default:
        return f"journalctl --unit {unit_name(daemon)}"
    return layout.sysbox_log


def _found(program: str) -> list[processes.Process]:
    """Return root's processes that were started as this program, which only root can write."""
    return [each for each in processes.find() if each.words[0] == program]
