"""`cai engine start|stop|status|logs`."""

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report

#: The exit code of `status` where the engine is stopped: systemctl's (LSB, "not running").
STOPPED = 3


def start(app: App) -> Report:
    """Start the engine, and sweep up what a killed one forgot."""
    from containai.engine import daemon, sweep

    daemon.start(app.host)
    sweep.forgotten(app.host)
    return Report({"running": True, "socket": app.layout.engine_socket})


def stop(app: App) -> Report:
    """Shut all boxes down, then the engine."""
    from containai.boxes import claims
    from containai.engine import daemon

    claims.ask(app.layout, claims.END)
    app.ui.say("stopping the boxes, then the engine")
    daemon.stop(app.host)
    return Report({"running": False, "socket": app.layout.engine_socket})


def status(app: App) -> Report:
    """Say whether the engine runs."""
    from containai.engine import configuration, daemon

    up = configuration.read(app.layout) is not None and daemon.answering(app.host)
    socket = app.layout.engine_socket
    text = f"{'running' if up else 'stopped'}  {socket}\n"
    return Report({"running": up, "socket": socket}, [text], 0 if up else STOPPED)


def logs(app: App, *, lines: int) -> Report:
    """Return the last lines of the engine's log."""
    from containai.engine import daemon

    text = daemon.log(app.host, lines=lines)
    return Report({"lines": text.splitlines()}, [text])


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("expected a number")
    return int(text)


COMMANDS = (
    Command(
        "engine start",
        "start ContainAI's own Docker engine",
        start,
        group="machine",
        more="It also sweeps up what a killed dockerd or containerd forgot.",
    ),
    Command(
        "engine stop",
        "shut all boxes down, then the engine",
        stop,
        group="machine",
    ),
    Command(
        "engine status",
        "say whether the engine runs",
        status,
        group="machine",
        more=f"Ends with {STOPPED} where it is stopped.",
    ),
    Command(
        "engine logs",
        "show the end of the engine's log",
        logs,
        group="machine",
        arguments=(
            Argument("--lines", "how many (default: 100)", metavar="N", parse=_count, default=100),
        ),
        examples=(Example("cai engine logs --lines 20", ""),),
    ),
)
