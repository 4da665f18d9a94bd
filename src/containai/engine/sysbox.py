"""The daemons of ContainAI's Sysbox: sysbox-mgr and sysbox-fs.

Their sockets have fixed names below /run/sysbox: there is one Sysbox a machine. Under systemd each
is a unit; elsewhere a background process, started with the engine. A Sysbox that the host has from
a package is its administrator's: it is used, and neither started nor stopped.
"""

import os

from containai.engine import runtimes
from containai.host import proc, processes, scripts, services
from containai.host.machine import Machine
from containai.host.service import Kind, Service
from containai.layout import Layout

#: In the order they need each other, with the name of their socket and pid file.
DAEMONS = {"sysbox-mgr": "sysmgr", "sysbox-fs": "sysfs"}
#: Where they have sockets and pid files.
RUN_DIR = "/run/sysbox"
#: How long one of them may take until it is ready, in seconds, each time it is tried.
START_TIMEOUT = 20


def argv(layout: Layout, daemon: str) -> list[str]:
    """Return the command line of a daemon."""
    program = os.path.join(layout.sysbox_dir, daemon)
    if daemon == "sysbox-fs":
        return [program, "--mountpoint", layout.sysbox_mount]
    # Preloading inner images copies them into the box's image at every stop; nobody here commits.
    return [program, "--data-root", layout.sysbox_data, "--disable-inner-image-preload"]


def service(layout: Layout, daemon: str) -> Service:
    """Return a daemon as a service.

    As a unit it is started again where it hangs as it starts, and when it dies: the boxes that it
    served are lost to its successor, new ones work.
    """
    words, where = argv(layout, daemon), f"unix://{layout.engine_socket}"
    given = (f"PATH={proc.SYSTEM_PATH}", f"DOCKER_HOST={where}")
    script = (layout.sysbox_log, RUN_DIR, DAEMONS[daemon], str(START_TIMEOUT))
    return Service(
        name=daemon,
        unit=unit_name(daemon),
        log=layout.sysbox_log,
        # The script tries three times.
        start_timeout=START_TIMEOUT * 3.0 + 10,
        stop_timeout=30.0,
        # What was started as this program, which only root can write.
        find=lambda: processes.started_as(words[0]),
        ready=lambda: bool(processes.started_as(words[0])),
        kind=Kind.NOTIFY,
        description=f"{daemon} of ContainAI",
        documentation="https://github.com/nestybox/sysbox",
        argv=tuple(words),
        launch=tuple(scripts.argv("engine/sysbox.sh", *script, "env", *given, *words)),
        after=() if daemon == "sysbox-mgr" else (unit_name("sysbox-mgr"),),
        before=(layout.engine_unit,),
        environment=(("DOCKER_HOST", where),),
        prepare=(("/bin/mkdir", "-p", layout.sysbox_mount),),
        limits=(("nofile", "infinity"), ("nproc", "infinity")),
        service_lines=(
            "NotifyAccess=main",
            f"TimeoutStartSec={START_TIMEOUT}",
            "Restart=on-failure",
            "RestartSec=1",
            "OOMScoreAdjust=-500",
        ),
        at_boot=True,
    )


def both(layout: Layout) -> tuple[Service, ...]:
    """Return both, in the order they need each other."""
    return tuple(service(layout, daemon) for daemon in DAEMONS)


def unit_name(daemon: str) -> str:
    """Return the name of a daemon's unit."""
    return f"containai-{daemon}.service"


def is_ours(layout: Layout) -> bool:
    """Whether ContainAI's own Sysbox is installed."""
    return runtimes.sysbox_program(layout) == layout.sysbox_program


def running(layout: Layout) -> bool:
    """Whether both of our daemons run."""
    return all(daemon.ready() for daemon in both(layout))


def start(host: Machine) -> None:
    """Start what is not running and wait until it is ready.

    Raises EngineError where a daemon does not start, with what it said.
    """
    manager = services.manager(host)
    for daemon in both(host.layout):
        manager.start(daemon)


def stop(host: Machine) -> None:
    """End our daemons. Their boxes have to be stopped."""
    manager = services.manager(host)
    for daemon in reversed(both(host.layout)):
        manager.stop(daemon)
