"""`cai engine start|stop|status|logs`."""

import argparse
import sys

from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("action", choices=("start", "stop", "status", "logs"))
    parser.add_argument("--lines", type=int, default=100, help="of the log (default: 100)")


def run(arguments: argparse.Namespace) -> int:
    """Start, stop or look at the engine. `status` ends with 3 where it is stopped."""
    from containai.engine import daemon

    layout = Layout.from_environment()
    match arguments.action:
        case "start":
            daemon.start(layout)
            daemon.sweep(layout)
        case "stop":
            daemon.stop(layout)
        case "logs":
            sys.stdout.write(daemon.log(layout, lines=arguments.lines))
        case _:
            up = daemon.configuration(layout) is not None and daemon.answering(layout)
            sys.stdout.write(f"{'running' if up else 'stopped'}  {layout.engine_socket}\n")
            return 0 if up else 3
    return 0
