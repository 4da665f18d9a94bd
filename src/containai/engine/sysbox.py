"""The daemons of ContainAI's Sysbox: sysbox-mgr and sysbox-fs.

Their sockets have fixed names below /run/sysbox: there is one Sysbox a machine. Under systemd each
is a unit; elsewhere a background process, started with the engine. A Sysbox that the host has from
a package is its administrator's: it is used, and neither started nor stopped.
"""

import os

from containai.engine import runtimes, shims
from containai.engine.client import Engine
from containai.errors import EngineError
from containai.host import files, proc, processes, scripts, services
from containai.host.machine import Machine
from containai.host.service import Kind, Service
from containai.layout import Layout
from containai.machine_layout import SYSBOX_RUNC

#: In the order they need each other, with the name of their socket and pid file.
DAEMONS = {"sysbox-mgr": "sysmgr", "sysbox-fs": "sysfs"}
#: Where they have sockets and pid files.
RUN_DIR = "/run/sysbox"
#: Whose subordinate ids sysbox-mgr takes, and those that `cai setup` gives it: above those of
#: cai-runc and below systemd's foreign ids. Without an entry sysbox-mgr would take the first ones
#: free, and write both files anew without their comments.
SUBORDINATE = ("sysbox", 2147221504, 65536)
#: Where it looks for them.
SUBORDINATE_FILES = ("/etc/subuid", "/etc/subgid")
#: How long one of them may take until it is ready, in seconds, each time it is tried.
START_TIMEOUT = 20


def argv(layout: Layout, daemon: str) -> list[str]:
    """Return the command line of a daemon."""
    program = os.path.join(layout.sysbox_dir, daemon)
    if daemon == "sysbox-fs":
        # Every look into a box's /proc is "reaper: nothing to reap", for information.
        return [program, "--mountpoint", layout.sysbox_mount, "--log-level", "warning"]
    # Preloading inner images copies them into the box's image at every stop; nobody here commits.
    # No file of a box needs shiftfs, whose trial loads a module.
    data = ("--data-root", layout.sysbox_data)
    return [program, *data, "--disable-inner-image-preload", "--disable-shiftfs"]


def service(layout: Layout, daemon: str) -> Service:
    """Return a daemon as a service.

    As a unit it is started again where it hangs as it starts, and when it dies, as no box starts
    without it. Nobody stops it otherwise: boxes that run lose what sysbox-mgr keeps for them, and
    what sysbox-fs shows them of /proc until they are started again.
    """
    words, where = argv(layout, daemon), f"unix://{layout.engine_socket}"
    given = (f"PATH={proc.SYSTEM_PATH}", f"DOCKER_HOST={where}")
    script = (layout.sysbox_log, RUN_DIR, DAEMONS[daemon], str(START_TIMEOUT))
    mounts: tuple[tuple[str, ...], ...] = ()
    if daemon == "sysbox-fs":
        sh, *rest = scripts.argv("engine/sysbox-mounts.sh", layout.sysbox_mount)
        mounts = ((f"/bin/{sh}", *rest), ("/bin/mkdir", "-p", layout.sysbox_mount))
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
        prepare=mounts,
        limits=(("nofile", "infinity"), ("nproc", "infinity")),
        service_lines=(
            "NotifyAccess=main",
            f"TimeoutStartSec={START_TIMEOUT}",
            "Restart=on-failure",
            "RestartSec=1",
            "OOMScoreAdjust=-500",
        ),
        at_boot=True,
        guarded=True,
    )


def both(layout: Layout) -> tuple[Service, ...]:
    """Return both, in the order they need each other."""
    return tuple(service(layout, daemon) for daemon in DAEMONS)


def needed(layout: Layout) -> tuple[Service, ...]:
    """Return both as what the engine needs; optional where new boxes have another runtime."""
    optional = runtimes.chosen(layout) != SYSBOX_RUNC
    return tuple(daemon._replace(optional=optional) for daemon in both(layout))


def unit_name(daemon: str) -> str:
    """Return the name of a daemon's unit."""
    return f"containai-{daemon}.service"


def is_ours(layout: Layout) -> bool:
    """Whether ContainAI's own Sysbox is installed."""
    return runtimes.sysbox_program(layout) == layout.sysbox_program


def running(layout: Layout) -> bool:
    """Whether both of our daemons run."""
    return all(daemon.ready() for daemon in both(layout))


def current(layout: Layout) -> bool:
    """Whether both were started as this version starts them, and not by an earlier one."""
    for daemon in DAEMONS:
        program, *options = argv(layout, daemon)
        if not any(set(options) <= set(one.words) for one in processes.started_as(program)):
            return False
    return True


def users(host: Machine) -> list[str] | None:
    """Return the names of the containers that Sysbox runs, or None where nobody can say."""
    engine = Engine(host)
    try:
        containers = engine.containers()
    except EngineError:
        return [] if not shims.alive(host.layout) else None
    return sorted(
        container.name
        for container in containers
        if container.runtime == SYSBOX_RUNC and container.running
    )


def has_lost(host: Machine, pid: int) -> bool:
    """Whether a container has files of a sysbox-fs that has ended since its first process began.

    What that showed of /proc and /sys is gone.
    """
    # Its own children, one for a look into a box, are younger.
    servers = [server.started for server in processes.find("sysbox-fs")]
    began = processes.began(pid)
    if began is None or (servers and min(servers) <= began):
        return False
    argv = ["grep", "-q", " fuse sysboxfs ", f"/proc/{pid}/mountinfo"]
    return host.run(argv, root=True, ok=None).code == 0


def first_ids() -> tuple[int, int]:
    """Return the first uid and the first gid of the range that Sysbox gives by itself."""
    return _first(SUBORDINATE_FILES[0]), _first(SUBORDINATE_FILES[1])


def _first(path: str) -> int:
    for line in (files.read(path) or "").splitlines():
        name, first, *_ = [*line.split(":"), "", ""]
        if name == SUBORDINATE[0] and first.isdigit():
            return int(first)
    return SUBORDINATE[1]


def ready(host: Machine) -> None:
    """Have what is installed run, as this version starts it where no box keeps it from that.

    Raises EngineError where a daemon does not start, unless new boxes do not need it.
    """
    layout = host.layout
    if not is_ours(layout):
        return
    if running(layout) and not current(layout) and users(host) == []:
        stop(host)
    for daemon in needed(layout):
        services.manager(host).start(daemon)


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
