"""`cai setup`."""

import argparse
import os
import sys

from containai.cli import shared
from containai.layout import Layout

#: The exit code where a check is not all right in the end.
FOUND = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.yes_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    shared.setting_arguments(parser, "setup")
    parser.add_argument(
        "--image-archive",
        metavar="FILE",
        type=_file,
        help="load the image from an archive of `docker save` instead of building it",
    )
    parser.add_argument(
        "--offline-dir",
        metavar="DIR",
        type=_directory,
        help="take packages from a directory with their SHA256SUMS, nothing from the network",
    )


def run(arguments: argparse.Namespace) -> int:
    """Install and start everything that boxes need; end with the checks of `cai doctor`."""
    from containai.cli import consent
    from containai.flows import setup
    from containai.provision import apply, steps
    from containai.provision.step import Choices
    from containai.work.actions import dry_run

    layout = Layout.from_environment()
    choices = Choices(
        shared.settings_of(layout, arguments),
        image_archive=arguments.image_archive or "",
        offline_dir=arguments.offline_dir or "",
    )
    if arguments.dry_run:
        sys.stdout.write(dry_run(setup.preview(layout, steps.steps(choices))))
        return 0
    if not consent.set_up(layout, choices, agreed=shared.agreed(arguments)):
        sys.stdout.write("everything is set up; nothing was changed\n")
        return 0
    rows = apply.examine(layout, steps.checks(choices))
    sys.stdout.write(apply.table(rows))
    sys.stdout.write("set up\n" + _advice(layout))
    return 0 if all(row.finding.passes for row in rows) else FOUND


def _advice(layout: Layout) -> str:
    """Return how to do without sudo, for whoever has to go through it."""
    import getpass

    from containai.engine.client import Engine
    from containai.host import machine

    user = machine.invoker()
    if user is None and not Engine(layout).needs_root:
        return ""
    name, group = user.name if user is not None else getpass.getuser(), layout.engine_group
    return (
        f"cai asks for sudo to reach the engine. To do without: sudo usermod -aG {group} {name}\n"
        f"Whoever is in the group {group} is root on this machine.\n"
    )


def _file(text: str) -> str:
    path = os.path.abspath(text)
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is no file that can be read")
    return path


def _directory(text: str) -> str:
    path = os.path.abspath(text)
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is no directory that can be read")
    return path
