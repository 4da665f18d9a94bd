"""`cai setup`."""

import argparse
import os
import sys

from containai.cli import shared
from containai.config.settings import RUNTIMES
from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.yes_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="what starts boxes (default: engine.runtime of the settings)",
    )
    parser.add_argument(
        "--image-archive",
        metavar="FILE",
        type=_file,
        help="load the image from an archive of `docker save` instead of building it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Install and start everything that boxes need."""
    from containai.cli import consent
    from containai.config import settings
    from containai.provision import setup, steps

    layout = Layout.from_environment()
    values = settings.load(layout.config_file)
    choices = shared.choices(
        values, image_archive=arguments.image_archive or "", runtime=arguments.runtime
    )
    if arguments.dry_run:
        lines = setup.dry_run(layout, steps.steps(choices))
        sys.stdout.write("".join(line + "\n" for line in lines or ["nothing to do"]))
        return 0
    changed = consent.set_up(layout, choices, agreed=shared.agreed(arguments))
    sys.stdout.write("set up\n" if changed else "everything is set up; nothing was changed\n")
    return 0


def _file(text: str) -> str:
    path = os.path.abspath(text)
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is no file that can be read")
    return path
